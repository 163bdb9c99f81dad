"""Functions of bits."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from bench.problems.base import Parameters
from bench.problems.toys import CostMoments, Toy
from estimators import Bernoulli, Estimator
from estimators.disarm import Disarm
from estimators.straight_through import StraightThrough


class BitsToy(Toy):
    """E f(b), b_d ~ Bernoulli(sigmoid(logit_d))."""

    family = Bernoulli

    def __init__(self, logits: Tensor):
        super().__init__(Parameters(logits=logits))

    def variance(self, estimator: Estimator) -> Tensor | None:
        match estimator:
            case Disarm():
                return self.antithetic() / (estimator.k // 2)
            case StraightThrough() if estimator.jacobian == "probs" and float(estimator.temperature()) == 1:
                return self.straight_through() / estimator.k
        return super().variance(estimator)

    @abstractmethod
    def antithetic(self) -> Tensor:
        """Variance `[D]` of DisARM with one pair."""

    @abstractmethod
    def straight_through(self) -> Tensor:
        """Variance `[D]` of df/db_d p_d (1 - p_d) at one sample."""

    def _logits(self) -> Tensor:
        """`[D]` in float64, no gradient."""
        return self.encoder().detach().double().cpu()

    def _probs(self) -> tuple[Tensor, Tensor, Tensor]:
        """p, its variance p (1 - p) and min(p, 1 - p), `[D]` each."""
        p, q = torch.sigmoid(self._logits()), torch.sigmoid(-self._logits())
        return p, p * q, torch.minimum(p, q)


class BernoulliBits(BitsToy):
    """f(b) = 1/D sum_d |b_d - t|^power, independent bits.

    With dim=1 and power=2 the toy (b - t)^2 of Tucker et al. 2017, arXiv:1703.07370; with dim=128, t=0.45 and power
    1.5, 2 or 3 the polynomial programming of Liu et al. 2023, arXiv:2304.08612, as in their code: the sum over bits is
    divided by 128, and no root is taken.

    Args:
        dim: D.
        t: target of every bit, from 0 to 1.
        power: 1 or more.
        logit: where every logit starts.
    """

    name = "bernoulli_bits"

    def __init__(self, dim: int, t: float, power: float, logit: float):
        super().__init__(torch.full((dim,), float(logit), dtype=torch.float64))
        self.dim, self.t, self.power = dim, t, power

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        return (z - self.t).abs().pow(self.power).mean(-1)

    @property
    def gap(self) -> float:
        """By how much a bit of 1 costs more than one of 0."""
        return ((1 - self.t) ** self.power - self.t**self.power) / self.dim

    def moments(self) -> CostMoments:
        # f - mean = gap sum_d (b_d - p_d), and the score of bit d is b_d - p_d: central moments of independent bits
        p, v, _ = self._probs()
        others = v.sum() - v
        return CostMoments(
            mean=self.t**self.power + self.gap * p.sum(),
            variance=self.gap**2 * v.sum(),
            gradient=self.gap * v,
            s2=v,
            fs2=self.gap * v * (1 - 2 * p),
            f2s2=self.gap**2 * v * (1 - 3 * v + others),
        )

    def antithetic(self) -> Tensor:
        # The difference of a pair is gap sum_d (b_d - b~_d), each term +1 or -1 with probability min(p, 1 - p)
        _, v, rarer = self._probs()
        others = 2 * (rarer.sum() - rarer)
        return (self.gap * (1 - rarer)) ** 2 * rarer / 2 * (1 + others) - (self.gap * v) ** 2

    def straight_through(self) -> Tensor:
        _, v, _ = self._probs()
        slopes = [(abs(b - self.t) ** (self.power - 1)) * (1 if b else -1) for b in (0, 1)]
        return v**3 * (self.power * (slopes[1] - slopes[0]) / self.dim) ** 2


class BernoulliCoupled(BitsToy):
    """f(b) = (w.b - 0.4)^2 + b_1 b_2 b_3 / 2 + exp(0.3 b_1 - 0.2 b_2), w = (1, -2, 1/2), from logits (0.3, -0.7, 1.1).

    Three bits whose costs interact; everything is enumerated.
    """

    name = "bernoulli_coupled"
    weights: Tensor
    START: ClassVar[tuple[float, ...]] = (0.3, -0.7, 1.1)
    WEIGHTS: ClassVar[tuple[float, ...]] = (1.0, -2.0, 0.5)

    def __init__(self) -> None:
        super().__init__(torch.tensor(self.START, dtype=torch.float64))
        self.register_buffer("weights", torch.tensor(self.WEIGHTS), persistent=False)

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        b1, b2, b3 = z.unbind(-1)
        weights = self.weights.to(z.device, z.dtype)  # a copy only for moments, which are computed on the CPU
        return ((z * weights).sum(-1) - 0.4) ** 2 + b1 * b2 * b3 / 2 + (0.3 * b1 - 0.2 * b2).exp()

    def _states(self) -> tuple[Tensor, Tensor]:
        """All states `[8, 3]` and their probabilities `[8]`."""
        states = Bernoulli(self._logits()[None]).enumerate().squeeze(1)
        return states, Bernoulli(self._logits()).log_prob(states).exp()

    def moments(self) -> CostMoments:
        states, weights = self._states()
        return CostMoments.of(weights, self.cost(states, states), states - torch.sigmoid(self._logits()))

    def antithetic(self) -> Tensor:
        p, _, rarer = self._probs()
        states, _ = self._states()
        b, other = (side.flatten(0, 1) for side in torch.broadcast_tensors(states[:, None], states))  # [64, 3] each
        both = torch.where(b > 0, 2 * p - 1, 1 - 2 * p).clamp(min=0)  # where a bit is the same in both
        weights = torch.where(b == other, both, rarer).prod(-1)
        differences = self.cost(b, b) - self.cost(other, other)
        found = 0.5 * differences[:, None] * (b - other) * (1 - rarer)
        return weights @ found**2 - (weights @ found) ** 2

    def straight_through(self) -> Tensor:
        _, v, _ = self._probs()
        states, weights = self._states()
        states.requires_grad_()
        (slopes,) = torch.autograd.grad(self.cost(states, states).sum(), [states])
        found = slopes * v
        return weights @ found**2 - (weights @ found) ** 2
