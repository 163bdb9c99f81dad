"""What the problems know of themselves, against published closed forms, enumeration and the estimators' own code."""

import math

import pytest
import torch

from bench.check.noise import points
from bench.config.plugins import estimator
from bench.model.objective import Objective
from bench.problems import PROBLEMS, problem
from bench.problems.bits import BernoulliBits, BernoulliCoupled
from estimators import Bernoulli, Gaussian, Sequence

KS = (0.1, 0.5, 0.8, 0.9, 1.05, 1.2, 2.0, 5.0, 10.0)
BIT = {"name": "bernoulli_bits", "dim": 1, "t": 0.45, "power": 2.0, "logit": 0.6}
COUPLED = {"name": "bernoulli_coupled"}
ONE = torch.zeros(1, 1, 1)  # a probe batch of one example


def toy(function: str, k: float, mean: float = 1.0, std: float = 1.0):
    return problem(f"gaussian_{function}", k=k, mean=mean, std=std)


def bits(dim: int, **changes):
    """Bits with different logits."""
    made = problem(**BIT | {"dim": dim} | changes)
    made.encoder.logits.data = torch.linspace(-1.5, 1.1, dim, dtype=torch.float64)
    return made


def variance(made, name: str, **hyper) -> torch.Tensor:
    return made.variance(estimator(name, **hyper))


def close(found, expected, tolerance: float = 1e-8) -> None:
    one, two = (torch.as_tensor(value, dtype=torch.float64) for value in (found, expected))
    torch.testing.assert_close(one, two, rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize(("k", "mean", "std"), [(-3, 1, 1), (0.4, 1, 1), (3, 1, 1), (-0.5, 0.7, 1.3), (1, 1, 0.4)])
def test_the_quadratic_has_its_closed_forms(k, mean, std):
    made, m, s = toy("quadratic", k, mean, std), mean - k, std
    close(made.value(), m**2 + s**2)
    close(made.gradient(), [2 * m, 2 * s**2])  # with respect to log std: std times that of the std
    score = [m**4 / s**2 + 14 * m**2 + 15 * s**2, s**2 * (2 * m**4 / s**2 + 60 * m**2 + 74 * s**2)]
    close(variance(made, "reinforce"), score)
    close(variance(made, "reinforce", k=3), [v / 3 for v in score])
    close(variance(made, "reparam"), [4 * s**2, s**2 * (4 * m**2 + 8 * s**2)])
    close(variance(made, "measure_valued"), [4 * m**2 * (4 / math.pi - 1), s**2 * (4 * m**2 + 4 * s**2)])
    close(variance(made, "antithetic"), [0, 8 * s**4])
    close(variance(made, "exact"), [0, 0])


@pytest.mark.parametrize("k", KS)
def test_the_exponential_and_the_cosine_have_their_closed_forms(k):
    def tilted(a):  # E exp(-a x^2), and mean and variance of x under that weight
        return math.exp(-a / (1 + 2 * a)) / math.sqrt(1 + 2 * a), 1 / (1 + 2 * a), 1 / (1 + 2 * a)

    made, (once, mean, _) = toy("exp", k), tilted(k)
    gradient = once * (mean - 1)
    twice, mean, spread = tilted(2 * k)
    close(made.gradient()[0], gradient)
    close(variance(made, "reinforce")[0], twice * ((mean - 1) ** 2 + spread) - gradient**2)
    close(variance(made, "reparam")[0], 4 * k**2 * twice * (mean**2 + spread) - gradient**2)

    made, gradient = toy("cosine", k), -k * math.sin(k) * math.exp(-(k**2) / 2)
    wave = math.cos(2 * k) * math.exp(-2 * k**2)
    close(made.gradient()[0], gradient)
    close(variance(made, "reinforce")[0], 0.5 + 0.5 * (1 - 4 * k**2) * wave - gradient**2)
    close(variance(made, "reparam")[0], 0.5 * k**2 * (1 - wave) - gradient**2)


@pytest.mark.parametrize(("function", "k", "worse"), [
    ("exp", 0.8, False), ("exp", 0.89, True), ("exp", 2, True), ("exp", 10, True),
    ("cosine", 1.0, False), ("cosine", 1.11, True), ("cosine", 2, True), ("cosine", 5, True),
])  # fmt: skip
def test_the_pathwise_derivative_of_the_mean_can_be_the_noisier_one(function, k, worse):
    made = toy(function, k)
    pathwise, score = (made.variances(estimator(name), ONE)["encoder.mean"] for name in ("reparam", "reinforce"))
    assert (pathwise > score) == worse


@pytest.mark.parametrize("t", [0.45, 0.49, 0.499])
def test_one_bit_has_its_closed_forms(t):
    made = problem(**BIT | {"t": t})
    p = 1 / (1 + math.exp(-0.6))
    v, gap = p * (1 - p), 1 - 2 * t
    close(made.value(), p * (1 - t) ** 2 + (1 - p) * t**2)
    close(made.gradient(), [v * gap])
    close(variance(made, "rloo", k=2), [v * gap**2 * (0.5 - v)])
    close(variance(made, "disarm"), [gap**2 * v * (max(p, 1 - p) / 2 - v)])
    close(variance(made, "straight_through"), [4 * v**3])
    close(variance(made, "reinforce"), [v * ((1 - p) * (1 - t) ** 4 + p * t**4) - (v * gap) ** 2])


def test_three_coupled_bits_have_their_anchors():
    made = problem(**COUPLED)
    close(made.value(), 2.391400921504148, 1e-14)
    close(made.gradient(), [0.01865208589731296, 0.3989724843577506, -0.02695848095446493], 1e-13)
    traces = {"reinforce": 5.8466016479, "rloo": 1.3263941256, "disarm": 0.7575449097}
    for name, trace in traces.items():
        hyper = {"k": 2} if name == "rloo" else {}
        assert abs(made.variances(estimator(name, **hyper), ONE)["latent"] - trace) < 1e-10


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_moments_of_independent_bits_are_those_of_an_enumeration(power):
    made = bits(3, power=power)

    class Enumerated(BernoulliCoupled):
        cost = BernoulliBits.cost
        t, power = made.t, made.power

    slow = Enumerated()
    slow.encoder.logits.data = made.encoder.logits.data
    for fast, summed in zip(made.moments(), slow.moments(), strict=True):
        close(fast, summed, 1e-10)
    close(made.antithetic(), slow.antithetic(), 1e-10)
    close(made.straight_through(), slow.straight_through(), 1e-10)


CASES = [
    (BIT, "rloo", {"k": 3}, 0), (BIT, "rloo", {"k": 5}, 0), (BIT, "vargrad", {"k": 4}, 0),
    (BIT, "reinforce_constant", {"value": 0.3}, 0), (BIT, "straight_through", {"k": 2}, 0),
    (COUPLED, "rloo", {"k": 2}, 0), (COUPLED, "rloo", {"k": 3}, 0), (COUPLED, "reinforce", {"k": 2}, 0),
    (COUPLED, "straight_through", {}, 0),
    ({"name": "gaussian_quadratic", "k": -0.5, "mean": 0.7, "std": 1.3}, "rloo", {"k": 2}, 8),
    ({"name": "gaussian_quadratic", "k": -0.5, "mean": 0.7, "std": 1.3}, "reparam", {"k": 2}, 8),
    ({"name": "gaussian_cosine", "k": 0.9, "mean": 0.7, "std": 1.3}, "reinforce", {}, 40),
    ({"name": "gaussian_exp", "k": 0.3, "mean": 0.7, "std": 0.8}, "reparam", {}, 60),
    ({"name": "gaussian_cosine", "k": 0.9, "mean": 0.7, "std": 1.3}, "antithetic", {}, 40),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "name", "hyper", "nodes"), CASES)
def test_variances_are_those_of_the_estimators_over_all_their_noise(settings, name, hyper, nodes):
    made, used = problem(**settings), estimator(name, **hyper)
    outcomes = points(made.encode(torch.zeros(1, 1)).detach(), used.k, nodes)
    params = outcomes.q.params.requires_grad_()
    objective = Objective(made, used, beta=0.0)
    loss = objective.estimate(outcomes.q.with_params(params), torch.zeros(1, 1)).loss
    (gradient,) = torch.autograd.grad(loss.sum(), [params])
    gradient, weights = gradient.squeeze(1), outcomes.weights
    close(made.variance(used), weights @ gradient**2 - (weights @ gradient) ** 2)
    with pytest.raises(AssertionError):
        close(1.001 * made.variance(used), weights @ gradient**2 - (weights @ gradient) ** 2)


def test_what_is_not_known_is_not_claimed():
    bit, line = problem(**BIT), toy("cosine", 1.0)
    for name in ("rebar", "gumbel_softmax", "nvil", "straight_through_identity", "straight_through_annealed"):
        changes = {"temperature": 0.7} if name == "straight_through_annealed" else {}
        assert bit.variances(estimator(name, **changes), ONE) == {}, name
    for name in ("reparam_cv", "lax", "nvil"):
        assert line.variances(estimator(name), ONE) == {}, name
    regression = problem("logistic_regression")
    assert (regression.value(), regression.gradient(), regression.variance(estimator("reparam"))) == (None, None, None)


def test_a_batch_divides_the_variance():
    made = toy("quadratic", 0.0)
    one, ten = (made.variances(estimator("reparam"), torch.zeros(1, n, 1)) for n in (1, 10))
    assert one.keys() == {"latent", "encoder", "encoder.mean", "encoder.log_std"}
    assert one["encoder"] == pytest.approx(one["encoder.mean"] + one["encoder.log_std"])
    assert all(ten[part] == pytest.approx(one[part] / 10) for part in one)


def test_polynomial_programming_is_the_mean_of_powers():
    made = problem("bernoulli_bits", dim=128, t=0.45, power=3.0, logit=0.0)
    z = made.encode(torch.zeros(2, 1)).sample(5)
    assert z.shape == (5, 2, 128)
    ones = z.sum(-1)
    close(made.cost(torch.zeros(2, 1), z), (ones * 0.55**3 + (128 - ones) * 0.45**3) / 128, 1e-12)
    close(made.gradient(), torch.full((128,), 0.25 * (0.55**3 - 0.45**3) / 128), 1e-12)


def test_a_function_that_has_no_mean_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"^gaussian_exp is exp\(-k x\^2\), bounded where problem\.k is 0 or more;"):
        toy("exp", -0.1)


def test_every_problem_has_a_family_and_a_name_of_its_own():
    assert {cls.family for cls in PROBLEMS.values()} == {Bernoulli, Gaussian, Sequence}
    assert all(cls.name == name for name, cls in PROBLEMS.items())
