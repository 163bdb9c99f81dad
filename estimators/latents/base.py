"""What every latent family offers, and what every discrete one adds."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor


class Latent(ABC):
    """One latent distribution for each example; `params [..., B, *]` is all that the encoder contributes."""

    family: ClassVar[str]
    event_ndim: ClassVar[int] = 1  # axes of params after the batch shape
    deterministic = False  # q is a point mass

    def __init__(self, params: Tensor):
        self.params = params

    @property
    def batch_shape(self) -> torch.Size:
        return self.params.shape[: self.params.ndim - self.event_ndim]

    @property
    def natural(self) -> Tensor:
        """What `as_loss` differentiates: the parameters, or the logits computed from them."""
        return self.params

    def with_params(self, params: Tensor) -> Self:
        """The same family with other parameters."""
        return type(self)(params)

    def detach(self) -> Self:
        """The same distribution with its parameters frozen."""
        return self.with_params(self.params.detach())

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


class Discrete(Latent):
    """Finite families. Noise added to logits decides a sample, `harden(perturbed(k))`; `soften` relaxes that."""

    @property
    @abstractmethod
    def logits(self) -> Tensor:
        """Logits `[..., B, D]` of bits, or `[..., B, D, C]` of categories."""

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

    @property
    @abstractmethod
    def states(self) -> int:
        """Number of joint states of one example's latent."""

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

    @abstractmethod
    def enumerate(self, start: int = 0, stop: int | None = None) -> Tensor:
        """States `start..stop` `[S, 1, ..., 1, *]`, broadcastable over the batch shape."""

    def sample(self, k: int) -> Tensor:
        return self.harden(self.perturbed(k).detach())

    def relaxed(self, k: int, temperature: float | Tensor) -> Tensor:
        """k relaxed samples `[K, ..., B, *]`, with gradient to the logits."""
        return self.soften(self.perturbed(k), temperature)
