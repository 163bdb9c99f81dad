"""Groups of samples with rewards of 0 and 1: the exact mean and variance of what an estimator makes of them.

Given how many of G samples succeed, those that do are independent draws of q given success, and the others of q given
failure. So two conditional means of the score and two conditional variances are all that is needed, whatever G.
"""

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from estimators import Estimator, Sequence
from estimators.baselines import Network
from estimators.detached import Detached
from estimators.exact import Exact
from estimators.group_relative import GroupRelative
from estimators.latents.categorical import log_probabilities
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from estimators.vargrad import VarGrad


class Signal(NamedTuple):
    """What an estimator multiplies the scores of a group with.

    Attributes:
        size: G.
        given: number of successes `[G + 1]` -> signal of a success and of a failure, `[G + 1]` each.
    """

    size: int
    given: Callable[[Tensor], tuple[Tensor, Tensor]]


def advantages(estimator: Estimator) -> Signal | None:
    """The signal at costs of -1 and 0, or None where it is not a function of a group's successes."""
    match estimator:
        case Exact() | Detached():
            return Signal(1, lambda j: (0 * j, 0 * j))
        case Reinforce() if estimator.square is None and not isinstance(estimator.baseline, Network):
            baseline = float(estimator.baseline.centre)
            return Signal(estimator.k, lambda j: (-1 - baseline + 0 * j, -baseline + 0 * j))
        case RLOO() | VarGrad():
            size = estimator.k
            return Signal(size, lambda j: ((j - size) / (size - 1), j / (size - 1)))
        case GroupRelative() if not estimator.eps:
            size, scale = estimator.k, estimator.scale
            return Signal(size, lambda j: _scaled(j, size, scale))
    return None


def _scaled(j: Tensor, size: int, scale: str) -> tuple[Tensor, Tensor]:
    """(cost - mean cost) / scale where j of a group succeed."""
    units = {
        "none": torch.ones_like(j),
        "std": (j * (size - j) / (size * (size - 1))).sqrt(),
        "mean": j / size,
    }[scale]
    speaks = (j > 0) & (j < size)  # elsewhere all costs are equal
    units = units.where(speaks, 1)
    return tuple(((cost + j / size) / units).where(speaks, 0) for cost in (-1, 0))  # type: ignore[return-value]


class Groups(NamedTuple):
    """Of B prompts, with P coordinates of q's parameters each."""

    success: Tensor  # [B] its probability p
    means: tuple[Tensor, Tensor]  # [B, P] of the score, given success and given failure
    variances: tuple[Tensor, Tensor]  # [B] traces of the score's covariance, the same

    @classmethod
    def of(cls, q: Sequence, accepted: Tensor) -> Self:
        """From all sequences, those accepted being 1 in `accepted [B, V^L]`."""
        live = q.with_params(q.params.detach().requires_grad_())
        log_q = live.log_probs()
        weights = log_q.detach().exp()
        log_p = log_probabilities(q.logits.detach())
        rows = log_p.exp().square().sum(-1, keepdim=True) + 1 - 2 * log_p.exp()  # squared norm of one-hot - p
        squares = q.along_paths(rows)[-1]  # [B, V^L] of a sequence's score
        means, variances = [], []
        for inside in (accepted, 1 - accepted):
            total = (weights * inside).sum(-1, keepdim=True)
            given = weights * inside / total.clamp(min=torch.finfo(total.dtype).tiny)
            (mean,) = torch.autograd.grad((given * log_q).sum(), [live.params], retain_graph=True)
            means.append(mean.flatten(1))
            variances.append((given * squares).sum(-1) - means[-1].square().sum(-1))
        success = (weights * accepted).sum(-1).clamp(max=1)  # which rounding may lift above 1, where there is no chance
        return cls(success, (means[0], means[1]), (variances[0], variances[1]))

    @property
    def gradient(self) -> Tensor:
        """Of the expected cost, -p `[B, P]`: the score given success, times -p."""
        return -self.success[:, None] * self.means[0]

    def mean(self, signal: Signal) -> Tensor:
        """Of the estimate `[B, P]`."""
        chances, lengths = self._lengths(signal)
        return (chances * lengths).sum(-1, keepdim=True) * self.means[0]

    def variance(self, signal: Signal) -> Tensor:
        """Trace of the estimate's covariance `[B]`: the mean variance given the successes, and the variance of the mean
        given them, which moves along one direction."""
        j, hit, miss = self._signals(signal)
        chances, lengths = self._lengths(signal)
        inner = hit**2 * j * self.variances[0][:, None] + miss**2 * (signal.size - j) * self.variances[1][:, None]
        spread = (chances * (lengths - (chances * lengths).sum(-1, keepdim=True)).square()).sum(-1)
        return (chances * inner).sum(-1) / signal.size**2 + spread * self.means[0].square().sum(-1)

    def _lengths(self, signal: Signal) -> tuple[Tensor, Tensor]:
        """Probabilities of the numbers of successes, and the estimate's mean given them in units of the score's mean
        given success, `[B, G + 1]` each. The score's mean given failure is -p / (1 - p) times that."""
        j, hit, miss = self._signals(signal)
        p = self.success[:, None]
        ratio = torch.where(p < 1, p / (1 - p), 0)
        return self._chances(j), (hit * j - miss * (signal.size - j) * ratio) / signal.size

    def _signals(self, signal: Signal) -> tuple[Tensor, Tensor, Tensor]:
        j = torch.arange(signal.size + 1, dtype=self.success.dtype, device=self.success.device)
        return j, *signal.given(j)

    def _chances(self, j: Tensor) -> Tensor:
        """Of j successes `[B, G + 1]`, binomial."""
        size = torch.as_tensor(len(j) - 1.0, dtype=j.dtype, device=j.device)
        p = self.success[:, None]
        ways = (size + 1).lgamma() - (j + 1).lgamma() - (size - j + 1).lgamma()
        return (ways + torch.special.xlogy(j, p) + torch.special.xlog1py(size - j, -p)).exp()
