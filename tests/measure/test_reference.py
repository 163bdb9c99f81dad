"""What a bias is a distance from: refused before anything is written, or none."""

import math

import pytest

from bench.errors import Impossible
from bench.measure.gradient.rows import measure
from bench.measure.reference import reference_of
from bench.model.rssm import RSSM
from bench.probe.shared import SharedCheckpoint
from bench.run.checkpoint import path_of, read_checkpoint
from bench.run.experiment import Experiment
from bench.run.single import run
from tests.support import layers, steps
from tests.support.probes import config, node
from tests.support.small import LATENTS


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [("exact", r"1.05e\+6 points of this bernoulli latent, more than limit=16384"), ("reparam", "made for gaussian")],
)
def test_an_impossible_reference_is_refused_before_anything_is_written(reference, sentence, tmp_path):
    large = config(latent={"dim": 20}, measure={"reference": reference})
    with pytest.raises(Impossible, match=sentence):
        run(large, tmp_path / "run", checkpoints=[0])
    assert not list(tmp_path.iterdir())
    run(config(latent={"dim": 20}, measure={"reference": "none"}), tmp_path / "run", checkpoints=[0])
    at = read_checkpoint(path_of(tmp_path / "run", 0))
    with pytest.raises(Impossible, match=sentence):
        SharedCheckpoint(large, at, 0).probe("rloo", node("rloo"), tmp_path / "probe")
    assert not (tmp_path / "probe").exists()


def test_no_reference_is_found_where_none_is_possible():
    deterministic = {"latent": {"temperature": 0.0}}
    chosen = config("vq", {"_target_": "estimators.vq_straight_through.VQStraightThrough"}, **deterministic)
    assert Experiment(chosen).reference is None


def sequence(family, number):
    """A model of so many steps."""
    if family == "categorical":
        return steps.rssm(number)
    group = steps.rssm(1).config | {"unimix": 0.0}
    return RSSM(LATENTS[family], group, (number, 1, steps.PIXELS), steps.sequences(number).mean(0)).double()


@pytest.mark.parametrize(("family", "sizes", "wanted"), [
    ("bernoulli", [3, 2], "exact"), ("bernoulli", [8, 8], "rloo"), ("gaussian", [2, 2], "reparam"),
    ("categorical", 2, "exact"), ("categorical", 9, "rloo"), ("gaussian", 2, "reparam"),
])  # fmt: skip
def test_what_auto_cannot_enumerate_of_several_latents_is_drawn(family, sizes, wanted):
    chosen = "reparam" if family == "gaussian" else "straight_through"
    if isinstance(sizes, int):
        objective, x = steps.stepped(sequence(family, sizes), chosen), steps.sequences(sizes)
    else:
        objective, x = layers.layered(layers.hierarchy(family, sizes), chosen), layers.images()
    found = reference_of(objective, objective.model.encode(x), config(measure={"reference": "auto"}))
    assert found is not None
    assert (found.estimator.name, found.kl, found.beta) == (wanted, objective.kl, objective.beta)
    for row in measure(objective, x[None], 4, seed=0, reference=found, reference_draws=4):
        assert row["reference"] == wanted
        assert row["reference_draws"] == (0 if wanted == "exact" else 4)
        assert math.isfinite(row["bias_sq"])
