"""What a class of someone's own raises while a run is built is one sentence; its traceback can be had."""

from functools import cache

import pytest

from bench import cli
from bench import status as states
from bench.config.prepare import prepare
from bench.errors import BadInput
from bench.report.collection.collect import collect, find
from bench.run.failures import not_started
from bench.run.perform import start
from bench.tables import store
from tests.support.composed import resolved
from tests.support.runs import SMALL

HERE = "tests.support.raising"
CLASSES = {"data": "Coins", "model": "Net", "latent": "Cube", "problem": "Toss", "estimator": "Guess"}
LATER = {"data": "arrays", "model": "likelihood", "latent": "sizes", "problem": "cost", "estimator": "forward"}
PROBLEM = """# @package _global_
defaults: [override /latent: null, override /model: null, override /data: null]
problem: {_target_: tests.support.raising.Toss, error: key, at: init}
objective: {beta: 0}
"""
SAYS = {
    "type": "TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'",
    "key": "KeyError: 'moon'",
    "runtime": "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
    "import": "ModuleNotFoundError: No module named 'nowhere_at_all'",
    "assertion": "AssertionError",
    "exit": "SystemExit: 3",
    "lines": "ValueError: one",
    "mute": "ValueError",
}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """A command with a part of one kind that raises; its exit status, what it printed, and the folder of its runs."""
    for group, cls in CLASSES.items():
        (tmp_path / "own" / group).mkdir(parents=True)
        held = PROBLEM if group == "problem" else f"_target_: {HERE}.{cls}\nerror: key\nat: init\n"
        (tmp_path / "own" / group / "mine.yaml").write_text(held)
    monkeypatch.delenv(cli.TRACEBACKS, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(group: str, error: str, at: str = "init", *more: str):
        words = [word for word in SMALL if group != "problem" or not word.startswith(("data", "model", "latent"))]
        own = [f"{group}=mine", f"{group}.error={error}", f"{group}.at={at}", "output=out", "device=cpu", *more]
        status = cli.main(["--config-dir", "own", *words, *own])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@cache
def composed(group: str) -> dict:
    """A small run, of the problem or of a VAE."""
    small = ("device=cpu", "threads=1", "train.batch_size=8", "measure.batches=1")
    return resolved(*small, *(["problem=bernoulli_bit"] if group == "problem" else ["latent=bernoulli_small"]))


def said(group: str, error: str, at: str = "init") -> str:
    """What is told of a run that is built with this part."""
    part = {group: {"_target_": f"{HERE}.{CLASSES[group]}", "error": error, "at": at}}
    data = {} if group in ("data", "problem") else {"data": {"_target_": "tests.support.brought.Coins"}}
    with pytest.raises(BadInput) as refused:
        not_started(_raised(prepare(composed(group) | data | part)), many=False)
    return str(refused.value)


def _raised(config: dict) -> Exception:
    try:
        start([config])
    except Exception as error:
        return error
    raise AssertionError("it was built")


@pytest.mark.parametrize("group", CLASSES)
def test_every_kind_of_part_is_named_with_what_it_raised(command, tmp_path, group):
    status, out, err = command(group, "key", LATER[group])
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert not [*tmp_path.rglob("*.parquet")]
    for at, sentence in ((LATER[group], err.strip()), ("init", said(group, "key"))):
        assert sentence.startswith(f"{group}._target_={HERE}.{CLASSES[group]} with {group}.")
        assert f"{group}.error=key {group}.at={at} raised KeyError: 'moon' (line " in sentence
        assert sentence.endswith(" of raising.py; HYDRA_FULL_ERROR=1 shows the traceback).")


@pytest.mark.parametrize("error", SAYS)
def test_every_kind_of_exception_is_one_sentence(error):
    for at in ("init", "encode"):
        sentence = said("model", error, at)
        assert f" raised {SAYS[error]} (line " in sentence
        assert ". " not in sentence


def test_the_words_of_a_refusal_and_a_lack_of_memory_stay():
    for at in ("init", "encode"):
        assert said("model", "value", at) == "It needs a moon."
        assert said("model", "memory", at).startswith("Out of memory of the machine: lower ")


def test_a_line_inside_a_layer_is_told_as_that_of_the_class():
    sentence = said("estimator", "inside", "forward")
    assert "raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 2x2) (line " in sentence
    assert " of raising.py;" in sentence


def test_the_traceback_can_be_seen(command, monkeypatch):
    monkeypatch.setenv(cli.TRACEBACKS, "1")
    with pytest.raises(ValueError, match=r"raised KeyError: 'moon'") as refused:
        command("data", "key", "arrays")
    assert isinstance(refused.value.__cause__.__cause__, KeyError)


def test_in_a_sweep_it_is_the_failure_of_its_run(command, tmp_path):
    status, out, err = command("model", "key,value", "encode", "-m", "estimator=rloo")
    assert (status, err) == (1, "")
    assert out.splitlines()[-3] == "2 failed:"
    rows = {row["reason"]: at for at in (f.parent for f in tmp_path.rglob(store.MARKER)) for row in
            store.read(at)["runs"].to_pylist()}  # fmt: skip
    mend, told = sorted(rows, key=len)
    assert mend == "It needs a moon."
    assert "raised KeyError: 'moon' (line" in told
    assert "in encode\n" in (rows[told] / "traceback.txt").read_text()
    assert not (rows[mend] / "traceback.txt").exists()


def test_an_estimator_that_cannot_be_built_is_a_failed_run_beside_the_others(command, tmp_path, capsys):
    words = ["--config-dir", "own", *SMALL, "output=out", "device=cpu", "-m", "estimator=rloo,mine"]
    assert cli.main(words) == 1
    assert (
        capsys.readouterr().out.count(f"{HERE}.Guess with estimator.error=key estimator.at=init raised KeyError") == 2
    )
    assert states.main(["out"]) == 1
    told = capsys.readouterr().out
    assert "1 failed: estimator._target_=tests.support.raising.Guess with" in told
    assert "1 missing" not in told
    units = collect(find([tmp_path / "out"]))[0].units
    assert sorted(units.status) == ["done", "failed"]
