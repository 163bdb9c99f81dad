"""A sample grows until it is sharp enough, and no further; what it grows by is the rest of the same sample."""

import pytest
import torch

from bench.check.deviations import visible
from bench.check.moments import START, moments
from bench.check.subject import Case, subject


@pytest.mark.parametrize(
    ("name", "family", "sharp"), [("relax", "bernoulli", 0.02), ("ovis_monte_carlo", "gaussian", 0.05)]
)
def test_a_sample_has_the_fewest_doublings_that_are_sharp_enough(name, family, sharp):
    case = Case(subject(name), family, sharp=sharp)
    (kind, *_) = case.kinds
    found = moments(case, kind)
    assert found.draws > 2 * START
    assert visible(case, found.error, found.mean) <= sharp
    half = moments(case, kind, draws=found.draws // 2)
    assert visible(case, half.error, half.mean) > sharp
    whole = moments(case, kind, draws=found.draws)  # at once
    for part in ("mean", "error", "cost", "cost_error", "groups", "costs"):
        torch.testing.assert_close(getattr(found, part), getattr(whole, part), rtol=1e-9, atol=1e-12)
    assert (found.how, found.draws) == (whole.how, whole.draws)


@pytest.mark.parametrize("name", ["relax", "gumbel_softmax"])
def test_a_sample_that_is_never_sharp_enough_ends_at_its_limit(name):
    """That of a biased estimator is an eighth."""
    case = Case(subject(name), "bernoulli", draws=2**12, sharp=1e-9)
    assert moments(case, case.kinds[0]).draws == (2**12 if case.unbiased else 2**9)
