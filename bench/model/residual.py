"""Residual quantisation in the VAE's place: several stages of codes, of which each refines the ones before."""

from typing import Any

import torch
from torch import Tensor

from bench.model.stages import Stages
from bench.model.vae import VAE
from estimators import VQ, Categorical


class Residual(VAE):
    """A VQ-VAE with R stages: q(z_1|v) q(z_2|v, z_1) ... q(z_R|v, z_1 ... z_{R-1}), v the encoder's vectors.

    Every q is that of one codebook, at what the codes before leave of v: see `bench.model.stages`. Points that the
    decoder reads are sums of codes `[..., N, d]`. Each stage has a prior of its own, independent of the others.
    """

    noun = "stage"
    codebook: Stages

    @property
    def layers(self) -> int:
        """R."""
        return len(self.codebook.books)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the parameters of each q, after the batch."""
        return [self.params_shape] * self.layers

    def _prior_start(self) -> Tensor:
        return torch.zeros(1, self.latent["stages"] * self.latent["positions"], self.latent["codes"])

    def prior_of(self, stage: int) -> Categorical | None:
        """The learned prior of a stage, or None for the uniform one."""
        if self.prior_params is None:
            return None
        stop = stage * self.latent["positions"]  # of the rows, those of stage 1 first
        return Categorical(self.prior_params[..., stop - self.latent["positions"] : stop, :])

    def prior(self) -> Categorical | None:
        """That of the first stage."""
        return self.prior_of(1)

    def read(self, z: Tensor) -> Tensor:
        """What the decoder sees at sums of codes `z [..., N, d]`."""
        return z.flatten(-2)

    def walk(self, x: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """k samples `[K, B, N, d]` of what the decoder reads for images `x [B, X]`, with the sum over the stages of the
        KL, and log p(z_1 ... z_R) - log q(z_1 ... z_R|x), `[K, B]` each; of a point mass that is minus the KL."""
        vectors, total = self.encode(x).params, None
        kl = ratio = vectors.new_zeros(k, len(x))
        for stage in range(1, self.layers + 1):
            q = self.codebook.posterior(stage, vectors.expand(k, *vectors.shape), total)
            prior: Any = self.prior_of(stage)
            z, own = q.sample(1)[0], q.kl(prior)
            kl = kl + own
            ratio = ratio - own if q.deterministic else ratio + _log_ratio(q, prior or q.standard(), z)
            total = self.codebook.added(stage, z, total)
        assert total is not None
        return total, kl, ratio

    def from_prior(self, k: int, x: Tensor) -> Tensor:
        """k points `[K, 1, N, d]` that the decoder reads, from the prior."""
        standard, total = self.encode(x[:1]).standard(), None
        for stage in range(1, self.layers + 1):
            total = self.codebook.added(stage, (self.prior_of(stage) or standard).sample(k), total)
        assert total is not None
        return total


def _log_ratio(q: VQ, prior: Categorical, z: Tensor) -> Tensor:
    """log p(z) - log q(z) `[K, B]` of one sample `[K, B, N, C]` for each."""
    return (prior.log_prob(z[None]) - q.log_prob(z[None]))[0]
