"""The negative evidence lower bound, split into what an estimator estimates and what needs no estimation."""

import torch
from torch import Tensor

from bench.model.vae import Model
from bench.problems import Problem
from estimators import VQ, Cost, Estimate, Estimator, Latent


class Objective:
    """-ELBO per example, in nats: `estimate(q, x).loss + fixed(q)`.

    With `kl="analytic"` the cost is -log p(x|z) and `fixed` holds beta KL(q||p); with `kl="sampled"` the cost is
    -log p(x|z) + beta (log q(z) - log p(z)). A K-sample bound needs the latter with beta = 1: its cost is -log w(z).
    """

    def __init__(self, model: Model, estimator: Estimator, kl: str = "analytic", beta: float = 1.0):
        self.model, self.estimator, self.beta = model, estimator, beta
        self.sampled = kl == "sampled"

    def under(self, estimator: Estimator) -> "Objective":
        """The same objective with another estimator."""
        kl = "sampled" if self.sampled else "analytic"
        return Objective(self.model, estimator.to(next(self.model.parameters()).device), kl, self.beta)

    def impossible(self, q: Latent) -> str | None:
        """One sentence saying why this estimator cannot serve this objective, or None."""
        name, needs = self.estimator.name, self.estimator.kl
        kl = "sampled" if self.sampled else "analytic"
        if isinstance(self.model, Problem) and not self.model.has_prior and self.beta:
            return f"{self.model.name} has no prior, hence no KL: set objective.beta=0."
        if self.estimator.objective == "iwae" and (not self.sampled or self.beta != 1):
            return f"{name} bounds log p(x) by K samples of -log w(z): set objective.kl=sampled objective.beta=1."
        if needs not in ("any", kl):
            return f"{name} is defined for the {needs} KL and does nothing of its own here: set objective.kl={needs}."
        if q.deterministic and self.sampled:
            return "A deterministic posterior has no log q(z): set objective.kl=analytic or latent.temperature above 0."
        return self.estimator.refuses(q)

    def cost(self, q: Latent, x: Tensor) -> Cost:
        """The cost of points for this q and these images `x [B, X]`."""
        frozen = q.detach()

        def cost(z: Tensor, q: Latent | None = None) -> Tensor:
            nats = -self.model.log_likelihood(x, z)
            if self.sampled:
                posterior = frozen if q is None else q
                nats = nats + self.beta * (posterior.log_prob(z) - self.model.log_prior(z, frozen))
            return nats

        return cost

    def estimate(self, q: Latent, x: Tensor) -> Estimate:
        """One draw of the estimator: `q.params [..., B, *]`, `x [B, X]`."""
        return self.estimator(q, self.cost(q, x), x)

    def fixed(self, q: Latent) -> Tensor:
        """What needs no estimation `[..., B]`: beta KL(q||p) when analytic, codebook losses of a VQ model."""
        total = torch.zeros((), dtype=q.params.dtype, device=q.params.device).expand(q.batch_shape)
        if not self.sampled:
            total = total + self.beta * q.kl(self.model.prior())
        if isinstance(q, VQ) and self.model.codebook is not None:
            total = total + self.model.codebook.loss(q)
        return total
