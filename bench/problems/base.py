"""What every problem without a VAE offers the harness: bare parameters for an encoder, a function for a decoder."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.data.datasets import Data
from estimators import VQ, Bernoulli, Categorical, Cost, Estimate, Estimator, Gaussian, Latent, Sequence, as_loss


class Parameters(nn.Module):
    """Named tensors, side by side along the last axis: q.params itself is learned. Each is a layer of the encoder."""

    def __init__(self, **parts: Tensor):
        super().__init__()
        for name, part in parts.items():
            self.register_parameter(name, nn.Parameter(part.detach().clone()))

    def forward(self) -> Tensor:
        return torch.cat(list(self.parameters()), -1)


@dataclass(frozen=True)
class NoData:
    """Batches of a problem without data: `x [B, 1]`, all zeros, says only how many examples there are."""

    device: torch.device
    dtype: torch.dtype
    splits: tuple[str, ...] = ("train",)
    level_bits: float = 0.0

    def _zeros(self, *lead: int) -> Tensor:
        return torch.zeros(*lead, 1, device=self.device, dtype=self.dtype)

    def probe(self, batches: int, batch_size: int, seed: int) -> Tensor:
        """`[batches, batch_size, 1]`."""
        return self._zeros(batches, batch_size)

    def fixed(self, split: str, n: int | None, seed: int) -> Tensor:
        """`[1, 1]`."""
        return self._zeros(1)


class Problem(nn.Module, ABC):
    """min E cost(z), z ~ q, over q's own parameters, in the VAE's place.

    Unless a problem says otherwise, the B examples of a batch `x [B, X]` share the parameters `[P]` and have noise of
    their own, so a batch of B divides the variance by B. The cost is minus a log-likelihood, in nats.

    Attributes:
        name: in the configuration.
        family: of q.
        has_prior: whether the objective may hold a KL, to the family's standard prior.
        rewards: whether the cost is minus a reward in [0, 1].
    """

    name: ClassVar[str]
    family: ClassVar[type[Latent]]
    has_prior: ClassVar[bool] = False
    rewards: bool = False
    codebook = None

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        """Nats `[K, ..., B]` of points `z [K, ..., B, *]` for data `x [B, X]`."""

    def encode(self, x: Tensor) -> Latent:
        """q with `params [B, P]`, the same for every example of `x [B, X]`."""
        return self.family(self.encoder().expand(*x.shape[:-1], -1))

    def prior(self) -> Latent | None:
        """None: there is no learned prior."""
        return None

    def log_prior(self, z: Tensor, q: Latent) -> Tensor:
        """log p(z) `[K, ..., B]` of the family's standard prior."""
        return q.standard().log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """-cost `[K, ..., B]`."""
        return -self.cost(x, z)

    def data(self, device: torch.device, dtype: torch.dtype) -> Data | NoData:
        """What the problem is about."""
        return NoData(device, dtype)

    def value(self) -> float | None:
        """E cost at the present parameters, where it is known."""
        return None

    def divergence(self) -> float:
        """KL(q||p) at the present parameters, of a problem whose value is known; 0 where there is no prior."""
        return 0.0

    def gradient(self) -> Tensor | None:
        """The exact gradient `[P]` of E cost with respect to q.params, float64, where it is known."""
        return None

    def variance(self, estimator: Estimator) -> Tensor | None:
        """The exact variance `[P]` of one draw of the estimator for one example, float64, where it is known."""
        return None

    def variances(self, estimator: Estimator, probe: Tensor) -> dict[str, float]:
        """The exact trace of the covariance of the estimate over a batch, for each part of the gradient, mean over the
        batches of `probe [M, B, X]`; may be {}."""
        known, examples = self.variance(estimator), probe.shape[1]
        if known is None:
            return {}
        total, start = {"latent": float(known.sum()) / examples}, 0
        for name, part in self.encoder.named_parameters():
            total[f"encoder.{name}"] = float(known[start : start + part.numel()].sum()) / examples
            start += part.numel()
        return total | {"encoder": total["latent"]}


class Known(Estimator):
    """The gradient that a problem knows, as an estimator without noise: a reference for the others."""

    name = "exact"
    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = True
    noiseless = True
    evaluations = "0 / 0"

    def __init__(self, gradient: Callable[[], Tensor | None]):
        super().__init__()
        self.gradient = gradient

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        gradient = self.gradient()
        assert gradient is not None
        loss = as_loss(q, gradient.to(q.params))
        return Estimate(loss, loss)
