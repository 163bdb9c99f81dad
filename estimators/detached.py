"""Sampling without any gradient estimator: a negative control, not a published method."""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence
from estimators.latents.base import finite


class Detached(Estimator):
    """The mistake of sampling without reparameterising: the decoder learns, the encoder gets only the KL.

        d cost(z),   z held

    Biased: nothing tells q what its samples cost. With an analytic KL the encoder follows the KL alone; with a sampled
    KL it gets nothing. Cost evaluations per estimate: 1.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = False
    evaluations = "1 / 0"
    deterministic = True

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.sample(1)).squeeze(0)  # [..., B]
        zero = 0 * finite(q.params).sum(tuple(range(-q.event_ndim, 0)))  # q's gradient is zero, rather than undefined
        return Estimate(loss=c + zero, cost=c)
