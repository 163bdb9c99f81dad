"""Measuring at a shared checkpoint: the same numbers whatever came before, and biased estimators told from unbiased."""

import json
import math
from pathlib import Path

import pytest
import torch

from bench.config.identity import identity
from bench.probe.shared import SharedCheckpoint
from bench.run import attempt
from bench.run.checkpoint import Checkpoint, path_of, read_checkpoint
from bench.run.ending import Ending
from bench.run.experiment import Experiment
from bench.run.rows import add_gradient
from bench.run.single import run
from bench.streams import derived
from bench.tables import store
from tests.support.probes import config, node
from tests.support.runs import numbers
from tests.support.stopped import living


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Checkpoint:
    """A Bernoulli model of 16 states that RLOO has trained for 12 steps."""
    directory = tmp_path_factory.mktemp("run")
    run(config(), directory, checkpoints=[12])
    return read_checkpoint(path_of(directory, 12))


def measured(shared: SharedCheckpoint, option: str, directory: Path, **hyper) -> dict[str, dict]:
    """The rows of one estimator's gradient, by part."""
    assert shared.probe(option, node(option, **hyper), directory).status == "done"
    return {row["part"]: row for row in store.read(directory)["gradient"].to_pylist()}


# Measuring


def test_rows_say_where_they_were_measured(checkpoint, tmp_path):
    shared = SharedCheckpoint(config(), checkpoint, 3)
    rows = measured(shared, "rebar", tmp_path)
    assert {"latent", "encoder", "decoder", "encoder.net.0"} <= rows.keys()
    wanted = {"estimator": "rebar", "trained_with": "planted", "step": 12, "reference": "exact", "reference_draws": 0}
    for row in rows.values():
        assert {key: row[key] for key in wanted} == wanted
    found = store.read(tmp_path)
    assert set(found) == {"runs", "objective", "gradient", "cost"}
    assert found["objective"].num_rows == 0
    costs = {row["what"]: row for row in found["cost"].to_pylist()}
    assert {row["estimator"] for row in costs.values()} == {"rebar"}
    assert (costs["gradient"]["evaluations_forward"], costs["gradient"]["evaluations_backward"]) == (3, 2)
    assert costs["gradient"]["seconds"] > 0
    [row] = found["runs"].to_pylist()
    assert (row["status"], row["estimator"], row["step"]) == ("done", "rebar", 12)
    assert row["run"] == identity(shared.described("rebar", node("rebar")))
    assert row["command"].split()[:3] == ["python", "-m", "bench.probe"]


def test_two_probes_are_the_same_to_the_bit_whatever_was_measured_before(checkpoint, tmp_path):
    first, second = (SharedCheckpoint(config(), checkpoint, 3) for _ in range(2))
    measured(first, "rebar", tmp_path / "a" / "rebar")
    measured(first, "rloo", tmp_path / "a" / "rloo")
    torch.randn(3)
    measured(second, "rloo", tmp_path / "b" / "rloo")
    measured(second, "rebar", tmp_path / "b" / "rebar")
    for name in ("rloo", "rebar"):
        assert numbers(tmp_path / "a" / name) == numbers(tmp_path / "b" / name)
    seeds = config()["seeds"] | {"measure": 1}
    third = SharedCheckpoint(config() | {"seeds": seeds}, checkpoint, 3)
    measured(third, "rloo", tmp_path / "c")
    assert numbers(tmp_path / "c")["gradient"] != numbers(tmp_path / "a" / "rloo")["gradient"]


def test_the_model_measured_is_that_of_the_checkpoint(checkpoint, tmp_path):
    rows = measured(SharedCheckpoint(config(), checkpoint, 0), "exact", tmp_path)
    by_hand = Experiment(config(estimator=node("exact")))
    add_gradient(by_hand, 0, "planted", 0, None)
    checkpoint.load_into(by_hand.model)
    add_gradient(by_hand, 12, "planted", 0, None)
    norms = {(row["step"], row["part"]): row["norm_sq"] for row in by_hand.rows["gradient"]}
    for part, row in rows.items():
        assert row["norm_sq"] == pytest.approx(norms[12, part], rel=1e-12)
        assert row["norm_sq"] != pytest.approx(norms[0, part], rel=1e-3)


def test_every_estimator_has_noise_of_its_own():
    purposes = [f"{kind}{name}" for kind in ("", "tuning ") for name in ("rloo", "rebar")]
    seeds = [derived(seed, f"shared {purpose}") for seed in (0, 1) for purpose in purposes]
    assert len(set(seeds)) == len(seeds)


UNBIASED = ("rloo", "disarm", "rebar", "reinforce_moving_average", "relax", "arm")
BIASED = ("straight_through", "gumbel_softmax", "st_gumbel_softmax", "detached")


@pytest.fixture(scope="module")
def precise(checkpoint) -> SharedCheckpoint:
    """4,000 draws on two probe batches, in float64, against the sum over all 16 states."""
    measure = {"draws": 4000, "layers": False, "memory": 64, "papers": False}
    return SharedCheckpoint(config(measure=measure) | {"dtype": "float64"}, checkpoint, 20)


@pytest.mark.parametrize("name", UNBIASED)
def test_an_unbiased_estimator_shows_no_bias_at_an_enumerable_checkpoint(precise, name, tmp_path):
    for row in measured(precise, name, tmp_path).values():
        if row["variance_noise"] > 0:
            assert abs(row["bias_sq"]) < 4.5 * row["bias_sq_se"], row["part"]
        else:
            assert abs(row["bias_sq"]) < 1e-12


@pytest.mark.parametrize("name", BIASED)
def test_a_biased_estimator_shows_its_bias_by_the_same_bound(precise, name, tmp_path):
    rows = measured(precise, name, tmp_path)
    for part in ("latent", "encoder"):
        error = rows[part]["bias_sq_se"] or 0.0
        assert rows[part]["bias_sq"] > max(4.5 * error, 1e-9), part


def test_the_exact_gradient_is_its_own_reference(precise, tmp_path):
    for row in measured(precise, "exact", tmp_path).values():
        assert (row["variance_noise"], row["reference"]) == (0, "exact")
        assert abs(row["bias_sq"]) < 1e-15
        assert math.isclose(row["cosine"], 1)


# What cannot be


def test_tuning_that_comes_to_nothing_is_a_row(checkpoint, tmp_path):
    shared = SharedCheckpoint(config(train={"tuning_lr": 1e38}), checkpoint, 2)
    outcome = shared.probe("rebar", node("rebar"), tmp_path)
    assert outcome.status == "diverged"
    assert "rebar was not finite after 2 steps of tuning" in outcome.reason
    assert store.read(tmp_path)["gradient"].num_rows == 0


def test_an_impossible_estimator_is_a_row_with_its_reason(checkpoint, tmp_path):
    outcome = SharedCheckpoint(config(), checkpoint, 3).probe("reparam", node("reparam"), tmp_path)
    assert outcome.status == "skipped"
    found = store.read(tmp_path)
    assert found["runs"]["reason"].to_pylist() == [
        "reparam does not differentiate bernoulli latents; it is made for gaussian."
    ]
    assert sum(table.num_rows for table in found.values()) == 1


def test_an_estimator_that_breaks_is_a_row_with_a_traceback(checkpoint, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the disk of the moon is full")

    monkeypatch.setattr("bench.run.rows.measure", broken)
    outcome = SharedCheckpoint(config(), checkpoint, 0).probe("rloo", node("rloo"), tmp_path)
    assert (outcome.status, outcome.reason) == ("failed", "RuntimeError: the disk of the moon is full")
    assert "moon" in (tmp_path / "traceback.txt").read_text()


def test_what_another_process_measures_is_left_to_it(checkpoint, tmp_path, monkeypatch):
    with living() as claim:
        (tmp_path / attempt.FILE).write_text(json.dumps(claim))
        outcome = SharedCheckpoint(config(), checkpoint, 0).probe("rloo", node("rloo"), tmp_path)
    working = f"process {claim['pid']} of {claim['host']} works on it."
    assert outcome == Ending("running", working, tmp_path, already=True)
    assert [file.name for file in tmp_path.iterdir()] == [attempt.FILE]

    def measured_meanwhile(self, own):
        monkeypatch.undo()
        assert SharedCheckpoint(config(), checkpoint, 0).probe("rloo", node("rloo"), tmp_path).status == "done"
        return self.at_checkpoint(own)

    monkeypatch.setattr(SharedCheckpoint, "at_checkpoint", measured_meanwhile)
    outcome = SharedCheckpoint(config(), checkpoint, 0).probe("rloo", node("rloo"), tmp_path)
    assert outcome == Ending("done", "", tmp_path, already=True, step=12)
    assert not (tmp_path / attempt.FILE).exists()


def test_a_bound_is_compared_with_a_reference_of_the_same_bound_alone(checkpoint, tmp_path):
    shared = SharedCheckpoint(config(objective={"kl": "sampled"}), checkpoint, 0)
    assert {row["reference"] for row in measured(shared, "vimco", tmp_path / "a").values()} == {None}
    assert {row["reference"] for row in measured(shared, "rloo", tmp_path / "b").values()} == {"exact"}
