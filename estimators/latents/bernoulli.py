"""Independent bits."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.latents.base import Discrete


class Bernoulli(Discrete):
    """Independent bits. `params [..., B, D]`: logits. z `[K, ..., B, D]` in {0, 1}."""

    family = "bernoulli"

    @property
    def logits(self) -> Tensor:
        return self.params

    @property
    def probs(self) -> Tensor:
        return torch.sigmoid(self.logits)

    @property
    def states(self) -> int:
        return 2 ** self.logits.shape[-1]

    def uniform(self, k: int) -> Tensor:
        """Uniform noise `[K, ..., B, D]`, strictly inside (0, 1). A bit is 1 where u > 1 - p."""
        eps = torch.finfo(self.logits.dtype).eps
        u = torch.rand(k, *self.logits.shape, dtype=self.logits.dtype, device=self.logits.device)
        return u.clamp(eps, 1 - eps)

    def sample(self, k: int) -> Tensor:
        return (self.uniform(k) > torch.sigmoid(-self.logits.detach())).to(
            self.logits.dtype
        )  # as harden(perturbed), faster

    def perturbed(self, k: int) -> Tensor:
        return self.logits + torch.logit(self.uniform(k))

    def conditional(self, z: Tensor) -> Tensor:
        # For a 1, u = 1 - p + p v, and logit + logit(u) = softplus(logit(v) + softplus(logit)); a 0 mirrors it. In this
        # form no rounding can turn the bit, however improbable it is.
        sign = 2 * z - 1
        return sign * F.softplus(sign * torch.logit(self.uniform(z.shape[0])) + F.softplus(sign * self.logits))

    def soften(self, perturbed: Tensor, temperature: float | Tensor) -> Tensor:
        return torch.sigmoid(perturbed / temperature)

    def harden(self, perturbed: Tensor) -> Tensor:
        return (perturbed > 0).to(perturbed.dtype)

    def log_prob(self, z: Tensor) -> Tensor:
        return (z * self.logits - F.softplus(self.logits)).sum(-1)

    def standard(self) -> Self:
        return type(self)(torch.zeros_like(self.params[..., :1, :]))

    def kl(self, prior: Any = None) -> Tensor:
        prior_logits = torch.zeros_like(self.logits) if prior is None else prior.logits
        terms = self.probs * (self.logits - prior_logits) - F.softplus(self.logits) + F.softplus(prior_logits)
        return terms.sum(-1)

    def enumerate(self, start: int = 0, stop: int | None = None) -> Tensor:
        size = self.logits.shape[-1]
        index = torch.arange(start, 2**size if stop is None else stop, device=self.logits.device)
        bits = index[:, None] >> torch.arange(size, device=index.device) & 1  # [S, D]
        return bits.to(self.logits.dtype).view(-1, *[1] * len(self.batch_shape), size)
