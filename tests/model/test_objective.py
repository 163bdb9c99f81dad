"""Objectives: the KL term analytic and sampled, and which objectives an estimator cannot train."""

import pytest
import torch

from bench.model.objective import Objective
from estimators import Latent
from estimators.detached import Detached
from estimators.exact import Exact
from estimators.reparam import Reparam
from estimators.rloo import RLOO
from estimators.stl import STL
from tests.support.small import images, vae


def gradients(objective: Objective, q: Latent, x: torch.Tensor) -> list[torch.Tensor]:
    wanted = [q.params, *objective.model.decoder.parameters(), objective.model.prior_params]
    loss = objective.estimate(q, x).loss + objective.fixed(q)
    return list(torch.autograd.grad(loss.sum(), wanted))


@pytest.mark.parametrize("beta", [1.0, 3.0])
@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq", "gaussian"])
def test_analytic_and_sampled_kl_have_the_same_expected_gradient(family, beta):
    latent = {"gaussian": {"dim": 2}, "bernoulli": {"dim": 3}}.get(family)
    model, x = vae(family, latent, prior="learned"), images(2)
    q = model.encode(x)
    exact = Exact(nodes=40)
    analytic, sampled = (gradients(Objective(model, exact, kl, beta), q, x) for kl in ("analytic", "sampled"))
    other = gradients(Objective(model, exact, "sampled", beta + 1), q, x)
    tolerance = 1e-6 if family == "gaussian" else 1e-10
    for a, b in zip(analytic, sampled, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
    assert (analytic[0] - other[0]).abs().max() > 1e-3


def test_q_is_frozen_in_the_cost_unless_it_is_handed_in():
    model, x = vae("bernoulli"), images(2)
    q = model.encode(x)
    z, cost = q.sample(3), Objective(model, RLOO(), "sampled", beta=2.0).cost(q, x)
    (live,) = torch.autograd.grad(cost(z, q).sum(), q.params, retain_graph=True)
    torch.testing.assert_close(live, 2 * (z - q.probs).sum(0), rtol=0, atol=1e-12)  # beta d log q(z)
    assert torch.autograd.grad(cost(z).sum(), q.params, allow_unused=True) == (None,)
    assert torch.equal(cost(z), cost(z, q))


def test_objectives_that_cannot_be():
    model = vae("gaussian")
    q, iwae, analytic = model.encode(images(2)), Reparam(), RLOO()
    iwae.objective, analytic.kl = "iwae", "analytic"
    for kl, beta in (("analytic", 1.0), ("sampled", 2.0)):
        assert "set objective.kl=sampled objective.beta=1" in Objective(model, iwae, kl, beta).impossible(q)
    assert Objective(model, iwae, "sampled").impossible(q) is None
    assert "set objective.kl=sampled" in Objective(model, STL()).impossible(q)
    assert Objective(model, STL(), "sampled").impossible(q) is None
    assert "set objective.kl=analytic" in Objective(model, analytic, "sampled").impossible(q)
    assert "does not differentiate bernoulli" in Objective(model, Reparam()).impossible(
        vae("bernoulli").encode(images(2))
    )
    point = vae("vq", {"temperature": 0.0})
    q = point.encode(images(2))
    assert "has no log q(z)" in Objective(point, Detached(), "sampled").impossible(q)
    assert "set latent.temperature above 0" in Objective(point, RLOO()).impossible(q)
    assert Objective(point, Detached()).impossible(q) is None
