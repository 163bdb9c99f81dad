"""What every latent family offers, and what every discrete one adds."""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor


def limit(dtype: torch.dtype) -> float:
    """What stands for infinity in finite arithmetic: so large that exp(-limit) is 0, and sums and slopes of it do not
    overflow."""
    return torch.finfo(dtype).max ** 0.5


def lowest(dtype: torch.dtype) -> float:
    """Log-probabilities below this one, computed from `finite` logits, are those of impossible outcomes."""
    return -limit(dtype) * torch.finfo(dtype).eps


def finite(logits: Tensor) -> Tensor:
    """The logits, with `limit` in place of infinity; an infinite logit gets no gradient.

    A logit of -inf rules its outcome out. In this form nothing makes infinity times 0 of it: the outcome's probability
    is 0 exactly, and whatever is weighed by that vanishes.
    """
    largest = limit(logits.dtype)
    return logits.nan_to_num(math.nan, largest, -largest)  # with clamp, engine=compile draws other Gumbel noise


def zero_one(chosen: Tensor, dtype: torch.dtype) -> Tensor:
    """Truth values as 0 and 1: as bytes, since a CPU converts those several at a time."""
    return chosen.view(torch.uint8).to(dtype)


def ruled_out(log_probs: Tensor) -> Tensor:
    """Where log-probabilities computed from `finite` logits are those of impossible outcomes."""
    return log_probs < lowest(log_probs.dtype)


def with_impossible(log_probs: Tensor) -> Tensor:
    """Log-probabilities computed from `finite` logits, with -inf, which has no gradient, for impossible outcomes."""
    return torch.threshold(log_probs, lowest(log_probs.dtype), -math.inf)


def possible(log_q: Tensor, values: Tensor) -> Tensor:
    """The values `[S, ..., B]` of states, 0 without gradient where log q(z) is -inf: there they are weighed by 0, and
    may be infinite."""
    return values.where(log_q > -math.inf, 0)


def relative_entropy(log_p: Tensor, log_prior: Tensor | float) -> Tensor:
    """p log(p / prior), term by term: 0 where p is 0, infinite where the prior alone is. A number as `log_prior` is of
    outcomes that are all alike."""
    terms = log_p.exp() * (log_p - log_prior)
    if isinstance(log_prior, float):
        return terms
    return terms.masked_fill(ruled_out(log_prior) & ~ruled_out(log_p), math.inf)


class Latent(ABC):
    """One latent distribution for each example; `params [..., B, *]` is all that the encoder contributes."""

    family: ClassVar[str]
    event_ndim: ClassVar[int] = 1  # axes of params after the batch shape
    deterministic = False  # q is a point mass
    original: Self | None = None  # whose params these copy along the first axis; it keeps what all copies share

    def __init__(self, params: Tensor):
        self.params = params

    @property
    def batch_shape(self) -> torch.Size:
        """`[..., B]`."""
        return self.params.shape[: self.params.ndim - self.event_ndim]

    @property
    def point_ndim(self) -> int:
        """Axes of z after the batch shape."""
        return self.event_ndim

    @property
    def natural(self) -> Tensor:
        """What `as_loss` differentiates: the parameters, or the logits computed from them."""
        return self.params

    def with_params(self, params: Tensor) -> Self:
        """The same family with other parameters."""
        return type(self)(params)

    def detach(self) -> Self:
        """The same distribution with its parameters frozen."""
        frozen = self.with_params(self.params.detach())
        frozen.original = self.original
        return frozen

    @abstractmethod
    def sample(self, k: int) -> Tensor:
        """k samples `[K, ..., B, *]` without gradient."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z): `z [K, ..., B, *]` -> `[K, ..., B]`, differentiable in q's parameters and in z."""

    @abstractmethod
    def standard(self) -> Self:
        """The fixed prior of the family: N(0, I), or uniform over the states of every coordinate."""

    @abstractmethod
    def kl(self, prior: Any = None) -> Tensor:
        """KL(q || prior) `[..., B]`; `prior`: same family, broadcastable parameters; by default `standard()`."""


class Enumerable(Latent):
    """Families with finitely many states."""

    @property
    @abstractmethod
    def states(self) -> int:
        """Number of joint states of one example's latent."""

    @abstractmethod
    def score(self, z: Tensor) -> Tensor:
        """d log q(z) / d logits `[K, ..., B, *]` of samples z, without gradient; of coordinates z - probs, right to the
        last digits however close to 1 a probability is."""

    @abstractmethod
    def enumerate(self, start: int = 0, stop: int | None = None) -> Tensor:
        """States `start..stop` `[S, 1, ..., 1, *]`, broadcastable over the batch shape."""


class Discrete(Enumerable):
    """Independent coordinates of finitely many values. Noise added to logits decides a sample,
    `harden(perturbed(k))`; `soften` relaxes that."""

    @property
    @abstractmethod
    def logits(self) -> Tensor:
        """Logits `[..., B, D]` of bits, or `[..., B, D, C]` of categories; all are finite (see `finite`)."""

    @property
    def natural(self) -> Tensor:
        return self.logits

    def with_logits(self, logits: Tensor) -> "Discrete":
        """The distribution with these logits and q's own noise: q as a function of `natural`."""
        return self.with_params(logits)

    @property
    @abstractmethod
    def probs(self) -> Tensor:
        """Probabilities, shaped as z without its K axis."""

    @abstractmethod
    def jacobian(self, slope: Tensor) -> Tensor:
        """d (slope . probs) / d logits for held slopes, both `[..., B, *]`, without gradient; as precise as `score`.
        The slope along what has probability 0 may be anything, infinite included."""

    @abstractmethod
    def perturbed(self, k: int) -> Tensor:
        """Logits plus noise `[K, ..., B, *]`, with gradient to the logits."""

    @abstractmethod
    def conditional(self, z: Tensor) -> Tensor:
        """Logits plus noise given that they harden to `z [K, ..., B, *]`, with gradient to the logits (z held)."""

    @abstractmethod
    def soften(self, perturbed: Tensor, temperature: float | Tensor) -> Tensor:
        """The relaxed sample: sigmoid or softmax of `perturbed / temperature`."""

    @abstractmethod
    def harden(self, perturbed: Tensor) -> Tensor:
        """The sample that perturbed logits (or a relaxed sample, through its logits) decide for, without gradient."""

    def sample(self, k: int) -> Tensor:
        return self.harden(self.perturbed(k).detach())

    def relaxed(self, k: int, temperature: float | Tensor) -> Tensor:
        """k relaxed samples `[K, ..., B, *]`, with gradient to the logits."""
        return self.soften(self.perturbed(k), temperature)
