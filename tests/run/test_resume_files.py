"""Files of a run's state that cannot be trusted: one line, and the run starts anew."""

import hashlib
import io
import pickle

import pytest
import torch

from bench.run import attempt
from bench.run.single import run
from tests.support.checkpoints import Runs
from tests.support.runs import numbers
from tests.support.stopped import REBAR, chosen, stopping, whole


def resealed(path, change):
    """The file with other content and the right digest."""
    content = torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)
    buffer = io.BytesIO()
    torch.save(change(content), buffer)
    path.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())


def pickled(path):
    payload = pickle.dumps(Runs(path.with_name("ran")))
    path.write_bytes(hashlib.sha256(payload).digest() + payload)


def without_batches(content):
    [seed] = content["content"]["seeds"]
    return content | {"content": content["content"] | {"seeds": [seed | {"batches": {}}]}}


DAMAGES = {
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-100]), "it is damaged"),
    "empty": (lambda p: p.write_bytes(b""), "it is damaged"),
    "flipped": (lambda p: p.write_bytes(p.read_bytes()[:9000] + b"flip" + p.read_bytes()[9004:]), "it is damaged"),
    "program": (pickled, "UnpicklingError"),
    "list": (lambda p: resealed(p, lambda c: [1, 2]), "AttributeError"),
    "run": (lambda p: resealed(p, lambda c: c | {"run": "0" * 12}), "it is of another run"),
    "torch": (lambda p: resealed(p, lambda c: c | {"torch": "1.0"}), "it is of another torch: 1.0, where"),
    "code": (lambda p: resealed(p, lambda c: c | {"code": "0"}), "it is of another code: 0, where"),
    "batches": (lambda p: resealed(p, without_batches), "KeyError"),
    "noise": (lambda p: resealed(p, lambda c: c | {"content": c["content"] | {"noise": {}}}), "not enough values"),
    "a number for noise": (
        lambda p: resealed(p, lambda c: c | {"content": c["content"] | {"noise": [3]}}),
        "TypeError",
    ),
    "clock": (lambda p: resealed(p, lambda c: c | {"content": c["content"] | {"elapsed": None}}), "TypeError"),
    "directory": (lambda p: (p.unlink(), p.mkdir()), "IsADirectoryError"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run of rebar that was interrupted after 8 steps."""
    directory = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            run(chosen(*REBAR), directory)
    return (directory / attempt.RESUME).read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_trusted_is_one_line_and_the_run_starts_anew(
    damage, interrupted, undisturbed, tmp_path, capsys
):
    path, (spoil, words) = tmp_path / attempt.RESUME, DAMAGES[damage]
    path.write_bytes(interrupted)
    spoil(path)
    never = {"sweep": chosen(*REBAR)["sweep"] | {"checkpoint_seconds": None}}
    assert run(chosen(*REBAR) | never, tmp_path).status == "done"
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} is not used, since {words}")
    assert line.endswith("; the run starts anew.")
    assert not (tmp_path / "ran").exists()
    found = numbers(tmp_path)
    assert [found[name] for name in ("objective", "gradient", "cost")] == [
        undisturbed[name] for name in ("objective", "gradient", "cost")
    ]


def test_a_checkpoint_that_is_wanted_and_was_passed_is_made(interrupted, tmp_path, capsys):
    (tmp_path / attempt.RESUME).write_bytes(interrupted)
    assert run(chosen(*REBAR), tmp_path, checkpoints=[3, 12]).status == "done"
    assert "it is past step 3, whose checkpoint is wanted" in capsys.readouterr().err
    assert {file.name for file in tmp_path.glob("*.pt")} == {"model_step_3.pt", "model_step_12.pt"}
