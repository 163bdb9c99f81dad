"""The kit rejects every planted error under the right rule, and says so in one line."""

import itertools
import math
import re

import pytest
import torch

from bench.check import check, main
from bench.check.problem import Cost, problem
from bench.check.truth import quasi_truth, truth
from bench.config import plugins
from bench.measure.gradient.rows import measure
from tests.support import planted, planted_declarations, planted_estimates, planted_state
from tests.support.right import Right

# Estimator -> family to look at, and the rules that it must break.
WRONG = {
    planted.SelfBaseline: ("bernoulli", {"mean"}),
    planted.BatchBaseline: ("bernoulli", {"examples", "mean"}),
    planted.StandardisedReward: ("bernoulli", {"mean"}),
    planted.MissingDetach: ("bernoulli", {"mean"}),
    planted.SumOverSamples: ("bernoulli", {"mean"}),
    planted.StateInForward: ("bernoulli", {"purity"}),
    planted.FrozenStd: ("gaussian", {"mean"}),
    planted_estimates.ProductOfAverages: ("categorical", {"mean"}),
    planted_estimates.StraightThroughUnbiased: ("bernoulli", {"mean"}),
    planted_estimates.LostHalf: ("bernoulli", {"mean"}),
    planted_estimates.BoundStickingTheLanding: ("gaussian", {"mean"}),
    planted_estimates.SumAtLargerK: ("bernoulli", {"variants"}),
    planted_estimates.NotANumber: ("bernoulli", {"shapes", "mean"}),
    planted_estimates.Crash: ("bernoulli", {"shapes"}),
    planted_estimates.SummedOverBatch: ("bernoulli", {"shapes"}),
    planted_estimates.SinglePrecision: ("bernoulli", {"shapes"}),
    planted_estimates.NoDecoder: ("bernoulli", {"mean"}),
    planted_estimates.DecoderTwice: ("bernoulli", {"mean"}),
    planted_estimates.WrongValue: ("bernoulli", {"value"}),
    planted_estimates.MovesWithConstant: ("bernoulli", {"constant"}),
    planted_declarations.Untyped: ("bernoulli", {"tags"}),
    planted_declarations.Undocumented: ("bernoulli", {"tags"}),
    planted_declarations.Undeclared: ("bernoulli", {"tags"}),
    planted_declarations.DeadHyperParameter: ("bernoulli", {"hyper_parameters"}),
    planted_declarations.AnyWord: ("bernoulli", {"hyper_parameters"}),
    planted_declarations.WrongEvaluations: ("bernoulli", {"evaluations"}),
    planted_declarations.EvaluationsOfDefault: ("bernoulli", {"variants"}),
    planted_declarations.AcceptsNothing: ("bernoulli", {"refusals"}),
    planted_declarations.RefusesNothing: ("bernoulli", {"refusals"}),
    planted_state.TuningLeaks: ("bernoulli", {"training"}),
    planted_state.Untuned: ("bernoulli", {"training"}),
    planted_state.TuningMeets: ("bernoulli", {"examples"}),
    planted_state.CountsInAttribute: ("bernoulli", {"state"}),
    planted_state.RandomUpdate: ("bernoulli", {"state"}),
    planted_state.RemembersCost: ("bernoulli", {"purity"}),
    planted_state.SeedsNumpy: ("bernoulli", {"purity"}),
    planted_state.OwnNoise: ("bernoulli", {"noise"}),
    planted_state.SharedNoise: ("bernoulli", {"replicas"}),
    planted_state.NotNoiseless: ("bernoulli", {"purity"}),
    planted_state.Branches: ("bernoulli", {"vmap"}),
}


def failures(cls, family):
    return {v.rule: v for v in check(cls, families=[family], quick=True) if v.status == "FAILED"}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.name)
def test_a_planted_error_is_rejected_by_the_right_rule(cls):
    family, rules = WRONG[cls]
    failed = failures(cls, family)
    assert rules <= failed.keys()
    assert all(v.broken and v.reason and "\n" not in v.reason for v in failed.values())
    if cls.__module__ != planted.__name__:  # documented, so that no other rule of the class itself is broken
        assert failed.keys() & {"tags", "refusals"} == rules & {"tags", "refusals"}


def test_the_same_estimator_without_the_error_passes():
    verdicts = check(Right)
    assert [v for v in verdicts if v.status == "FAILED"] == []
    found = {v.rule: v for v in verdicts}
    assert {"shapes", "purity", "noise", "examples", "replicas", "vmap", "training", "state", "evaluations"} <= {*found}
    assert found["mean"].number.startswith("analytic: error ")  # enumerated, not sampled
    assert "exact" in found["measuring"].number


@pytest.mark.parametrize(
    ("cls", "said"), [(planted_estimates.StraightThroughUnbiased, "and is"), (Right, "no bias found")]
)
def test_the_bias_of_what_calls_itself_biased_is_reported(cls, said):
    humble = type("Humble", (cls,), {"unbiased": False, "__doc__": cls.__doc__})
    verdicts = check(humble, quick=True)
    assert [v for v in verdicts if v.status == "FAILED"] == []
    (found,) = (v for v in verdicts if v.rule == "mean")
    assert found.status == "info"
    assert said in found.reason


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_the_exact_bound_is_that_of_all_tuples_of_samples(family):
    exact, value = truth(problem(family), "sampled", bound=2), 0.0
    one = problem(family).first()
    cost = Cost(one, "sampled")
    if family == "gaussian":
        z = one.q.sample(2_000_000)
        costs = cost(z).view(2, -1)
        bounds = math.log(2) - (-costs).logsumexp(0)
        assert abs(float(bounds.mean() - exact.value)) < 5 * float(bounds.std()) / 1000
        sampled = quasi_truth(one, "sampled", 2)
        assert bool(((sampled.gradient - exact.gradient).abs() < 5 * sampled.error).all())
        return
    states = one.q.enumerate()
    weights, costs = one.q.log_prob(states).exp().flatten(), cost(states).flatten()
    for i, j in itertools.product(range(len(states)), repeat=2):
        value -= float(weights[i] * weights[j]) * math.log((math.exp(-costs[i]) + math.exp(-costs[j])) / 2)
    assert value == pytest.approx(float(exact.value), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "family", "factor", "said"),
    [(Right, "bernoulli", 1.3, "is wrong"), ("ibq", "vq", 1 + 1e-6, "is not that of its draws")],
)
def test_a_variance_that_is_measured_wrongly_is_found(name, family, factor, said, monkeypatch):
    """Where draws are taken one at a time, few are, and their variance has to be exact."""

    def wrong(*args, **kwargs):
        return [row | {"variance_noise": factor * row["variance_noise"]} for row in measure(*args, **kwargs)]

    monkeypatch.setattr("bench.check.measured.measure", wrong)
    assert f"the measured variance {said}" in failures(name, family)["measuring"].reason


def test_the_command_prints_a_line_per_check_and_its_number(capsys):
    assert main(["disarm", "--quick"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^disarm +bernoulli +mean +ok +analytic: \|z\| \d", out, re.MULTILINE)
    assert "every check passed" in out
    assert "\x1b" not in out  # plain where there is no terminal


def test_a_failure_names_rule_reason_and_file_and_exits_with_1(capsys, monkeypatch):
    entry = plugins.Registered(planted.SelfBaseline, "somewhere/self.py")
    monkeypatch.setitem(plugins.registry(), "self_baseline", entry)
    assert main(["self_baseline", "--quick", "--family", "bernoulli"]) == 1
    out = capsys.readouterr().out
    assert "rule  The mean gradient of an estimator that is declared unbiased is the exact gradient" in out
    assert "is off by" in out
    assert "file  somewhere/self.py" in out
    assert "gaussian" not in out
    assert "failed: self_baseline" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rlo"], "There is no estimator rlo: did you mean rloo"),
        (["rloo", "--family", "gauss"], "did you mean gaussian"),
    ],
)
def test_an_unknown_name_is_one_sentence_and_exits_with_2(arguments, said, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_the_surrounding_random_stream_goes_on():
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    check("straight_through", families=["bernoulli"], quick=True)
    assert torch.equal(torch.rand(3), expected)
