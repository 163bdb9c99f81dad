"""What has no noise is measured as none, and measuring changes nothing."""

import math

import pytest
import torch

from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from estimators.detached import Detached
from estimators.exact import Exact
from estimators.vq_straight_through import VQStraightThrough
from tests.support.objectives import CASES, CONV, objective_of
from tests.support.small import images, vae


@pytest.mark.parametrize(("model", "dtype"), [({}, "float32"), ({}, "float64"), (CONV, "float64")])
def test_no_noise_is_exactly_none(model, dtype):
    dtype = getattr(torch, dtype)
    objective, probe = Objective(vae("bernoulli", **model).to(dtype), Exact()), images(2, 3).to(dtype)
    objective.estimator.noiseless = False  # draw it as often as any other
    for row in measure(objective, probe, 40, seed=0):
        assert row["variance_noise"] == row["variance_noise_se"] == 0 < row["norm_sq"]
        assert math.isnan(row["snr"])
    latent, encoder, decoder = measure(Objective(objective.model, Detached()), probe, 40, seed=0)
    assert latent["variance_noise"] == encoder["variance_noise"] == 0 < decoder["variance_noise"]


@pytest.mark.parametrize("model", [{}, CONV], ids=["mlp", "conv"])
def test_a_deterministic_posterior_has_no_noise(model):
    objective = Objective(vae("vq", {"temperature": 0.0}, **model).float(), VQStraightThrough(2))
    for row in measure(objective, images(2, 3).float(), 40, seed=0):
        assert row["variance_noise"] == row["variance_noise_se"] == 0 < row["norm_sq"]


@pytest.mark.parametrize("case", CASES)
def test_measuring_leaves_everything_as_it_was(case):
    objective, probe = objective_of(case), images(2, 3)
    modules = (objective.model, objective.estimator)
    before = [[(n, v, v.clone()) for n, v in m.state_dict(keep_vars=True).items()] for m in modules]
    state = torch.get_rng_state()
    measure(objective, probe, 5, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    for module, kept in zip(modules, before, strict=True):
        now = module.state_dict(keep_vars=True)
        assert list(now) == [name for name, _, _ in kept]
        for name, tensor, value in kept:
            assert now[name] is tensor
            assert torch.equal(tensor, value)
            assert tensor.grad is None
