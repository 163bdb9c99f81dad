"""Residual quantisers small enough to enumerate."""

from typing import Any

import torch
from torch import Tensor

from bench.check.measured import MODEL
from bench.config.plugins import estimator
from bench.model.residual import Residual
from bench.model.staged import Staged
from tests.support.layers import SMALL, images
from tests.support.small import LATENTS


def residual(stages: int = 2, detach: bool = True, prior: str = "learned", **latent: Any) -> Residual:
    """A model of 2x2 images with one position of three codes at each stage; codes and prior differ between them."""
    small = {"positions": 1, "dim": 2, "codes": 3, "temperature": 1.5, "stages": stages, "residual_detach": detach}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        group = MODEL | {"hidden": [], "prior": prior}
        made = Residual(LATENTS["vq"] | small | latent, group, (1, 2, 2), torch.full((4,), 0.4)).double()
        for parameter in made.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return made


def staged(model: Residual, name: str, kl: str = "analytic", beta: float = 1.0, **hyper: Any) -> Staged:
    """The model's objective under an estimator whose lazy layers have their size."""
    objective = Staged(model, estimator(name, **(SMALL.get(name, {}) | hyper)).double(), kl, beta)
    q = model.encode(images())
    assert objective.impossible(q) is None
    objective.estimate(q, images())
    objective.estimator.double()
    return objective


def enumerated(model: Residual, x: Tensor, beta: float = 1.0) -> Tensor:
    """E -log p(x|z) + beta KL of each image `[B]`, state by state of all stages: log q is summed, no KL in closed
    form."""
    vectors = model.encode(x).params

    def rest(stage: int, total: Tensor | None, log_q: Any, log_p: Any) -> Any:
        q = model.codebook.posterior(stage, vectors, total)
        found: Any = 0.0
        for state in q.enumerate():
            z = state.expand(len(x), *state.shape[1:])
            own = log_q + q.log_prob(z[None])[0]
            prior = log_p + (model.prior_of(stage) or q.standard()).log_prob(z[None])[0]
            codes = model.codebook.added(stage, z, total)
            if stage < model.layers:
                found = found + rest(stage + 1, codes, own, prior)
            else:
                found = found + own.exp() * (beta * (own - prior) - model.log_likelihood(x, codes[None])[0])
        return found

    return rest(1, None, 0.0, 0.0)
