"""Toys: the moments of their cost and score are sums over few points, or over independent bits, hence exact."""

from abc import abstractmethod
from typing import NamedTuple, Self

from torch import Tensor

from bench.problems.base import Problem
from estimators import Estimator
from estimators.baselines import Network
from estimators.detached import Detached
from estimators.exact import Exact
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from estimators.vargrad import VarGrad


class CostMoments(NamedTuple):
    """Of the cost f of a sample, less its mean, and of its score s = d log q(z), in float64."""

    mean: Tensor  # [] E f
    variance: Tensor  # [] Var f
    gradient: Tensor  # [P] E f s
    s2: Tensor  # [P] E s^2
    fs2: Tensor  # [P] E (f - mean) s^2
    f2s2: Tensor  # [P] E (f - mean)^2 s^2

    @classmethod
    def of(cls, weights: Tensor, costs: Tensor, scores: Tensor) -> Self:
        """From all points: weights `[S]` that sum to 1, costs `[S]`, scores `[S, P]`."""
        mean = weights @ costs
        centred, squares = costs - mean, scores**2
        return cls(
            mean,
            weights @ centred**2,
            (weights * centred) @ scores,
            weights @ squares,
            (weights * centred) @ squares,
            (weights * centred**2) @ squares,
        )

    def score_function(self, baseline: float) -> Tensor:
        """Variance `[P]` of (f - baseline) s."""
        shift = self.mean - baseline
        return self.f2s2 + 2 * shift * self.fs2 + shift**2 * self.s2 - self.gradient**2

    def leave_one_out(self, k: int) -> Tensor:
        """Variance `[P]` of RLOO. It is the sample covariance of f and s, whose variance is known for any two
        variables: (E (f - mean)^2 s^2 - (k - 2) / (k - 1) gradient^2 + Var f E s^2 / (k - 1)) / k."""
        return (self.f2s2 - (k - 2) / (k - 1) * self.gradient**2 + self.variance * self.s2 / (k - 1)) / k


class Toy(Problem):
    """A problem whose moments are known."""

    @abstractmethod
    def moments(self) -> CostMoments:
        """At the present parameters."""

    def value(self) -> float:
        return float(self.moments().mean)

    def gradient(self) -> Tensor:
        return self.moments().gradient

    def variance(self, estimator: Estimator) -> Tensor | None:
        moments = self.moments()
        match estimator:
            case Reinforce() if estimator.square is None and not isinstance(estimator.baseline, Network):
                return moments.score_function(float(estimator.baseline.centre)) / estimator.k
            case RLOO() | VarGrad():
                return moments.leave_one_out(estimator.k)
            case Exact() | Detached():
                return 0 * moments.gradient
        return None
