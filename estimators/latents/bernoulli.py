"""Independent bits."""

import math
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.latents.base import Discrete, limit, relative_entropy, with_impossible, zero_one


class Bernoulli(Discrete):
    """Independent bits. `params [..., B, D]`: logits. z `[K, ..., B, D]` in {0, 1}.

    A logit of -inf or inf makes a bit that is always 0 or 1. Values rarer than the spacing of uniform noise, 1e-7 in
    float32 and 2e-16 in float64, are never drawn; every probability is computed to its own last digits.
    """

    family = "bernoulli"

    @property
    def logits(self) -> Tensor:
        largest = limit(self.params.dtype)
        return F.hardtanh(self.params, -largest, largest)  # as `finite`, with a derivative of one kernel

    @property
    def probs(self) -> Tensor:
        return torch.sigmoid(self.logits)

    @property
    def states(self) -> int:
        return 2 ** self.params.shape[-1]

    def uniform(self, k: int) -> Tensor:
        """Uniform noise `[K, ..., B, D]`, strictly inside (0, 1). A bit is 1 where u > 1 - p."""
        eps = torch.finfo(self.params.dtype).eps
        u = torch.rand(k, *self.params.shape, dtype=self.params.dtype, device=self.params.device)
        return u.clamp(eps, 1 - eps)

    def sample(self, k: int) -> Tensor:
        # as harden(perturbed), faster; an infinite logit needs no `finite` here
        return zero_one(self.uniform(k) > torch.sigmoid(-self.params.detach()), self.params.dtype)

    def perturbed(self, k: int) -> Tensor:
        return self.logits + torch.logit(self.uniform(k))

    def conditional(self, z: Tensor) -> Tensor:
        # For a 1, u = 1 - p + p v, and logit + logit(u) = softplus(logit(v) + softplus(logit)); a 0 mirrors it. In this
        # form no rounding can turn the bit, however improbable it is. softplus(t) = -logsigmoid(-t): that of torch is
        # linear from 20 on.
        sign = 2 * z - 1
        inner = sign * torch.logit(self.uniform(z.shape[0])) - F.logsigmoid(-sign * self.logits)
        return -sign * F.logsigmoid(-inner)

    def soften(self, perturbed: Tensor, temperature: float | Tensor) -> Tensor:
        return torch.sigmoid(perturbed / temperature)

    def harden(self, perturbed: Tensor) -> Tensor:
        return zero_one(perturbed > 0, perturbed.dtype)

    def log_prob(self, z: Tensor) -> Tensor:
        # Both outcomes, each by itself: z * logit - softplus(logit) leaves no digit of log p where p is near 1.
        logits = self.logits
        return with_impossible(torch.lerp(F.logsigmoid(-logits), F.logsigmoid(logits), z).sum(-1))

    def score(self, z: Tensor) -> Tensor:
        logits = self.logits.detach()
        return torch.where(z > 0.5, torch.sigmoid(-logits), -torch.sigmoid(logits))

    def jacobian(self, slope: Tensor) -> Tensor:
        logits = self.logits.detach()
        variance = torch.sigmoid(logits) * torch.sigmoid(-logits)  # p (1 - p)
        return variance * slope.detach().masked_fill(variance == 0, 0)

    def standard(self) -> Self:
        return type(self)(torch.zeros_like(self.params[..., :1, :]))

    def kl(self, prior: Any = None) -> Tensor:
        logits, half = self.logits, -math.log(2)
        prior_ones = half if prior is None else F.logsigmoid(prior.logits)
        prior_zeros = half if prior is None else F.logsigmoid(-prior.logits)
        ones = relative_entropy(F.logsigmoid(logits), prior_ones)
        return (ones + relative_entropy(F.logsigmoid(-logits), prior_zeros)).sum(-1)

    def enumerate(self, start: int = 0, stop: int | None = None) -> Tensor:
        size = self.params.shape[-1]
        index = torch.arange(start, 2**size if stop is None else stop, device=self.params.device)
        bits = index[:, None] >> torch.arange(size, device=index.device) & 1  # [S, D]
        return bits.to(self.params.dtype).view(-1, *[1] * len(self.batch_shape), size)
