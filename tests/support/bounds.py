"""K-sample bounds in closed form."""

import torch
from torch import nn

from estimators import Gaussian
from estimators.bounds import bound
from tests.support.costs import SampledKL, small_latents
from tests.support.enumerate import ExactMoments, outcomes

X = torch.zeros(1, 3, dtype=torch.float64)


DISCRETE = ("bernoulli", "categorical", "vq")


def label(estimator):
    return "-".join(
        [estimator.name, *(str(v) for n, v in vars(estimator).items() if n in ("k", "mean", "gamma", "draws"))]
    )


def weights_cost(family, examples=1):
    """The first examples of q, and -log w: a nonlinear likelihood times the standard prior over q."""
    if family == "gaussian":
        q, cost = Gaussian(torch.tensor([[0.3, -0.4]], dtype=torch.float64)), OneCoordinate()
    else:
        q, cost = small_latents()[family]
        q = q.with_params(q.params[:examples])
    return q, SampledKL(cost, q)


class OneCoordinate(nn.Module):
    """A cost of one coordinate with a parameter that interacts with it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def forward(self, z, q=None):
        return (self.weight * z[..., 0] - 0.4) ** 2 + (0.3 * z[..., 0]).exp()


def true_bound(q, cost, k, nodes=30):
    """The gradient of -E L_K, from the density of K points that do not move: `q` lives in it and in log w alone."""
    live = q.with_params(q.params.detach().clone().requires_grad_())
    points, weights = outcomes(q, k, nodes)  # [K, J, B, *], [J]
    points = q.mean + q.std * points if isinstance(q, Gaussian) else points
    ratio = (live.log_prob(points) - q.log_prob(points).detach()).sum((0, -1)).exp()  # [J], all 1
    expected = weights * ratio @ -bound(cost(points, live))  # [B]
    gradient, decoder = torch.autograd.grad(expected.sum(), [live.params, *cost.parameters()])
    return ExactMoments(gradient, torch.zeros_like(gradient), decoder, expected.detach())
