"""Which estimators take a family that the suite does not have, and that they are unbiased on it."""

import pytest
import torch

import bench
from bench.check.support import support
from bench.config import plugins
from estimators import FAMILIES, Enumerable
from tests.support.planted_families import Die, Laplace

FINITE = {family for family in FAMILIES.values() if issubclass(family, Enumerable)}
REPLICAS = 40_000
DIE, LAPLACE = torch.tensor([[0.3, -0.4, 0.8]]).double(), torch.tensor([[0.4, -0.2, 0.1, -0.5]]).double()


def made(family, params):
    return Die(params, 0.5) if family is Die else family(params)


def cost(z, q=None):
    return (z - 0.6).square().sum(-1) + torch.sin(2 * z.sum(-1))


def families(name):
    return set(plugins.registry()[name].cls.latents)


def takes(name, q):
    return bench.estimator(name).refuses(q) is None


@pytest.mark.parametrize("name", plugins.registry())
def test_a_family_from_elsewhere_is_taken_by_whoever_takes_all_that_are_as_general(name):
    assert takes(name, Die(DIE, 0.5)) == (families(name) >= FINITE)
    paths = name == "reparam" or (families(name) >= set(FAMILIES.values()) and name != "exact")
    assert takes(name, Laplace(LAPLACE)) == paths


def test_exact_sums_over_the_states_of_a_new_family_and_refuses_what_has_none():
    params = DIE.clone().requires_grad_()
    loss = bench.estimator("exact")(Die(params, 0.5), cost, torch.zeros(1, 0)).loss.sum()
    (found,) = torch.autograd.grad(loss, [params])
    probs = (params / 0.5).softmax(-1)
    (wanted,) = torch.autograd.grad((probs * cost(torch.arange(3.0).double()[:, None])).sum(), [params])
    assert torch.allclose(found, wanted, rtol=1e-12)
    assert "sums over states or integrates a Gaussian" in bench.estimator("exact").refuses(Laplace(LAPLACE))


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("reinforce", Die),
        ("rloo", Die),
        ("vargrad", Die),
        ("rloo", Laplace),
        ("reparam", Laplace),
        ("vargrad", Laplace),
    ],
)
def test_unbiased_estimators_are_so_on_a_new_family(name, family):
    params = DIE if family is Die else LAPLACE[:, ::2]  # one coordinate
    live = params.clone().requires_grad_()
    q = made(family, live)
    (wanted,) = torch.autograd.grad(support(q).mean(q.log_prob, cost), [live])
    each = params.expand(REPLICAS, -1).clone().requires_grad_()
    torch.manual_seed(0)
    loss = bench.estimator(name)(made(family, each), cost, torch.zeros(REPLICAS, 0)).loss
    (found,) = torch.autograd.grad(loss.sum(), [each])
    error = found.std(0) / REPLICAS**0.5
    off = ((found.mean(0) - wanted[0]) / error).abs().max()
    assert off < 4.5
    assert ((found.mean(0) - 1.1 * wanted[0]) / error).abs().max() > 4.5  # so a tenth of bias would be seen
