"""The codebook of a VQ model and the two rules that move it."""

import torch
from torch import Tensor, nn

from estimators import VQ


class Codebook(nn.Module):
    """C codes of width d, moved by one of two rules.

    Rule `gradient`: the codebook loss and the decoder's gradient move them. Rule `ema`: each code is a moving average of
    the vectors assigned to it, and no gradient reaches it.

    Van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937, section 3.2 and appendix A.1. Dead codes are moved onto
    vectors of the current batch, drawn at random.

    Args:
        latent: the `latent` group of the config, of family vq.
    """

    counts: Tensor
    totals: Tensor

    def __init__(self, latent: dict):
        super().__init__()
        self.config = latent
        # A linear layer, so that measuring treats the codes like every other weight: one-hot -> code.
        self.lookup = nn.Linear(latent["codes"], latent["dim"], bias=False)
        nn.init.normal_(self.lookup.weight)
        if latent["codebook"] == "ema":
            self.lookup.weight.requires_grad_(False)
        self.register_buffer("counts", torch.ones(latent["codes"]))  # moving number of vectors per code
        self.register_buffer("totals", self.codes.detach().clone())  # moving sum of those vectors

    @property
    def codes(self) -> Tensor:
        """`[C, d]`"""
        return self.lookup.weight.mT

    def forward(self, z: Tensor) -> Tensor:
        """What the decoder sees at a point `[..., N, d]`: `z [..., N, C]` are weights over the codes, and the last d of
        `z [..., N, C + d]`, from `VQ.place`, are the vectors themselves."""
        if z.shape[-1] == self.config["codes"]:
            return self.lookup(z)
        return z[..., self.config["codes"] :]

    def loss(self, q: VQ) -> Tensor:
        """Codebook and commitment losses `[..., B]`: squared distances summed over positions and coordinates."""
        code = q.nearest() @ self.codes  # [..., B, N, d]
        commitment = (q.params - code.detach()).square().sum((-2, -1))
        total = self.config["commitment_weight"] * commitment
        if self.config["codebook"] == "gradient":
            total = total + self.config["codebook_weight"] * (q.params.detach() - code).square().sum((-2, -1))
        return total

    @torch.no_grad()
    def update(self, q: VQ) -> None:
        """One step of the moving averages and the restart of dead codes, from one batch `q.params [B, N, d]`."""
        decay, restart = self.config["decay"], self.config["restart"]
        if self.config["codebook"] != "ema" and not restart:
            return
        vectors = q.params.flatten(0, -2)  # [B N, d]
        assigned = q.nearest().flatten(0, -2)  # [B N, C]
        self.counts.mul_(decay).add_(assigned.sum(0), alpha=1 - decay)
        self.totals.mul_(decay).add_(assigned.mT @ vectors, alpha=1 - decay)
        weight = self.lookup.weight
        if self.config["codebook"] == "ema":
            alive = self.counts > torch.finfo(weight.dtype).tiny
            means = self.totals / torch.where(alive, self.counts, 1)[:, None]
            weight.copy_(torch.where(alive[:, None], means, self.codes).mT)
        if restart:
            dead = self.counts < restart
            chosen = vectors[torch.randint(len(vectors), (len(dead),), device=vectors.device)]
            weight.copy_(torch.where(dead[:, None], chosen, self.codes).mT)
            self.counts.copy_(torch.where(dead, torch.ones_like(self.counts), self.counts))
            self.totals.copy_(torch.where(dead[:, None], chosen, self.totals))


def perplexity(q: VQ) -> tuple[float, float]:
    """exp of the entropy of the mean code distribution, and the fraction of codes that are nearest at least once."""
    nearest = q.nearest().flatten(0, -2)
    mean = (nearest if q.deterministic else q.probs.flatten(0, -2)).mean(0)
    entropy = -torch.xlogy(mean, mean).sum()
    return float(entropy.exp()), float((nearest.sum(0) > 0).double().mean())
