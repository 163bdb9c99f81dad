"""Independent categorical variables as one-hot vectors."""

import math
from abc import abstractmethod
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.latents.base import Discrete, finite, relative_entropy, with_impossible, zero_one


def log_probabilities(logits: Tensor) -> Tensor:
    """log softmax over the last axis; it and its gradient keep their last digits where a probability is near 1."""
    log_p = logits.log_softmax(-1)
    likely = log_p > -math.log(
        2
    )  # one category at most; log_softmax rounds its probability, not what is missing from 1
    rest = log_p.exp().masked_fill(likely, 0).sum(-1, keepdim=True)
    return torch.where(likely, torch.log1p(-rest.clamp(max=0.75)), log_p)


class OneHot(Discrete):
    """What Categorical and VQ share: D coordinates of C categories each, samples one-hot `[K, ..., B, D, C]`.

    A logit of -inf rules its category out; each coordinate keeps at least one.
    """

    event_ndim = 2

    @property
    @abstractmethod
    def shape(self) -> torch.Size:
        """Of the logits `[..., B, D, C]`."""

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities, shaped as z; finite also of categories with logit -inf, so that 0 times one is 0."""
        return log_probabilities(self.logits)

    @property
    def probs(self) -> Tensor:
        return self.logits.softmax(-1)

    @property
    def states(self) -> int:
        size, categories = self.shape[-2:]
        return categories**size

    def gumbel(self, k: int) -> Tensor:
        """Standard Gumbel noise `[K, ..., B, D, C]`."""
        like = self.logits.detach()
        # contiguous, so that the draws do not depend on how the logits lie in memory, which a compiler decides
        noise = torch.empty_like(like.expand(k, *like.shape), memory_format=torch.contiguous_format).exponential_()
        return -noise.clamp(min=torch.finfo(noise.dtype).tiny).log()

    def perturbed(self, k: int) -> Tensor:
        return self.logits + self.gumbel(k)

    def conditional(self, z: Tensor) -> Tensor:
        # The maximum of perturbed log-probabilities is a standard Gumbel, whichever category attains it; the others
        # are Gumbels truncated at it. Adding back the normaliser returns to the scale of the logits.
        gumbel, log_probs = self.gumbel(z.shape[0]), self.logits.log_softmax(-1)
        top = (z * gumbel).sum(-1, keepdim=True)
        others = -torch.logaddexp(-top, -(log_probs + gumbel))
        return torch.where(z > 0.5, top, others) + self.logits.logsumexp(-1, keepdim=True)

    def soften(self, perturbed: Tensor, temperature: float | Tensor) -> Tensor:
        return torch.softmax(perturbed / temperature, -1)

    def harden(self, perturbed: Tensor) -> Tensor:
        index = perturbed.argmax(-1, keepdim=True)
        return zero_one(index == torch.arange(perturbed.shape[-1], device=index.device), perturbed.dtype)

    def log_prob(self, z: Tensor) -> Tensor:
        total = (z * self.log_probs).sum((-2, -1))
        return with_impossible(total)

    def score(self, z: Tensor) -> Tensor:
        probs = self.probs.detach()
        likely = probs > 0.5  # one category at most
        complement = torch.where(likely, probs.masked_fill(likely, 0).sum(-1, keepdim=True), 1 - probs)
        return torch.where(z > 0.5, complement, -probs)

    def jacobian(self, slope: Tensor) -> Tensor:
        # Only differences of slopes count. Those to the most probable category keep their digits.
        probs = self.probs.detach()
        top = probs.argmax(-1, keepdim=True)
        slope = slope.detach()
        slope = (slope - slope.gather(-1, top)).masked_fill(probs == 0, 0)
        return probs * (slope - (probs * slope).sum(-1, keepdim=True))

    def kl(self, prior: Any = None) -> Tensor:
        return relative_entropy(self.log_probs, (self.standard() if prior is None else prior).log_probs).sum((-2, -1))

    def enumerate(self, start: int = 0, stop: int | None = None) -> Tensor:
        size, categories = self.shape[-2:]
        index = torch.arange(start, categories**size if stop is None else stop, device=self.params.device)
        digits = index[:, None] // categories ** torch.arange(size, device=index.device) % categories  # [S, D]
        return (
            F.one_hot(digits, categories).to(self.params.dtype).view(-1, *[1] * len(self.batch_shape), size, categories)
        )


class Categorical(OneHot):
    """Independent categorical variables. `params [..., B, D, C]`: logits. z `[K, ..., B, D, C]`, one-hot."""

    family = "categorical"

    @property
    def shape(self) -> torch.Size:
        return self.params.shape

    @property
    def logits(self) -> Tensor:
        return finite(self.params)

    def normal(self, k: int) -> Tensor:
        """Standard normal noise `[K, ..., B, D, C - 1]`, one value for each category but the last."""
        shape = (k, *self.shape[:-1], self.shape[-1] - 1)
        return torch.randn(shape, dtype=self.params.dtype, device=self.params.device)

    def standard(self) -> Self:
        return type(self)(torch.zeros_like(self.params[..., :1, :, :]))
