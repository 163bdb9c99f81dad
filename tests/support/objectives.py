"""Objectives of small models."""

import torch

from bench.model.objective import Objective
from estimators.detached import Detached
from estimators.exact import Exact
from estimators.rebar import Rebar
from estimators.reinforce import Reinforce
from estimators.reparam import Reparam
from estimators.rloo import RLOO
from estimators.stl import STL
from estimators.vq_straight_through import VQStraightThrough
from tests.support.loop import CostInsideVjp
from tests.support.small import vae

CONV = {"arch": "conv", "hidden": [2, 3]}


LOOSE = {"prior": "learned", "likelihood": "gaussian", "learn_std": True}


CASES = {
    "rloo": ("bernoulli", RLOO(2), {}, "analytic"),
    "linear": ("bernoulli", RLOO(3), {"hidden": [], "signed_latent": True}, "sampled"),
    "conv": ("bernoulli", RLOO(2), CONV, "analytic"),
    "conv loose": ("gaussian", Reparam(2), CONV | LOOSE, "sampled"),
    "loose": ("gaussian", Reparam(2), LOOSE, "sampled"),
    "loose analytic": ("gaussian", Reparam(), LOOSE, "analytic"),
    "stl": ("gaussian", STL(2), {"prior": "learned"}, "sampled"),
    "loose categorical": ("categorical", RLOO(2), {"prior": "learned"}, "sampled"),
    "rebar": ("categorical", Rebar(2, scale=0.7).double(), {"hidden": [5, 4]}, "analytic"),
    "rebar vq": ("vq", Rebar(1, scale=0.7).double(), {"prior": "learned"}, "sampled"),
    "vq": ("vq", RLOO(2), {}, "analytic"),
    "vq straight-through": ("vq", VQStraightThrough(2), {}, "analytic"),
    "network": ("bernoulli", Reinforce(2, baseline="network", hidden=3).double(), {}, "analytic"),
    "detached": ("bernoulli", Detached(), LOOSE, "analytic"),
    "exact": ("bernoulli", Exact(), {"prior": "learned"}, "sampled"),
    "exact conv": ("gaussian", Exact(nodes=3), CONV, "analytic"),
    "inside vjp": ("bernoulli", CostInsideVjp(), {"prior": "learned"}, "sampled"),
}


def objective_of(case: str) -> Objective:
    family, estimator, model, kl = CASES[case]
    objective = Objective(vae(family, **model), estimator, kl=kl, beta=1.3)
    with torch.random.fork_rng([]), torch.no_grad():
        x = torch.zeros(1, 16, dtype=torch.float64)
        objective.estimate(objective.model.encode(x), x)  # lazy layers get their size
    return objective
