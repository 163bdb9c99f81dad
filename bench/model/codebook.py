"""The codebook of a VQ model and the rules that make or move its codes."""

import math

import torch
from torch import Tensor, nn

from bench.config.rules import MANY
from bench.settings import LatentGroup
from estimators import VQ, OneHot

MARGIN = 1e-3  # of the outermost level, which the bound of fsq stays within


class Codebook(nn.Module):
    """C codes of width d, under one of five rules.

    * `gradient`: the codebook loss and the decoder's gradient move the codes.
    * `ema`: each code is a moving average of the vectors assigned to it, and no gradient reaches it. For both: van den
      Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937, section 3.2 and appendix A.1.
    * `simvq`: one linear map of frozen random codes learns, by what `gradient` learns from, so every code moves when
      one is used. Zhu, Li, Xin, Xia & Xu, ICCV 2025, arXiv:2411.02038. The map starts at the identity and has no bias,
      so that training starts from the codes of `gradient`; the authors' code starts it at random.
    * `fsq`: all combinations of a few levels per coordinate, which never move. The encoder's vector is bounded to their
      range before q reads it. Mentzer, Minnen, Agustsson & Tschannen, ICLR 2024, arXiv:2309.15505, appendix A.1.
    * `lfq`: all of {-1, 1}^d, which never move, so the nearest code is the sign of the vector. Yu et al. (MAGVIT-v2),
      ICLR 2024, arXiv:2310.05737; without its entropy penalty, whose mean over the batch would make examples meet.

    Distances to all codes are computed under every rule, which `fsq` and `lfq` do not need at temperature 0: q has a
    probability for every code. With `vq_straight_through` at temperature 0 they are what their papers train.

    Dead codes of `gradient` and `ema` are moved onto vectors of the current batch, drawn at random. (Zheng & Vedaldi,
    ICCV 2023, arXiv:2307.15139, move every code towards such vectors instead, the less used the faster.)

    Args:
        latent: the `latent` group of the config, of family vq.

    Raises:
        ValueError: where `codes`, `dim` and `levels` contradict each other, or codes that cannot move are to restart.
    """

    counts: Tensor
    remainders: Tensor
    levels: Tensor

    def __init__(self, latent: LatentGroup):
        super().__init__()
        self.config, self.rule = latent, latent["codebook"]
        if reason := contradiction(latent):
            raise ValueError(reason)
        # A linear layer, so that measuring treats the codes like every other weight: one-hot -> code.
        self.lookup = nn.Linear(latent["codes"], latent["dim"], bias=False)
        nn.init.normal_(self.lookup.weight)
        self.lookup.weight.requires_grad_(self.rule == "gradient")
        self.transform = nn.Linear(latent["dim"], latent["dim"], bias=False) if self.rule == "simvq" else None
        if self.transform is not None:
            nn.init.eye_(self.transform.weight)
        if self.rule == "fsq":
            self.register_buffer("levels", torch.tensor(latent["levels"]).float(), persistent=False)  # [d]
            self.lookup.weight.data.copy_(grid(latent["levels"]).mT)
        elif self.rule == "lfq":
            self.lookup.weight.data.copy_(corners(latent["dim"]).mT)
        self.register_buffer("counts", torch.ones(latent["codes"]))  # moving number of vectors per code
        self.register_buffer("remainders", torch.zeros_like(self.codes))  # what rounding has left out of the means

    @property
    def codes(self) -> Tensor:
        """`[C, d]`"""
        codes = self.lookup.weight.mT
        return codes if self.transform is None else codes @ self.transform.weight.mT

    def embed(self, z: Tensor) -> Tensor:
        """Weights over the codes `[..., N, C]` -> vectors `[..., N, d]`."""
        vectors = self.lookup(z)
        return vectors if self.transform is None else self.transform(vectors)

    def bound(self, vectors: Tensor) -> Tensor:
        """The vectors that q reads, for the encoder's `[..., N, d]`: under `fsq` squashed so that 0 stays about 0 and
        rounding to the grid reaches every level and no further; otherwise as they are."""
        if self.rule != "fsq":
            return vectors
        half = (self.levels - 1) * (1 - MARGIN) / 2
        offset = (self.levels % 2 == 0) / 2  # an even number of levels has one more below 0 than above
        return ((vectors + (offset / half).tan()).tanh() * half - offset) / (self.levels // 2)

    def forward(self, z: Tensor) -> Tensor:
        """What the decoder sees at a point `[..., N, d]`: `z [..., N, C]` are weights over the codes, and the last d of
        `z [..., N, C + d]`, from `VQ.place`, are the vectors themselves."""
        if z.shape[-1] == self.config["codes"]:
            return self.embed(z)
        return z[..., self.config["codes"] :]

    def loss(self, q: VQ) -> Tensor:
        """Codebook and commitment losses `[..., B]`: squared distances summed over positions and coordinates."""
        code = q.nearest() @ self.codes  # [..., B, N, d]
        commitment = (q.params - code.detach()).square().sum((-2, -1))
        total = self.config["commitment_weight"] * commitment
        if self.rule in ("gradient", "simvq"):
            total = total + self.config["codebook_weight"] * (q.params.detach() - code).square().sum((-2, -1))
        return total

    @property
    def moves(self) -> bool:
        """Whether `update` does anything."""
        return self.rule == "ema" or self.config["restart"] > 0

    @torch.no_grad()
    def update(self, q: VQ) -> None:
        """One step of the moving averages and the restart of dead codes, from one batch `q.params [B, N, d]`."""
        decay, restart = self.config["decay"], self.config["restart"]
        if not self.moves:
            return
        vectors = q.params.flatten(0, -2)  # [B N, d]
        assigned = q.nearest().flatten(0, -2)  # [B N, C]
        self.counts.mul_(decay).add_(assigned.sum(0), alpha=1 - decay)
        weight = self.lookup.weight
        if self.rule == "ema":
            # The moving sum of vectors over the moving count, as a step from the code. A sum would hold the offset of
            # the vectors from zero, and a step may be smaller than the last place of the code: it is not lost.
            before, alive = self.codes, self.counts > torch.finfo(weight.dtype).tiny
            distances = assigned.mT @ (vectors - assigned @ before - assigned @ self.remainders)  # [C, d]
            steps = self.remainders + (1 - decay) * distances / torch.where(alive, self.counts, 1)[:, None]
            after = before + steps
            self.remainders.copy_(steps - (after - before))
            weight.copy_(after.mT)
        if restart:
            dead = self.counts < restart
            chosen = vectors[torch.randint(len(vectors), (len(dead),), device=vectors.device)]
            weight.copy_(torch.where(dead[:, None], chosen, self.codes).mT)
            self.counts.copy_(torch.where(dead, torch.ones_like(self.counts), self.counts))
            self.remainders.masked_fill_(dead[:, None], 0)


def perplexity(q: OneHot) -> tuple[float, float]:
    """exp of the entropy of the mean distribution over codes, or experts, and the fraction of them that are the
    nearest, or the most probable, at least once."""
    nearest = (q.nearest() if isinstance(q, VQ) else q.harden(q.logits)).flatten(0, -2)
    mean = (nearest if q.deterministic else q.probs.flatten(0, -2)).mean(0)
    entropy = -torch.xlogy(mean, mean).sum()
    return float(entropy.exp()), float((nearest.sum(0) > 0).double().mean())


def quantisation_error(q: VQ) -> float:
    """The squared distance of the vectors from their nearest codes, mean over examples, positions and coordinates."""
    return float((q.params - q.quantised(q.nearest())).square().double().mean())


def grid(levels: list[int]) -> Tensor:
    """Every combination `[prod(levels), d]` of the levels of each coordinate, spaced evenly over [-1, 1]; an even
    number of levels leaves out 1."""
    axes = [torch.arange(-(n // 2), n - n // 2) / (n // 2) for n in levels]
    return torch.cartesian_prod(*axes).view(-1, len(levels))


def corners(dim: int) -> Tensor:
    """{-1, 1}^dim `[2 ** dim, dim]`."""
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * dim).view(-1, dim)


def contradiction(latent: LatentGroup) -> str | None:
    """One sentence saying which values of the `latent` group do not go together, or None."""
    rule, dim, codes = latent["codebook"], latent["dim"], latent["codes"]
    if rule in ("fsq", "lfq"):
        levels = latent["levels"] if rule == "fsq" else [2] * min(dim, MANY.bit_length())
        made = f"latent.levels={levels}".replace(" ", "") if rule == "fsq" else f"latent.codebook=lfq latent.dim={dim}"
        width, count = len(levels) if rule == "fsq" else dim, math.prod(levels)
        if count > MANY:
            return f"{made} makes more than {MANY} codes: lower {'latent.levels' if rule == 'fsq' else 'latent.dim'}."
        if (width, count) != (dim, codes):
            return f"{made} makes {count} codes of width {width}: set latent.codes={count} latent.dim={width}."
    if rule in ("fsq", "lfq") and (stages := latent.get("stages", 1)) > 1:
        return (
            f"The grid of latent.codebook={rule} is the same at every stage, too coarse for what the first leaves: set "
            f"latent.stages=1, not {stages}, or latent.codebook=gradient, ema or simvq."
        )
    if latent["restart"] and rule not in ("gradient", "ema"):
        return f"The codes of latent.codebook={rule} do not move one by one, so none restarts: set latent.restart=0."
    return None
