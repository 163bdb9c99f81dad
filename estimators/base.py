"""The whole interface of an estimator; every shape is stated here, once.

Axes of every tensor, in this order: K samples, the batch shape `...` whose last axis is B examples, then units.
An estimator reduces over K and over units, never over the batch shape: examples never meet. So the same code runs for
one batch `[B]` and for R independent replicas `[R, B]`.

All randomness comes from the methods of `q` (`sample`, `uniform`, `gumbel`, `normal`, ...) and from nowhere else, so
that a test can hand in a `q` whose noise is enumerated and prove a mean exactly.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol

from torch import Tensor, nn
from typing_extensions import TypeVar  # which torch brings; typing's has a default from Python 3.13 on

from estimators.latents import FAMILIES, Enumerable, Latent

Q = TypeVar("Q", bound=Latent, contravariant=True, default=Any)


def snake(name: str) -> str:
    """A class's name as that of an option: RelaxedBits is relaxed_bits."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Cost(Protocol):
    """What a sample costs, in nats; differentiable in `z` and in whatever parameters the cost itself has."""

    def __call__(self, z: Tensor, q: Latent | None = None) -> Tensor:
        """`z [K, ..., B, *]` -> `[K, ..., B]`; axes of z's batch shape may be 1 where all examples share a point.

        Where the cost contains log q(z), q's parameters are frozen in it unless `q` is handed in, which lets them live:
        the total derivative.
        """
        ...


class Estimate(NamedTuple):
    """One draw of an estimator.

    Attributes:
        loss: `[..., B]`, its gradient IS the estimate; its value means nothing.
        cost: `[..., B]`, value for logs and baselines, no gradient needed.
        tuning: `[..., B]`, what the estimator's own parameters minimise.
        layers: the estimate of each layer, where the harness has several; an estimator leaves it empty.
    """

    loss: Tensor
    cost: Tensor
    tuning: Tensor | None = None
    layers: "tuple[Estimate, ...]" = ()


class Range(NamedTuple):
    """Where a hyper-parameter is looked for, both ends included.

    Attributes:
        low: the lower end; above 0 where `log`.
        high: the upper end.
        log: whether equal ratios count as equally far apart, and not equal differences.
    """

    low: float
    high: float
    log: bool = True

    def at(self, share: float) -> float:
        """The value at this share of the way, 0 to 1, from the lower end to the upper one."""
        if self.log:
            return float(self.low ** (1 - share) * self.high**share)
        return float((1 - share) * self.low + share * self.high)


class Estimator(nn.Module, ABC, Generic[Q]):
    """Turns a latent distribution `q`, a cost and the data `x [B, X]` into a loss whose gradient is the estimate.

    `Estimator[Bernoulli]` tells type checkers what `forward` takes; plain `Estimator` takes any family.

    Tags, which the tests hold every class to:

    * `latents`: the families it can differentiate.
    * `unbiased`: the mean of its gradient is the gradient of its objective. An instance may override the class.
    * `objective`: `"elbo"`, the expected cost, or `"iwae"`, a K-sample bound, where cost(z) is -log w(z).
    * `evaluations`: cost evaluations per example and gradient, "forward / backward to z", as expressions in the
      hyper-parameters, D coordinates and C categories.
    * `paper`: the short citation; the full one is in the module's docstring.
    * `kl`: `"any"`; `"sampled"` for an estimator that does nothing of its own unless log q(z) is inside the cost;
      `"analytic"` for one whose points have no log q(z).
    * `deterministic`: also defined where q is a point mass (VQ at temperature 0).
    * `own_noise`: draws noise beside q's samples, so that it is random even where q is a point mass.
    * `rewards`: has a signal only where cost(z) is minus a reward: where the mean cost may be below 0.
    * `learns_codes`: its gradient reaches the codebook of VQ through q, not through the decoder's input alone.
    * `noiseless`: the same estimate at every call; one draw says everything.
    * `noiseless_cost`: divides a difference of costs by a small step, which noise in the cost would not leave small.
    * `tunable`: hyper-parameters that move the gradient's bias or noise and have no right value, each with the range in
      which `bench.tune` looks. One that says what is optimised, as the k of a K-sample bound, is none.
    """

    name: ClassVar[str]
    latents: ClassVar[tuple[type[Latent], ...]]
    unbiased: bool
    objective: ClassVar[str] = "elbo"
    evaluations: ClassVar[str]
    paper: ClassVar[str] = "-"
    kl: ClassVar[str] = "any"
    deterministic: ClassVar[bool] = False
    own_noise: ClassVar[bool] = False
    rewards: bool = False
    noiseless: ClassVar[bool] = False
    noiseless_cost: ClassVar[bool] = False
    learns_codes: ClassVar[bool] = False
    tunable: ClassVar[Mapping[str, Range]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = snake(cls.__name__)

    @abstractmethod
    def forward(self, q: Q, cost: Cost, x: Tensor) -> Estimate:
        """One estimate. Pure: reads parameters and buffers, never writes them."""

    if TYPE_CHECKING:  # that of nn.Module gives Any

        def __call__(self, q: Q, cost: Cost, x: Tensor) -> Estimate: ...

    def update(self, estimate: Estimate) -> None:
        """Move the state (running means, schedules) after a training step. The only place where state moves."""

    def takes(self, q: Latent) -> bool:
        """Whether q is of `latents`. A family from elsewhere is, where all of the suite's families are, or all with
        finitely many states if it is such a one: what holds for each of them needs no more of q than they share."""
        general = Enumerable if isinstance(q, Enumerable) else Latent
        return isinstance(q, self.latents) or all(
            issubclass(family, self.latents) for family in FAMILIES.values() if issubclass(family, general)
        )

    def refuses(self, q: Latent) -> str | None:
        """One sentence saying why this estimator cannot differentiate this `q`, or None. Extend by calling super."""
        if not self.takes(q):
            families = ", ".join(f.family for f in self.latents)
            return f"{self.name} does not differentiate {q.family} latents; it is made for {families}."
        if q.deterministic and not self.deterministic:
            return f"{self.name} needs a posterior that is random; set latent.temperature above 0."
        return None


def as_loss(q: Latent, gradient: Tensor) -> Tensor:
    """A loss `[..., B]` whose gradient with respect to `q.natural` is `gradient`.

    `q.natural` is `q.params` for Gaussian, Bernoulli and Categorical, and the code logits for VQ, from where the
    gradient goes on to the encoder's vectors. Values of the loss mean nothing.
    """
    axes = tuple(range(-q.event_ndim, 0))
    return (q.natural * gradient.detach()).sum(axes)
