"""Even noise has the law that was asked for, with its parameters, however PyTorch is asked."""

import math

import pytest
import torch
from torch.distributions import Normal

from bench.check.quasi import Quasi

R = 2 * 256  # two groups
MEAN, STD = torch.tensor([[1.0], [-2.0]], dtype=torch.float64), torch.linspace(0.5, 3, R, dtype=torch.float64)


def even(draw):
    """What `draw` draws `[2, R]`, always from the same points."""
    with torch.random.fork_rng([]), Quasi(2, R // 2, 2, seed=5) as mode:
        drawn = draw()
    assert (drawn.shape, mode.used) == ((2, R), 2)
    return drawn


def empty():
    return torch.empty(2, R, dtype=torch.float64)


Z = even(empty().normal_)
FORMS = {
    "standard": (lambda: torch.randn(2, R, dtype=torch.float64), Z),
    "two tensors": (lambda: torch.normal(MEAN.expand(2, R), STD), MEAN + STD * Z),
    "a tensor and a number": (lambda: torch.normal(MEAN.expand(2, R), 3.0), MEAN + 3 * Z),
    "a tensor alone": (lambda: torch.normal(MEAN.expand(2, R)), MEAN + Z),
    "a number and a tensor": (lambda: torch.normal(-1.0, STD.expand(2, R)), -1 + STD * Z),
    "two numbers": (lambda: torch.normal(-1.0, 3.0, (2, R), dtype=torch.float64), -1 + 3 * Z),
    "by name": (lambda: torch.normal(std=STD, mean=MEAN.expand(2, R)), MEAN + STD * Z),
    "in place": (lambda: empty().normal_(std=3.0), 3 * Z),
    "out": (lambda: torch.normal(MEAN.expand(2, R), 3.0, out=empty()), MEAN + 3 * Z),
    "a distribution": (lambda: Normal(MEAN, STD).sample(), MEAN + STD * Z),
    "its derivative": (lambda: Normal(MEAN, STD).rsample(), MEAN + STD * Z),
}


@pytest.mark.parametrize("form", FORMS)
def test_normal_noise_has_its_mean_and_standard_deviation(form):
    draw, expected = FORMS[form]
    torch.testing.assert_close(even(draw), expected)


def test_uniform_and_exponential_noise_have_their_parameters():
    u = even(empty().uniform_)
    torch.testing.assert_close(even(lambda: torch.rand_like(empty())), u)
    torch.testing.assert_close(even(lambda: empty().uniform_(-1, 4)), 5 * u - 1)
    torch.testing.assert_close(even(lambda: empty().exponential_(0.5)), -2 * torch.log1p(-u))


def test_even_noise_integrates_far_closer_than_independent_noise():
    """The means of x^2 and exp(x / 4) miss those of the law by less than half the error of independent draws."""
    x = even(lambda: torch.normal(MEAN.expand(2, R), 3.0))
    for found, exact, error in (
        (x.square(), MEAN.square() + 9, (162 + 36 * MEAN.square()).sqrt()),
        ((x / 4).exp(), (MEAN / 4 + 9 / 32).exp(), (MEAN / 4 + 9 / 32).exp() * math.sqrt(math.expm1(9 / 16))),
    ):
        assert ((found.mean(1, keepdim=True) - exact).abs() < 0.5 * error / math.sqrt(R)).all()


def test_noise_that_replicas_share_or_of_another_law_stays():
    torch.manual_seed(0)
    with Quasi(2, R // 2, 2, seed=5) as mode:
        torch.normal(torch.zeros(3), 2.0), torch.empty(R).log_normal_()
    assert mode.used == 0
