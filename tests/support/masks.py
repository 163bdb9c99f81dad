"""q with an outcome ruled out, and the smaller q without it, on the same noise: the former must change nothing."""

import torch
from torch import Tensor

from estimators import Bernoulli, Categorical


class SmallCategorical(Categorical):
    """Categories whose noise comes from a generator of its own."""

    def noise(self, kind: str, k: int, categories: int) -> Tensor:
        shape = (k, *self.logits.shape[:-1], categories)
        if kind == "normal":
            return torch.randn(shape, generator=self.generator, dtype=self.params.dtype)
        return -(-torch.rand(shape, generator=self.generator, dtype=self.params.dtype).log()).log()

    def gumbel(self, k):
        return self.noise("gumbel", k, self.logits.shape[-1])

    def normal(self, k):
        return self.noise("normal", k, self.logits.shape[-1] - 1)


class MaskedCategorical(SmallCategorical):
    """One category more, with noise of its own at position `at`; that of the others is the same."""

    def gumbel(self, k):
        return inserted(self.noise("gumbel", k, self.logits.shape[-1] - 1), self.at, torch.randn)

    def normal(self, k):
        noise = self.noise("normal", k, self.logits.shape[-1] - 2)
        return inserted(noise, min(self.at, noise.shape[-1]), torch.randn)


class SmallBernoulli(Bernoulli):
    def noise(self, k: int, size: int) -> Tensor:
        shape = (k, *self.logits.shape[:-1], size)
        return torch.rand(shape, generator=self.generator, dtype=self.params.dtype).clamp(1e-15, 1 - 1e-15)

    def uniform(self, k):
        return self.noise(k, self.logits.shape[-1])


class MaskedBernoulli(SmallBernoulli):
    def uniform(self, k):
        return inserted(self.noise(k, self.logits.shape[-1] - 1), self.at, torch.rand)


def inserted(values: Tensor, at: int, fill) -> Tensor:
    """Values `[..., n]` with one more at position `at`: drawn, or a number."""
    one = values[..., :1]
    new = fill(one.shape, dtype=values.dtype) if callable(fill) else torch.full_like(one, fill)
    return torch.cat([values[..., :at], new, values[..., at:]], -1)


def fresh(kind: type, params: Tensor, at: int | None, seed: int):
    """A q of this kind at a leaf, its noise at the start of the seed's stream."""
    kind = type(kind.__name__, (kind,), {"generator": torch.Generator().manual_seed(seed), "at": at})
    return kind(params.detach().clone().requires_grad_())


class WeightedCost:
    """(sum of weights[d, c] z[d, c])^2 + exp(first row / 5), with log q(z) - log prior(z) where a prior is given.

    It is affine in every coordinate's z inside the square, and defined between the states.
    """

    def __init__(self, weights: Tensor, q=None, prior=None):
        self.weights, self.frozen, self.prior = weights, None if q is None else q.detach(), prior

    def __call__(self, z, q=None):
        axes = tuple(range(-self.weights.ndim, 0))
        first = (self.weights * z).select(axes[0], 0)
        first = first if len(axes) == 1 else first.sum(-1)
        nats = (
            (self.weights * z).sum(axes) ** 2 + (0.2 * first).exp() - 40
        )  # below 0: a reward, for those that ask for one
        if self.prior is not None:
            nats = nats + (self.frozen if q is None else q).log_prob(z) - self.prior.log_prob(z)
        return nats
