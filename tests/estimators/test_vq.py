"""Past the quantisation of a vector: the points where the cost is asked, and their slopes, against the formulas of the
papers written out with matrices. What is particular to the rotation is in `test_vq_rotation`."""

import math

import pytest
import torch

from bench.measure.gradient.draws import take
from bench.model.objective import Objective
from estimators import VQ, Bernoulli
from estimators.diveq import DiVeQ
from estimators.nsvq import NSVQ
from estimators.vq_rotation import VQRotation
from estimators.vq_straight_through import VQStraightThrough
from tests.support.quantised import jacobian, make, placed, single
from tests.support.small import images, vae

EVERY = [VQStraightThrough, VQRotation, NSVQ, DiVeQ]
LEARNING = [NSVQ, DiVeQ]  # the codes learn from the cost
ids = {"ids": lambda value: value.name if hasattr(value, "name") else None}


def fixed_noise(q, noise):
    """The same q, whose noise is the given `[K, ..., B, N, d]`."""
    fixed = type("Fixed", (VQ,), {"normal": lambda self, k: noise})(q.params, q.codebook, q.temperature)
    return fixed


@pytest.mark.parametrize("cls", LEARNING, **ids)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_error_is_as_long_as_that_of_the_code(cls, temperature):
    q = make(temperature, (2, 5))
    torch.manual_seed(3)
    codes = q.quantised(q.sample(3))
    torch.manual_seed(3)
    error = (placed(cls(k=3), q) - q.params).norm(dim=-1)
    torch.testing.assert_close(error, (codes - q.params).norm(dim=-1), rtol=0, atol=1e-12)


def isotropy(estimator):
    """z-scores of the mean and second moments of the error's direction, against the uniform distribution of 3-D."""
    q = single([0.4, -0.2, 0.9], [1.0, 0.5, 0.1])
    with torch.no_grad():
        directions = (placed(estimator, q) - q.params).flatten(0, -2)  # [K, d]
        directions = directions / directions.norm(dim=-1, keepdim=True)
    centred = [directions, directions[:, :, None] * directions[:, None] - torch.eye(3, dtype=torch.float64) / 3]
    return max((v.mean(0) / (v.std(0) / len(v) ** 0.5)).abs().max().item() for v in centred)


def test_the_substituted_noise_has_no_direction():
    assert isotropy(NSVQ(k=200_000)) < 4.5  # means off by 0.006 would be found
    assert isotropy(DiVeQ(k=200_000, std=3.0)) > 50


@pytest.mark.parametrize("estimator", [NSVQ(2), DiVeQ(2), DiVeQ(2, std=0.5), DiVeQ(2, std=0.0)], ids=repr)
def test_slopes_of_vector_and_code_are_those_of_the_papers(estimator):
    q, noise = single([0.4, -0.2, 0.9], [1.0, 0.5, 0.1]), torch.randn(2, 1, 1, 3, dtype=torch.float64)
    vectors = placed(estimator, fixed_noise(q, noise))[:, 0, 0]  # [K, d]
    error = (q.codebook[0] - q.params[0, 0]).detach()
    along = error / error.norm()
    for v, n in zip(vectors, noise[:, 0, 0], strict=True):
        push = n if isinstance(estimator, NSVQ) else error + estimator.std * n
        direction = push / push.norm()
        torch.testing.assert_close(v, q.params[0, 0] + error.norm() * direction, rtol=0, atol=1e-12)
        through_length = torch.outer(direction, along)
        torch.testing.assert_close(jacobian(v, q.codebook)[:, 0], through_length, rtol=0, atol=1e-12)
        eye = torch.eye(3, dtype=torch.float64)
        torch.testing.assert_close(jacobian(v, q.params)[:, 0, 0], eye - through_length, rtol=0, atol=1e-12)


def test_diveq_leads_from_the_code_to_noise_substitution():
    q = make()
    noise = torch.randn(2, *q.params.shape, dtype=torch.float64)
    q = fixed_noise(q, noise)
    codes = q.quantised(q.sample(2))
    torch.testing.assert_close(placed(DiVeQ(2, std=0.0), q), codes, rtol=0, atol=1e-12)
    torch.testing.assert_close(placed(DiVeQ(2, std=1e12), q), placed(NSVQ(2), q), rtol=0, atol=1e-9)


@pytest.mark.parametrize("estimator", [NSVQ(), DiVeQ(), DiVeQ(std=0.0)], ids=repr)
def test_a_vector_on_its_code_stays_there_with_the_slope_of_straight_through(estimator):
    q = single([1.0, -2.0, 0.5], [1.0, -2.0, 0.5])
    vectors = placed(estimator, q)
    assert torch.equal(vectors[0], q.params)
    assert torch.equal(jacobian(vectors, q.params)[:, 0, 0], torch.eye(3, dtype=torch.float64))
    assert not jacobian(vectors, q.codebook).any()


def interacting(z, q=None):
    """A cost of placed vectors of width 3 in which every pair of positions interacts."""
    flat = z[..., -3:].flatten(-2)
    return flat.prod(-1) + flat.sum(-1).sin() + (flat[..., 0] * flat[..., -1]).exp()


@pytest.mark.parametrize("cls", EVERY, **ids)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_estimate_is_the_mean_over_samples_and_examples_never_meet(cls, temperature):
    q = make(temperature, (2, 5))
    torch.manual_seed(3)
    vectors = placed(cls(k=3), q)
    expected = interacting(vectors).mean(0)
    torch.manual_seed(3)
    estimate = cls(k=3)(q, interacting, None)
    assert estimate.cost.shape == (2, 5)
    torch.testing.assert_close(estimate.cost, expected, rtol=0, atol=1e-12)
    both = [torch.autograd.grad(v.sum(), q.params, retain_graph=True)[0] for v in (estimate.loss, expected)]
    torch.testing.assert_close(*both, rtol=0, atol=1e-12)
    (alone,) = torch.autograd.grad(estimate.loss[1, 2], q.params)
    rest = alone.clone()
    rest[1, 2] = 0
    assert alone[1, 2].any()
    assert not rest.any()


@pytest.mark.parametrize("cls", EVERY, **ids)
def test_what_they_refuse(cls):
    assert cls().refuses(make(0.0)) is None
    assert cls().refuses(make(0.7)) is None
    assert "made for vq" in cls().refuses(Bernoulli(torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="k >= 1; got k=0"):
        cls(k=0)
    assert "set objective.kl=analytic" in Objective(vae("vq"), cls(), kl="sampled").impossible(make(0.7))


def test_diveq_refuses_a_negative_std():
    with pytest.raises(ValueError, match="std 0 or more; got std=-1"):
        DiVeQ(std=-1)


@pytest.mark.parametrize("cls", [VQStraightThrough, VQRotation], **ids)
def test_only_the_substitutes_are_noisy_at_temperature_zero(cls):
    q = make()
    assert torch.equal(placed(cls(), q), placed(cls(), q))
    for noisy in LEARNING:
        assert not torch.equal(placed(noisy(), q), placed(noisy(), q))


@pytest.mark.parametrize(("rule", "layer"), [("gradient", "codebook.lookup"), ("simvq", "codebook.transform")])
def test_measuring_sees_what_the_codebook_learns_from_the_cost(rule, layer):
    model = vae("vq", {"codebook": rule, "temperature": 0.0, "codebook_weight": 0.0, "commitment_weight": 0.0})
    objective, x = Objective(model, DiVeQ(std=0.0)), images(3)
    (weight,) = model.get_submodule(layer).parameters()
    (expected,) = torch.autograd.grad(objective.estimate(model.encode(x), x).loss.mean(), weight)
    assert math.sqrt(expected.square().sum()) > 1e-4
    measured = take(objective, x, 1)[layer].mean().view(expected.mT.shape).mT
    torch.testing.assert_close(measured, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("estimator", "draws"), [(NSVQ, 16), (DiVeQ, 16), (VQStraightThrough, 1)], **ids)
def test_a_point_mass_is_drawn_once_unless_the_estimator_has_noise_of_its_own(estimator, draws):
    tallies = take(Objective(vae("vq", {"temperature": 0.0}), estimator()), images(5), 16)
    assert int(tallies["latent"].counts.sum()) == draws
    assert (float(tallies["latent"].squares.sum()) > 0) == (draws > 1)
