"""The bound of several layers of latents, each layer under its own copy of one estimator.

Write f_l(z_{l-1}, z_l) = -log p(z_{l-1}|z_l) + log q(z_l|z_{l-1}), with z_0 = x, and -log p(z_L) more for l = L. Then
-ELBO is E sum_l f_l, and layer l bears on the terms from l on alone. So the estimator of layer l is called on
q(z_l|z_{l-1}), for a sample z_{l-1}, with the cost

    cost_l(z_l) = f_l(z_{l-1}, z_l) + what the layers after l cost, given z_l

Nothing in an estimator changes. Where the last term comes from depends on what the estimator does with a cost.

* It asks for values alone (its `evaluations` end in "/ 0"): the layers after l are sampled, once for each evaluation,
  without gradient. z_{l-1} is one further sample, and the loss is the sum over the layers. An estimate that is linear
  in the cost keeps its mean where the cost has noise, drawn anew at each evaluation.
* It differentiates the cost, or is `exact`: the term is the estimate that layer l + 1 makes of it, given z_l, by its
  value and by its gradient, which reaches z_l through the parameters of q(z_{l+1}|z_l). The loss is that of layer 1.
  So pathwise estimators are one pass through all layers, straight-through and relaxations are stacked, control variates
  such as REBAR's have the slope of the mean cost, and `exact` sums over the states of all layers together. With K
  samples a layer, layer l has K^l evaluations.

Either way every parameter has its gradient once. For REBAR, Tucker et al. 2017 (arXiv:1703.07370, section 3.4) relax
all layers after l instead.

An evaluation of cost_l counts as one, with all layers that are sampled for it; the columns `evaluations_*` are sums
over the layers.
"""

import copy
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from torch import Tensor, nn

from bench.model.chain import Bound, Pass, plus
from bench.model.hierarchy import Hierarchy
from bench.model.objective import Objective, Watch, unwatched
from bench.model.residual import Residual
from bench.model.rssm import RSSM
from estimators import Cost, Enumerable, Estimate, Estimator, Gaussian, Latent
from estimators.exact import Exact

TAGS = (
    *("name", "latents", "unbiased", "objective", "evaluations", "paper", "kl"),
    *("deterministic", "own_noise", "rewards", "noiseless", "noiseless_cost", "learns_codes"),
)


def _tag(name: str) -> property:
    return property(lambda self: getattr(self.layers[0], name))


class PerLayer(Estimator):
    """A copy of an estimator for each layer, with parameters and state of its own; its tags are the estimator's."""

    def __init__(self, estimator: Estimator, layers: int):
        super().__init__()
        self.layers = nn.ModuleList([estimator, *(copy.deepcopy(estimator) for _ in range(1, layers))])

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        """That of the first layer."""
        return self.layers[0](q, cost, x)

    def update(self, estimate: Estimate) -> None:
        for layer, of_it in zip(self.layers, estimate.layers, strict=True):
            layer.update(of_it)  # type: ignore[operator]

    def refuses(self, q: Latent) -> str | None:
        return self.layers[0].refuses(q)  # type: ignore[operator]


for name in TAGS:
    setattr(PerLayer, name, _tag(name))


class Chained(Objective):
    """The objective of a model with several latents one after another; its estimator is one for each."""

    passes: ClassVar[type[Pass]]
    forms: ClassVar[tuple[str, ...]]  # in which the KL comes in

    model: Hierarchy | Residual | RSSM
    estimator: PerLayer

    def __init__(
        self, model: Hierarchy | Residual | RSSM, estimator: Estimator, kl: str = "sampled", beta: float = 1.0
    ):
        if not isinstance(estimator, PerLayer):
            estimator = PerLayer(estimator, model.layers)
        super().__init__(model, estimator, kl, beta)
        self.nested = estimator.noiseless or not estimator.evaluations.rstrip().endswith("/ 0")

    def impossible(self, q: Latent) -> str | None:
        name, noun = self.estimator.name, self.model.noun
        if self.estimator.objective != "elbo":
            return f"{name} bounds log p(x) by K samples of one {noun}; several {noun}s take an estimator of the ELBO."
        if self.model.layers > 1 and self.estimator.noiseless_cost:
            return (
                f"{name} divides a difference of costs by its step, and what is sampled after a {noun} is noise in "
                "both; take an estimator of another kind, such as rloo."
            )
        if self.beta and self.kl not in self.forms:
            closed = "has no closed form" if self.forms == ("sampled",) else "is no term of its own"
            return f"Between {noun}s the KL {closed}: set objective.kl={' or '.join(self.forms)}."
        each = self.each(q)
        return next(filter(None, map(super().impossible, each)), None) or self._too_many(each)

    def each(self, q: Latent) -> list[Latent]:
        """A distribution of every latent with one example, for q of the first."""
        return [q.with_params(q.params.new_zeros(1, *shape)) for shape in self.model.shapes]

    def _too_many(self, each: list[Latent]) -> str | None:
        """Why `exact` cannot sum over all states, or None."""
        name, noun, exact, states = self.estimator.name, self.model.noun, self.estimator.layers[0], 1
        if not isinstance(exact, Exact):
            return None
        for its_q in each:
            if not isinstance(its_q, Enumerable):
                other = "reparam" if all(isinstance(one, Gaussian) for one in each) else "rloo"
                return (
                    f"{name} sums over the states of all {noun}s, and {its_q.family} {noun}s have none; take {other}."
                )
            states *= its_q.states
        if states <= exact.limit:
            return None
        return (
            f"{name} would sum over {Decimal(states):.3g} states of {self.model.layers} {noun}s, more than "
            f"limit={exact.limit}; take smaller {noun}s, raise the limit, or sample with an unbiased estimator."
        )

    def shifts(self, q: Latent) -> list[Tensor]:
        return [q.params.new_zeros(*q.batch_shape, *shape) for shape in self.model.shapes[1:]]

    @property
    def shifted(self) -> list[str]:
        return [f"latent.{layer}" for layer in range(2, self.model.layers + 1)]

    def draw(self, q: Latent, x: Tensor, watch: Watch = unwatched, shifts: Sequence[Tensor] = ()) -> Estimate:
        estimator = self.estimator
        bound = Bound(self.model, estimator.layers, self.beta, self.nested, estimator.noiseless, self.kl)
        if self.nested and any(nn.parameter.is_lazy(p) for p in estimator.parameters()):
            self.passes(bound, x, unwatched, ()).take_sizes(q)
        return self.passes(bound, x, watch, shifts).estimate(q)


class LayerPass(Pass):
    """Of a `Hierarchy`: what a layer is given is points of the one before it, or the images."""

    def __init__(self, bound: Bound, x: Tensor, watch: Watch, shifts: Sequence[Tensor]):
        super().__init__(bound, x, watch, shifts)
        self.model: Hierarchy = bound.model

    def begin(self, q: Latent) -> tuple[Latent, Tensor]:
        return q, self.x

    def onward(self, layer: int, before: Tensor, z: Tensor) -> Tensor:
        return z

    def conditional(self, layer: int, before: Tensor) -> Latent:
        return self.model.above(layer, before)

    def features(self, layer: int, q: Latent, before: Tensor) -> Tensor:
        return before if layer == 1 else self.model.read(before, layer - 1)

    def own(self, layer: int, z: Tensor, q: Latent, frozen: Latent, before: Tensor) -> Tensor:
        model, beta, nats = self.model, self.bound.beta, None
        if layer == (self.last if model.structured else 1):
            nats = -model.log_likelihood(self.x, z)
        if model.structured:
            return z.new_zeros(()) if nats is None else nats
        kl = q.log_prob(z)
        kl = kl - model.below(layer, z).log_prob(before) if layer > 1 else kl
        kl = kl - model.log_prior(z, frozen) if layer == self.last else kl
        return plus(kl if beta == 1 else beta * kl, nats)


class Layered(Chained):
    """The objective of a `Hierarchy`."""

    passes, forms = LayerPass, ("sampled",)
    model: Hierarchy

    def impossible(self, q: Latent) -> str | None:
        if self.model.structured and self.beta:
            return "model.task=structured has no prior, hence no KL: set objective.beta=0."
        return super().impossible(q)

    def each(self, q: Latent) -> list[Latent]:
        return [self.model.standard(layer, q.params) for layer in range(1, self.model.layers + 1)]
