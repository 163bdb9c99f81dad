"""Estimators that declare what does not hold: arguments, tags, evaluations, what they accept and what they refuse."""

from torch import Tensor

from estimators import Cost, Estimate, Latent
from tests.support.right import Right


class Untyped(Right):
    """An argument has no type."""

    def __init__(self, k=2):
        super().__init__(k)


class Undocumented(Right, documented=False):
    """An argument is not documented."""

    def __init__(self, k: int = 2):
        super().__init__(k)


class Undeclared(Right):
    """The tag kl names what there is not."""

    kl = "exact"


class DeadHyperParameter(Right):
    """The damping is stored and never read.

    Args:
        k: samples per estimate.
        damping: of nothing.
    """

    def __init__(self, k: int = 2, damping: float = 0.5):
        super().__init__(k)
        self.damping = damping


class AnyWord(Right):
    """It takes any word for its mode.

    Args:
        k: samples per estimate.
        mode: plain or doubled.
    """

    def __init__(self, k: int = 2, mode: str = "plain"):
        super().__init__(k)
        self.mode = mode

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        estimate = super().finish(c, log_q)
        return estimate._replace(loss=estimate.loss + (0 if self.mode == "plain" else (log_q - log_q.detach()).mean(0)))


class WrongEvaluations(Right):
    """It evaluates the cost of each sample twice and declares once."""

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        c = (cost(z) + cost(z)) / 2
        return self.finish(c, q.log_prob(z))


class EvaluationsOfDefault(Right):
    """The declared evaluations hold for k = 2 alone."""

    evaluations = "2 / 0"


class AcceptsNothing(Right):
    """It accepts k = 0."""

    def __init__(self, k: int = 2):
        super().__init__(max(k, 1))


class RefusesNothing(Right):
    """It claims to differentiate whatever it gets."""

    def refuses(self, q: Latent) -> str | None:
        return None
