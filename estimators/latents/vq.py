"""Vector quantisation as a categorical posterior with geometry."""

import math
from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.latents.categorical import Categorical, OneHot


def closeness(vectors: Tensor, codes: Tensor) -> Tensor:
    """-||vector - code||^2 `[..., N, C]` up to a constant per vector, for vectors `[..., N, d]` and codes `[C, d]`.

    The mean code is subtracted from both first. So rounding loses about the machine's precision times the square of
    what remains of them, however far from zero they are.
    """
    centre = codes.detach().mean(-2, keepdim=True)
    codes = codes - centre
    return 2 * (vectors - centre) @ codes.mT - (codes**2).sum(-1)


class VQ(OneHot):
    """Vector quantisation: a categorical posterior with geometry.

    `params [..., B, N, d]` are the encoder's vectors, `codebook [C, d]` the codes. The posterior over the codes of each
    position is `softmax(-||vector - code||^2 / temperature)`; at temperature 0 it is the nearest code, and q is a point
    mass. Takida et al., SQ-VAE, ICML 2022, arXiv:2205.07547; van den Oord, Vinyals & Kavukcuoglu 2017,
    arXiv:1711.00937.

    Samples are one-hot `[K, ..., B, N, C]`, and a cost reads the code that they choose. `place(v)` makes a point at
    which a cost reads the vectors v themselves, for the estimators that differentiate them. The probabilities of q hold
    the codebook: it learns through the decoder's input and through the codebook loss.

    The temperature is a number, or a tensor that broadcasts over `[..., B, N, C]` and is above 0: then it learns from
    whatever differentiates the logits. Twice a variance, as in SQ-VAE, makes q the posterior over the codes of a vector
    that is a code plus Gaussian noise of that variance.

    `embed` maps weights over the codes `[..., C]` to vectors `[..., d]` with gradient to the codebook; by default it is
    the product with `codebook`. A model hands in its own layer, so that measuring sees every use of the codes.
    """

    family = "vq"

    def __init__(
        self,
        params: Tensor,
        codebook: Tensor,
        temperature: float | Tensor = 1.0,
        embed: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__(params)
        self.codebook, self.temperature, self.embed = codebook, temperature, embed
        if not isinstance(temperature, Tensor):  # whose values are not looked at: that would wait for the device
            if temperature < 0:
                raise ValueError(f"The temperature of a VQ posterior is 0 (nearest code) or more; got {temperature}.")
            self.deterministic = temperature == 0

    def with_params(self, params: Tensor) -> Self:
        return type(self)(params, self.codebook, self.temperature, self.embed)

    def detach(self) -> Self:
        frozen = self.temperature.detach() if isinstance(self.temperature, Tensor) else self.temperature
        return type(self)(self.params.detach(), self.codebook, frozen, self.embed)

    @property
    def scores(self) -> Tensor:
        """-||vector - code||^2 `[..., B, N, C]`, up to a constant per position."""
        return closeness(self.params, self.codebook.detach())

    @property
    def shape(self) -> torch.Size:
        return torch.Size((*self.params.shape[:-1], self.codebook.shape[0]))

    @property
    def logits(self) -> Tensor:
        if self.deterministic:
            raise ValueError(
                "A VQ posterior at temperature 0 is a point mass and has no logits; set a temperature above 0."
            )
        return self.scores / self.temperature

    def with_logits(self, logits: Tensor) -> Categorical:
        codes = Categorical(logits)
        if logits.shape == self.shape:
            codes.gumbel = self.gumbel  # type: ignore[method-assign]
        return codes

    def nearest(self) -> Tensor:
        """The nearest code of every position, one-hot `[..., B, N, C]`, without gradient."""
        return self.harden(self.scores.detach())

    def sample(self, k: int) -> Tensor:
        return self.nearest().expand(k, *[-1] * (self.params.ndim)) if self.deterministic else super().sample(k)

    def quantised(self, z: Tensor) -> Tensor:
        """The codes `[K, ..., B, N, d]` that one-hot points choose, with gradient to the codebook and to z."""
        return z @ self.codebook if self.embed is None else self.embed(z)

    def normal(self, k: int) -> Tensor:
        """Standard normal noise of the shape of the vectors `[K, ..., B, N, d]`."""
        return torch.randn(k, *self.params.shape, dtype=self.params.dtype, device=self.params.device)

    def place(self, vectors: Tensor) -> Tensor:
        """The point `[K, ..., B, N, C + d]` at which a cost reads its last d values: `vectors [K, ..., B, N, d]`."""
        return F.pad(vectors, (self.codebook.shape[0], 0))

    def standard(self) -> "Categorical":  # type: ignore[override]
        return Categorical(self.params.new_zeros(1, self.params.shape[-2], self.codebook.shape[0]))

    def kl(self, prior: Any = None) -> Tensor:
        if not self.deterministic:
            return super().kl(prior)
        if prior is None:
            constant = self.params.shape[-2] * math.log(self.codebook.shape[0])
            return self.params.new_full(self.batch_shape, constant)
        return -prior.log_prob(self.nearest())
