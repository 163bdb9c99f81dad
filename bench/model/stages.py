"""The codebooks of residual quantisation, one for each stage."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bench.model.codebook import Codebook
from bench.settings import LatentGroup
from estimators import VQ


class Stages(nn.Module):
    """R codebooks, of which each quantises what the ones before it leave of the encoder's vector:

        rest_1 = vector,   rest_s = vector - code_1 - ... - code_{s-1},   the decoder sees code_1 + ... + code_R

    Each has codes, a rule and counts of its own; the rule is the same for all. Their losses and their moving averages
    follow the nearest codes, as those of one codebook do, whatever codes q draws. With `latent.residual_detach` the
    codes are constants in rest_s, so that the losses of later stages move the encoder and never an earlier codebook.

    D. Lee, C. Kim, S. Kim, M. Cho, W.-S. Han, Autoregressive Image Generation using Residual Quantization, CVPR 2022,
    arXiv:2203.01941; N. Zeghidour et al., SoundStream, 2021, arXiv:2107.03312.

    Args:
        latent: the `latent` group of the config, of family vq, with `stages` above 1.
    """

    def __init__(self, latent: LatentGroup):
        super().__init__()
        self.books = nn.ModuleList(Codebook(latent) for _ in range(latent["stages"]))
        self.temperature, self.detaches = latent["temperature"], latent["residual_detach"]

    def posterior(self, stage: int, vectors: Tensor, total: Tensor | None = None) -> VQ:
        """q over the codes of a stage, for the encoder's `vectors [..., B, N, d]` and the sum of the codes before."""
        book = self.of(stage)
        if total is not None:
            vectors = vectors - (total.detach() if self.detaches else total)
        return VQ(vectors, book.codes, self.temperature, book.embed)

    def of(self, stage: int) -> Codebook:
        """The codebook of a stage."""
        book: Any = self.books[stage - 1]
        return book

    def added(self, stage: int, z: Tensor, total: Tensor | None = None) -> Tensor:
        """The sum of the codes `[..., N, d]` with that of a point `z [..., N, C]`, or `[..., N, C + d]`, of this
        stage."""
        codes = self.of(stage)(z)
        return codes if total is None else total + codes

    def along_nearest(self, vectors: Tensor) -> Iterator[VQ]:
        """q of each stage where every stage before took the nearest code; gradient to the codes unless detached."""
        total = None
        for stage in range(1, len(self.books) + 1):
            q = self.posterior(stage, vectors, total)
            yield q
            total = self.added(stage, q.nearest(), total)

    @property
    def codes(self) -> Tensor:
        """`[C, d]`, of the first stage."""
        return self.of(1).codes

    def embed(self, z: Tensor) -> Tensor:
        """Weights over the codes of the first stage `[..., N, C]` -> vectors `[..., N, d]`."""
        return self.of(1).embed(z)

    def bound(self, vectors: Tensor) -> Tensor:
        """The vectors as they are: no rule that bounds them has stages."""
        return vectors

    def loss(self, q: VQ) -> Tensor:
        """Codebook and commitment losses `[..., B]`, summed over the stages, for q of the first."""
        return sum(  # type: ignore[return-value]
            self.of(stage).loss(each) for stage, each in enumerate(self.along_nearest(q.params), 1)
        )

    @property
    def moves(self) -> bool:
        """Whether `update` does anything."""
        return self.of(1).moves

    @torch.no_grad()
    def update(self, q: VQ) -> None:
        """One step of the moving averages of every stage, from one batch `q.params [B, N, d]`."""
        for stage, each in enumerate([*self.along_nearest(q.params)], 1):  # all chosen before any code moves
            self.of(stage).update(each)


def codebook(latent: LatentGroup) -> Codebook | Stages:
    """The codebook that the `latent` group asks for, or those of its stages."""
    return Stages(latent) if latent.get("stages", 1) > 1 else Codebook(latent)
