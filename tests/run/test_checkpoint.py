"""Checkpoints: writing them changes no training, reading them gives the model back, and nothing else passes for one."""

import hashlib
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import BadInput
from bench.run.checkpoint import FORMAT, find, path_of, read_checkpoint, write_checkpoint
from bench.run.sealed import opened
from bench.run.single import run
from bench.settings.later import LATER
from tests.support.checkpoints import Runs
from tests.support.runs import numbers
from tests.support.small import LATENTS, run_config, vae

RLOO = {"_target_": "estimators.rloo.RLOO", "k": 2}
CASES = {
    "rebar": ("categorical", {"_target_": "estimators.rebar.Rebar"}, {}),
    "ema": (
        "vq",
        {"_target_": "estimators.vq_straight_through.VQStraightThrough"},
        {"latent": {"codebook": "ema", "restart": 0.5}},
    ),
}


def config(family: str = "bernoulli", estimator: dict = RLOO, **changes) -> dict:
    return run_config(family, estimator, **changes)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """The model of a run after 12 steps."""
    directory = tmp_path_factory.mktemp("run")
    assert run(config(), directory, checkpoints=[12]).status == "done"
    return path_of(directory, 12)


@pytest.mark.parametrize("case", CASES)
def test_writing_checkpoints_changes_no_bit_of_the_training(case, tmp_path):
    family, estimator, changes = CASES[case]
    chosen = config(family, estimator, **changes)
    for name, steps in {"none": [], "last": [12], "many": [0, 3, 6, 7, 12]}.items():
        assert run(chosen, tmp_path / name, checkpoints=steps).status == "done"
        assert len(find(tmp_path / name)) == len(steps) if steps else not list((tmp_path / name).glob("*.pt"))
    assert numbers(tmp_path / "none") == numbers(tmp_path / "last") == numbers(tmp_path / "many")
    last, many = (read_checkpoint(path_of(tmp_path / name, 12)) for name in ("last", "many"))
    torch.testing.assert_close(last.model, many.model, rtol=0, atol=0)
    assert last.digest == many.digest != read_checkpoint(path_of(tmp_path / "many", 7)).digest


@pytest.mark.parametrize("family", ["bernoulli", "vq"])
def test_a_checkpoint_of_before_a_key_came_is_that_of_its_value_of_then(family, tmp_path):
    chosen = config(family)
    before = {
        group: {k: v for k, v in value.items() if f"{group}.{k}" not in LATER} if isinstance(value, dict) else value
        for group, value in chosen.items()
    }
    assert "decoder" not in before["model"]
    assert "nesterov" not in before["train"]
    for name, own in {"now": chosen, "then": before}.items():
        write_checkpoint(tmp_path / name, vae(family), own, 7)
    now, then = (read_checkpoint(path_of(tmp_path / name, 7)) for name in ("now", "then"))
    then.require(chosen)
    now.require(before)
    assert then.origin()["trajectory"] == now.origin()["trajectory"]
    with pytest.raises(BadInput, match=r"holds a model of model\.task=generative, and this"):
        then.require(config(family, model={"task": "structured"}))


def test_what_is_read_is_what_was_written(tmp_path):
    model, other = vae("vq", prior="learned"), vae("vq", prior="learned")
    chosen = config("vq", model={"prior": "learned"})
    write_checkpoint(tmp_path, model, chosen, 7)
    read = read_checkpoint(path_of(tmp_path, 7))
    assert (read.step, read.config) == (7, json.loads(json.dumps(chosen)))
    read.require(chosen)
    read.load_into(other)
    torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)
    write_checkpoint(tmp_path, other, chosen, 8)
    assert read_checkpoint(path_of(tmp_path, 8)).digest == read.digest
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-12
    write_checkpoint(tmp_path, other, chosen, 9)
    assert read_checkpoint(path_of(tmp_path, 9)).digest != read.digest


def test_a_file_holds_the_model_and_nothing_else(saved):
    content = opened(saved.read_bytes())
    assert content.keys() == {"format", "step", "config", "model"}
    assert content["model"].keys() == vae("bernoulli").state_dict().keys()
    assert [file.name for file in saved.parent.iterdir() if file.suffix == ".pt" or "tmp" in file.name] == [saved.name]


def archive() -> bytes:
    """A zip of arrays."""
    content = io.BytesIO()
    np.savez(content, x=np.ones(2))
    return content.getvalue()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, tmp_path, kept):
    content = saved.read_bytes()
    short = tmp_path / "model_step_12.pt"
    short.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(BadInput, match=r"model_step_12.pt is damaged, or no checkpoint of this version"):
        read_checkpoint(short)


def test_a_file_with_one_changed_bit_is_refused(saved, tmp_path):
    content, changed = saved.read_bytes(), tmp_path / "model_step_12.pt"
    for place in torch.randint(8 * len(content), (300,), generator=torch.Generator().manual_seed(0)).tolist():
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        changed.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"model_step_12.pt is damaged, or no checkpoint of this version"):
            read_checkpoint(changed)
    changed.write_bytes(content)
    assert read_checkpoint(changed).digest == read_checkpoint(saved).digest


def test_a_foreign_file_is_refused_and_runs_no_code(tmp_path):
    ran, foreign = tmp_path / "ran", tmp_path / "foreign.pt"
    contents = {
        "pickle": lambda: foreign.write_bytes(pickle.dumps({"format": FORMAT, "model": Runs(ran)})),
        "torch": lambda: torch.save({"format": FORMAT, "step": 1, "config": "{}", "model": Runs(ran)}, foreign),
        "module": lambda: torch.save(torch.nn.Linear(2, 2), foreign),
        "tensor": lambda: torch.save(torch.ones(2), foreign),
        "other": lambda: torch.save({"format": "another", "step": 1, "config": "{}", "model": {}}, foreign),
        "no step": lambda: torch.save({"format": FORMAT, "config": "{}", "model": {}}, foreign),
        "numpy": lambda: foreign.write_bytes(archive()),
        "text": lambda: foreign.write_text("weights"),
    }
    for write in contents.values():
        write()
        for content in (payload := foreign.read_bytes(), hashlib.sha256(payload).digest() + payload):
            foreign.write_bytes(content)
            with pytest.raises(BadInput, match=r"foreign.pt is damaged, or no checkpoint of this version"):
                read_checkpoint(foreign)
            assert not ran.exists()
    pickle.loads(pickle.dumps(Runs(ran)))
    assert ran.exists()  # it would have run


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_checkpoint(tmp_path / "model_step_1.pt")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"latent": {"dim": 5}}, "latent.dim=4, and this configuration has latent.dim=5"),
        ({"latent": LATENTS["categorical"]}, "latent.family=bernoulli, and this configuration has latent.family=cat"),
        ({"model": {"hidden": [6]}}, r"model.hidden=\[5\], and this configuration has model.hidden=\[6\]"),
    ],
)
def test_another_architecture_is_refused(saved, changes, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_checkpoint(saved).require(config(**changes))


def test_data_of_another_size_is_refused_and_the_model_left_alone(saved):
    model = vae("bernoulli")  # of 4x4 images, where the digits have 8x8
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(BadInput, match=r"was trained on digits and has .* of shape \[.*64.*\], where"):
        read_checkpoint(saved).load_into(model)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_folder_is_searched_in_the_order_of_steps(saved, tmp_path):
    for step in (100, 9, 20):
        (tmp_path / "run").mkdir(exist_ok=True)
        path_of(tmp_path / "run", step).write_bytes(saved.read_bytes())
    assert find(tmp_path) == [path_of(tmp_path / "run", step) for step in (9, 20, 100)]
    assert find(saved) == [saved]
    for place, sentence in ((tmp_path / "nowhere", "does not exist"), (Path(__file__).parent, "There is no model_")):
        with pytest.raises(BadInput, match=sentence):
            find(place)
