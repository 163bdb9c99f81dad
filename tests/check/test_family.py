"""The kit for latent families: what is right passes every check, and each planted fault fails at the one for it."""

import pytest
import torch

from bench.check.family import WHOLE, family_verdicts
from bench.check.sizes import family
from tests.support import planted_families as planted

FAULTS = {
    planted.Unnormalised: "mass",
    planted.Narrow: "samples",
    planted.WrongKL: "kl",
    planted.NoSlope: "slopes",
    planted.HalfPath: "rsample",
    planted.OneNoise: "shapes",
    planted.Leaking: "shapes",
    planted.LearnedStandard: "frozen",
    planted.Meeting: "broadcast",
    planted.Lying: "shapes",
    planted.Loaded: "samples",
    planted.Forgetful: "frozen",
    planted.Single: "shapes",
}


def verdicts(cls):
    return family_verdicts(family(cls.__name__, cls, "here"))


@pytest.mark.parametrize("cls", [planted.Laplace, planted.Die])
def test_what_is_right_passes(cls):
    before = torch.get_rng_state()
    found = verdicts(cls)
    assert {v.rule: (v.status, v.reason) for v in found if v.status not in ("ok", "skipped")} == {}
    assert [v.rule for v in found if v.status == "skipped"] == ([] if cls is planted.Laplace else ["rsample"])
    assert len(found) == 8
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cls", FAULTS)
def test_a_planted_fault_is_found_by_the_check_that_is_for_it(cls):
    [found] = [v for v in verdicts(cls) if v.rule == FAULTS[cls]]
    assert (found.status, found.number == "crash") == ("FAILED", False), found


def test_a_family_without_sizes_that_can_be_gone_through_is_said_to_be(monkeypatch):
    monkeypatch.setattr(planted.Laplace, "sizes", classmethod(lambda cls, pairs: ((4 * pairs,), 2 * pairs)))
    monkeypatch.setattr(
        "bench.check.sizes.parts.complete", lambda group, config: dict(config, family="laplace", pairs=1)
    )
    found = verdicts(planted.Laplace)
    assert [v.rule for v in found] == [check.__name__ for check in WHOLE] + ["mass"]
    assert found[-1].status == "info"
