"""The kit for models: likelihoods of bits, levels and real numbers pass, and each planted fault fails at its check."""

import pytest
import torch

from bench.check.brought import Part, part_verdicts
from tests.support import planted_models as planted

RIGHT = {planted.Bits: "bits", planted.Density: "the line", planted.Levels: "256 levels", planted.Fixed: "bits"}
FAULTS = {
    planted.NoConstant: ("normalised", "p(x|z) of a pixel is"),
    planted.Meets: ("shapes", "encode(x) mixes examples"),
    planted.Averages: ("shapes", "log_likelihood(x, z) of points z [2, 5, 3] has to give [2, 5]"),
    planted.Impossible: ("prior", "log_prior(z) is not finite"),
}


def verdicts(cls):
    return list(part_verdicts(Part(cls.__name__, "model", cls, "here")))


@pytest.mark.parametrize("cls", RIGHT)
def test_what_is_right_passes(cls):
    before = torch.get_rng_state()
    found = verdicts(cls)
    assert {v.status for v in found} <= {"ok", "skipped"}
    assert found[-1].rule == "normalised"
    assert found[-1].number.startswith(f"1 over {RIGHT[cls]}")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cls", FAULTS)
def test_a_planted_fault_is_found(cls):
    rule, said = FAULTS[cls]
    [failed] = [v for v in verdicts(cls) if v.status == "FAILED"]
    assert failed.rule == rule
    assert failed.reason.startswith(said)


def test_images_that_are_too_many_are_said_to_be():
    found = verdicts(planted.Wide)
    assert [(v.rule, v.status) for v in found[:3]] == [("shapes", "ok"), ("prior", "ok"), ("normalised", "skipped")]
    assert "16 pixels" in found[2].reason


def test_what_cannot_be_built_is_a_verdict(monkeypatch):
    monkeypatch.setattr(planted.Wide, "__init__", lambda self, shape: None)
    [found] = verdicts(planted.Wide)
    assert (found.status, found.rule) == ("FAILED", "building")
