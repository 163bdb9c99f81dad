"""The kit rejects every planted error under the right rule, and says so in one line."""

import pytest
import torch

from bench.check import check, main
from bench.check.problem import problem, truth
from tests import planted
from tests import planted_more as more

# Estimator -> family to look at, and the rules that it must break.
WRONG = {
    planted.SelfBaseline: ("bernoulli", {"mean"}),
    planted.BatchBaseline: ("bernoulli", {"examples", "mean"}),
    planted.StandardisedReward: ("bernoulli", {"mean"}),
    planted.MissingDetach: ("bernoulli", {"mean"}),
    planted.SumOverSamples: ("bernoulli", {"mean"}),
    planted.StateInForward: ("bernoulli", {"purity"}),
    planted.FrozenStd: ("gaussian", {"mean"}),
    more.ProductOfAverages: ("categorical", {"mean"}),
    more.StraightThroughUnbiased: ("bernoulli", {"mean"}),
    more.LostHalf: ("bernoulli", {"mean"}),
    more.BoundStickingTheLanding: ("gaussian", {"mean"}),
    more.SumAtLargerK: ("bernoulli", {"variants"}),
    more.NotANumber: ("bernoulli", {"shapes", "mean"}),
    more.Crash: ("bernoulli", {"shapes"}),
    more.SummedOverBatch: ("bernoulli", {"shapes"}),
    more.SinglePrecision: ("bernoulli", {"shapes"}),
    more.NoDecoder: ("bernoulli", {"mean"}),
    more.DecoderTwice: ("bernoulli", {"mean"}),
    more.WrongValue: ("bernoulli", {"value"}),
    more.MovesWithConstant: ("bernoulli", {"constant"}),
    more.Untyped: ("bernoulli", {"tags"}),
    more.Undocumented: ("bernoulli", {"tags"}),
    more.Undeclared: ("bernoulli", {"tags"}),
    more.DeadHyperParameter: ("bernoulli", {"hyper_parameters"}),
    more.AnyWord: ("bernoulli", {"hyper_parameters"}),
    more.WrongEvaluations: ("bernoulli", {"evaluations"}),
    more.EvaluationsOfDefault: ("bernoulli", {"variants"}),
    more.AcceptsNothing: ("bernoulli", {"refusals"}),
    more.RefusesNothing: ("bernoulli", {"refusals"}),
    more.TuningLeaks: ("bernoulli", {"training"}),
    more.Untuned: ("bernoulli", {"training"}),
    more.TuningMeets: ("bernoulli", {"examples"}),
    more.CountsInAttribute: ("bernoulli", {"state"}),
    more.RandomUpdate: ("bernoulli", {"state"}),
    more.RemembersCost: ("bernoulli", {"purity"}),
    more.SeedsNumpy: ("bernoulli", {"purity"}),
    more.OwnNoise: ("bernoulli", {"noise"}),
    more.SharedNoise: ("bernoulli", {"replicas"}),
    more.NotNoiseless: ("bernoulli", {"purity"}),
    more.Branches: ("bernoulli", {"vmap"}),
}


def failures(cls, family):
    return {v.rule: v for v in check(cls, families=[family], quick=True) if v.status == "FAILED"}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.name)
def test_a_planted_error_is_rejected_by_the_right_rule(cls):
    family, rules = WRONG[cls]
    failed = failures(cls, family)
    print(cls.name, {n: (v.number, v.reason) for n, v in failed.items()})
    assert rules <= failed.keys()
    assert all(v.broken and v.reason and "\n" not in v.reason for v in failed.values())
