"""EM: the decoder under the exact posterior, the encoder towards it.

* A. P. Dempster, N. M. Laird, D. B. Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, Journal of the
  Royal Statistical Society B 39, 1977.
* R. M. Neal, G. E. Hinton, A View of the EM Algorithm that Justifies Incremental, Sparse, and other Variants, Learning
  in Graphical Models, 1998.
"""

from decimal import Decimal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from estimators.base import Cost, Estimate, Estimator
from estimators.chunks import at_once
from estimators.latents import VQ, Bernoulli, Categorical, Discrete
from estimators.latents.base import possible


class EM(Estimator[Discrete]):
    """Sum over all states under the posterior, which is known where they can be enumerated.

        decoder:  sum_s r_s d cost(z_s),   r = p(z|x) = softmax(log q(z_s) - cost(z_s)), held constant
        q:        -sum_s r_s d log q(z_s), the gradient of KL(p(z|x) || q)

    with cost(z) = -log w(z) = log q(z) - log p(x, z), so that q drops out of r. The decoder's gradient is that of
    -log p(x), exactly and whatever q is: the M-step's direction after a full E-step. q's is not the gradient of a
    bound, and is not meant to be, hence biased: q learns to imitate the posterior that the decoder never asks it for.
    Reweighted wake-sleep tends to both as its samples grow. Nothing is drawn. Its `cost` is -log p(x). Cost
    evaluations per estimate: one for each state, shared by all examples. States that are too many for the memory are
    taken in chunks, each weighed first and computed again.

    Args:
        limit: the largest number of states to sum over.

    Raises:
        ValueError: from `forward`, where there are more states than `limit`.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = False
    noiseless = True
    objective = "iwae"
    evaluations = "C**D / 0"
    paper = "Dempster, Laird & Rubin 1977"

    def __init__(self, limit: int = 2**14):
        super().__init__()
        if limit < 1:
            raise ValueError(f"EM sums over states, so it needs limit >= 1; got limit={limit}.")
        self.limit = limit

    def refuses(self, q: Discrete) -> str | None:  # type: ignore[override]
        if reason := super().refuses(q):
            return reason
        if q.states > self.limit:
            return (
                f"{self.name} would sum over {Decimal(q.states):.3g} states of this {q.family} latent, more than "
                f"limit={self.limit}; take fewer coordinates, raise the limit, or use reweighted_wake_sleep."
            )
        return None

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        if reason := self.refuses(q):
            raise ValueError(reason)
        size = at_once(q.params, max(q.params.numel(), x.numel()))
        if size >= q.states:
            log_q, c = scored(q, cost, 0, q.states)
            evidence = (log_q - c).detach().logsumexp(0)  # log p(x) [..., B]
            return Estimate(loss=expected(log_q, c, evidence), cost=-evidence)
        chunks = [(start, min(start + size, q.states)) for start in range(0, q.states, size)]
        with torch.no_grad():
            evidence = torch.stack([weighed(q, cost, *c) for c in chunks]).logsumexp(0)

        def part(start: int, stop: int) -> Tensor:
            return expected(*scored(q, cost, start, stop), evidence)

        loss = sum(checkpoint(part, *c, use_reentrant=False, preserve_rng_state=False) for c in chunks)
        return Estimate(loss=loss, cost=-evidence)


def scored(q: Discrete, cost: Cost, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """log q(z), which differentiates q, and -log w(z), which differentiates the decoder alone; `[S, ..., B]` each.

    A state that q rules out has no weight, whatever it costs, as it has none in reweighted wake-sleep.
    """
    z = q.enumerate(start, stop)  # [S, 1, ..., 1, *]
    log_q = q.log_prob(z)
    return log_q, possible(log_q, cost(z))


def weighed(q: Discrete, cost: Cost, start: int, stop: int) -> Tensor:
    """Log of the part `[..., B]` of p(x) that states start..stop make up."""
    log_q, c = scored(q, cost, start, stop)
    return (log_q - c).logsumexp(0)


def expected(log_q: Tensor, c: Tensor, evidence: Tensor) -> Tensor:
    """The part `[..., B]` of the mean of -log w(z) - log q(z) under the posterior that these states make up."""
    posterior = (log_q - c - evidence).exp().detach()
    return (posterior * (c - possible(log_q, log_q))).sum(0)
