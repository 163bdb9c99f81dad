"""More estimators that are wrong on purpose, each against one rule of the conformance kit and documented otherwise."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from estimators import Bernoulli, Categorical, Cost, Discrete, Estimate, Estimator, Gaussian, Latent, as_loss


class Right(Estimator):
    """The score function, as it should be: what the planted errors depart from.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / 0"

    def __init_subclass__(cls, documented: bool = True, **kwargs):
        super().__init_subclass__(**kwargs)
        if documented and "Args:" not in (cls.__doc__ or ""):
            cls.__doc__ = f"{cls.__doc__}\n\n    Args:\n        k: samples per estimate.\n"

    def __init__(self, k: int = 2):
        super().__init__()
        if k < 1:
            raise ValueError(f"It averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)
        return self.finish(c, q.log_prob(z))

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        """`c`, `log_q` `[K, ..., B]`."""
        return Estimate((c.detach() * log_q + c).mean(0), c.mean(0))


class ProductOfAverages(Right):
    """A RELAX that averages the rewards and the scores apart and multiplies the averages: its mean shrinks by 1 / K."""

    latents = (Bernoulli, Categorical)
    evaluations = "3k / 2k"

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        def control(logits: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            posterior = q.with_logits(logits)
            perturbed = posterior.perturbed(self.k)
            z = posterior.harden(perturbed.detach())
            given = cost(posterior.soften(posterior.conditional(z), 0.5))
            return cost(posterior.soften(perturbed, 0.5)) - given, (z, given)

        difference, pull, (z, given) = torch.func.vjp(control, q.natural.detach(), has_aux=True)
        (pathwise,) = pull(torch.ones_like(difference))
        c = cost(z)
        reward = (c.detach() - given).mean(0)[(..., *[None] * q.event_ndim)]
        gradient = reward * (z - q.probs.detach()).mean(0) + pathwise / self.k
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0))


class StraightThroughUnbiased(Right):
    """Straight-through that calls itself unbiased."""

    evaluations = "k / k"

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.sample(self.k) + (q.probs - q.probs.detach()))
        return Estimate(c.mean(0), c.mean(0))


class LostHalf(Estimator):
    """DisARM without its 1/2."""

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "2 / 0"

    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        u, threshold = q.uniform(1), torch.sigmoid(-q.logits.detach())
        b, antithetic = (u > threshold).to(u.dtype), (1 - u > threshold).to(u.dtype)
        c = cost(torch.cat([b, antithetic]))
        gradient = ((c[:1] - c[1:]).detach().unsqueeze(-1) * (b - antithetic)).squeeze(0)
        return Estimate(as_loss(q, gradient * torch.sigmoid(q.logits.detach().abs())) + c.mean(0), c.mean(0))


class BoundStickingTheLanding(Right):
    """The path derivative of a K-sample bound, called unbiased: for K > 1 the dropped score has a mean."""

    latents = (Gaussian,)
    objective = "iwae"
    evaluations = "k / k"

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        bound = math.log(self.k) - (-cost(q.rsample(self.k))).logsumexp(0)
        return Estimate(bound, bound)


class SumAtLargerK(Right):
    """A sum over K where the mean belongs, which k = 1 does not show."""

    def __init__(self, k: int = 1):
        super().__init__(k)

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q).sum(0) + c.mean(0), c.mean(0))


class NotANumber(Right):
    """The gradient is log 0 times 0 wherever a bit is 0."""

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)
        c = cost(z)
        return self.finish(c, q.log_prob(z) * (1 + 0 * z.log().sum(-1)))


class Crash(Right):
    """It asks for what there is not."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        raise KeyError("no such thing")


class SummedOverBatch(Right):
    """One number for the batch where there should be one for each example."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q + c).mean(0).sum(), c.mean(0))


class SinglePrecision(Right):
    """It rounds q's numbers to float32."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return super().finish(c.float(), log_q.float())


class NoDecoder(Right):
    """The cost is detached throughout, so the decoder never learns."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q).mean(0), c.mean(0))


class DecoderTwice(Right):
    """The decoder's gradient is doubled."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach() * log_q + 2 * c).mean(0), c.mean(0))


class WrongValue(Right):
    """The logged cost is that of the cheapest sample."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return super().finish(c, log_q)._replace(cost=c.amin(0))


class MovesWithConstant(Right):
    """Unbiased for small costs alone: a clipped reward."""

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        return Estimate((c.detach().clamp(max=2.5) * log_q + c).mean(0), c.mean(0))


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
