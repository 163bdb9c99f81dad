"""What a bias is a distance from: refused before anything is written, or none."""

import pytest

from bench.errors import Impossible
from bench.probe.shared import SharedCheckpoint
from bench.run.checkpoint import path_of, read_checkpoint
from bench.run.experiment import Experiment
from bench.run.single import run
from tests.support.probes import config, node


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
