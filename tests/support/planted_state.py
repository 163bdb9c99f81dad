"""Estimators that keep, train, draw or look at what they must not; their estimates may well be right."""

import numpy as np
import torch
from torch import Tensor, nn

from estimators import Bernoulli, Cost, Estimate
from tests.support.right import Right


class _Tuned(Right):
    def __init__(self, k: int = 2):
        super().__init__(k)
        self.level = nn.Parameter(torch.zeros(()))

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        signal = c.detach() - self.level
        return Estimate((signal.detach() * log_q + c).mean(0), c.mean(0), (signal**2).mean(0))


class TuningLeaks(_Tuned):
    """The loss trains the baseline too."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        estimate = super().finish(c, log_q)
        return estimate._replace(loss=estimate.loss + estimate.tuning)


class Untuned(_Tuned):
    """A parameter that nothing trains."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return super().finish(c, log_q)._replace(tuning=None)


class TuningMeets(_Tuned):
    """The tuning of an example holds that of all others."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        estimate = super().finish(c, log_q)
        return estimate._replace(tuning=estimate.tuning + 0 * estimate.tuning + estimate.tuning.mean(-1, keepdim=True))


class CountsInAttribute(Right):
    """The state is a plain number, which no checkpoint holds."""

    steps = 0

    def __init__(self, k: int = 2):
        super().__init__(k)
        self.steps = 0

    def update(self, estimate: Estimate) -> None:
        self.steps += 1


class RandomUpdate(Right):
    """The state moves at random."""

    def __init__(self, k: int = 2):
        super().__init__(k)
        self.register_buffer("level", torch.zeros(()))

    def update(self, estimate: Estimate) -> None:
        self.level += torch.rand(())


class RemembersCost(Right):
    """forward keeps its last cost as an attribute."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        self.last = float(c.detach().mean())
        return super().finish(c, log_q)


class SeedsNumpy(Right):
    """forward moves NumPy's random stream."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        np.random.rand()  # noqa: NPY002
        return super().finish(c, log_q)


class OwnNoise(Right):
    """Noise that does not come from q."""

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        z = torch.bernoulli(q.probs.detach().expand(self.k, *q.probs.shape))
        return self.finish(cost(z), q.log_prob(z))


class SharedNoise(Right):
    """All replicas get the noise of the first: their draws are not independent."""

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        first = q.with_params(q.params.detach().reshape(-1, *q.params.shape[-2:])[0])
        u = first.uniform(self.k)  # [K, B, D]
        u = u.view(self.k, *[1] * (q.params.ndim - 2), *u.shape[1:])
        z = (u > torch.sigmoid(-q.logits.detach())).to(u.dtype)
        return self.finish(cost(z), q.log_prob(z))


class NotNoiseless(Right):
    """It draws and calls itself noiseless."""

    noiseless = True


class Branches(Right):
    """It looks at a value, which vmap cannot."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        if c.detach().sum() > 1e9:
            c = c * 1
        return super().finish(c, log_q)
