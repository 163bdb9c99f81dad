"""The subject of the checks: an estimator class with hyper-parameters, and a case of it with a small problem."""

import copy
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.check.problem import BASE, Cost, Setting, SmallProblem, problem
from bench.config import plugins
from bench.errors import BadInput, nearest_estimator
from estimators import Enumerable, Estimate, Estimator

PREPARATION = 3  # training steps before the checks, after which running means and baselines differ from their start
LEARNED = 0.3  # distance that own parameters move in these steps: PREPARATION steps of Adam at 0.1

DRAWS = 2**20  # at most
SHARP = 0.01  # the bias that the draws must show, relative to the gradient
MOST_SAMPLES, MOST_OF_FEW = 8, 16  # most samples of a bound that is enumerated: with many states, and with few


class Subject(NamedTuple):
    """An estimator class with hyper-parameters."""

    name: str
    cls: type[Estimator]
    hyper: dict[str, Any]  # the arguments that differ from the constructor's defaults
    source: str  # the file that defines it

    def make(self, **changes: Any) -> Estimator:
        """A new instance in float64; the same initial weights every time."""
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            return self.cls(**{**self.hyper, **changes}).double()

    def arguments(self) -> dict[str, Any]:
        """Every argument of the constructor and its value here."""
        signature = list(inspect.signature(self.cls.__init__).parameters.values())[1:]
        named = [p for p in signature if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return {p.name: self.hyper.get(p.name, p.default) for p in named}


def subject(what: str | type[Estimator]) -> Subject:
    """The subject of a class, or of the name of a registered option or a preset. An unknown name raises BadInput."""
    if not isinstance(what, str):
        return Subject(what.name, what, {}, inspect.getsourcefile(what) or "?")
    if what in plugins.registry():
        cls, source = plugins.registry()[what]
        return Subject(what, cls, {}, source)
    if what in plugins.presets():
        hyper = plugins.complete(plugins.composed(what))
        cls = plugins.target(hyper.pop("_target_"))
        return Subject(what, cls, hyper, f"{inspect.getsourcefile(cls)} (conf/estimator/{what}.yaml)")
    raise BadInput(f"There is no estimator {what}: {nearest_estimator(what, names())}")


def names() -> list[str]:
    """Every registered option and every preset."""
    return [*plugins.registry(), *plugins.presets()]


class Case:
    """One estimator on one latent family in one setting.

    Args:
        subject: the estimator.
        family: the latent family.
        draws: at most this many are taken where the noise cannot be enumerated or integrated.
        sharp: the relative bias that the draws must show; they end earlier if fewer are enough.
        setting: of the small problem.
        updates: training steps of the estimator before the checks.

    Attributes:
        bound: the number of samples of the bound, if the objective is one (`iwae`), else None.
        kinds: the kinds of KL that the estimator supports.
    """

    def __init__(
        self,
        subject: Subject,
        family: str,
        draws: int = DRAWS,
        sharp: float = SHARP,
        setting: Setting = BASE,
        updates: int = PREPARATION,
    ):
        self.subject, self.family, self.draws, self.sharp, self.updates = subject, family, draws, sharp, updates
        self.setting, self.problem = setting, problem(family, setting)
        self.cache: dict[Any, Any] = {}
        made = subject.make()
        self.bound = int(getattr(made, "k", 1)) if made.objective == "iwae" else None
        most = MOST_SAMPLES if self._states() > 9 else MOST_OF_FEW
        if self.bound is not None and self.bound > most:
            self.bound, self.subject = most, subject._replace(hyper={**subject.hyper, "k": most})
        self.unbiased, self.noiseless = bool(made.unbiased), bool(made.noiseless)
        needs = "sampled" if made.objective == "iwae" else made.kl
        self.kinds = ("analytic", "sampled") if needs == "any" else (needs,)

    def _states(self) -> int:
        return self.problem.q.states if isinstance(self.problem.q, Enumerable) else 0

    def others(self, setting: Setting) -> "Case":
        """The case of the same estimator in another setting."""
        return Case(self.subject, self.family, self.draws, self.sharp, setting, self.updates)

    def fresh(self, dtype: torch.dtype = torch.float64, **changes: Any) -> Estimator:
        """A new instance, whose lazy layers are materialised."""
        made = self.subject.make(**changes).to(dtype)
        if any(nn.parameter.is_lazy(p) for p in made.parameters()):
            with torch.random.fork_rng([]):
                torch.manual_seed(1)
                self.estimate(made, self.problem.to(dtype))
                made.to(dtype)
        return made

    def trained(self) -> Estimator:
        """A copy of the estimator after `updates` training steps, which move its state and its own parameters."""
        if "trained" not in self.cache:
            made = self.fresh()
            learn = learner(made, LEARNED / max(self.updates, 1))
            with torch.random.fork_rng([]):
                torch.manual_seed(2)
                for _ in range(self.updates):
                    learn(self.estimate(made, self.problem))
            self.cache["trained"] = made
        return copy.deepcopy(self.cache["trained"])

    def estimate(
        self, made: Estimator, problem: SmallProblem, kind: str | None = None, constant: float = 0.0
    ) -> Estimate:
        """One estimate for every example of a problem; `constant`, in nats, is added to the cost."""
        return made(problem.q, Cost(problem, kind or self.kinds[0], constant), problem.x)

    def leaves(self, *lead: int, dtype: torch.dtype = torch.float64, one: bool = False, index: int = 0) -> SmallProblem:
        """The problem with q's parameters and theta as leaves that require gradients, `[*lead, B, *]`.

        Every example has a theta of its own. With `one`, B is 1: the example of this index.
        """
        base = self.problem.first(index) if one else self.problem
        base = base.to(dtype)
        params = base.q.params.expand(*lead, *base.q.params.shape).clone().requires_grad_()
        theta = base.theta.expand(*base.q.with_params(params).batch_shape, -1).clone().requires_grad_()
        return base._replace(q=base.q.with_params(params), theta=theta)


def own_parameters(made: Estimator) -> list[nn.Parameter]:
    """The estimator's own parameters that require a gradient."""
    return [p for p in made.parameters() if p.requires_grad]


def learner(made: Estimator, rate: float = 0.1) -> Callable[[Estimate], None]:
    """A function that trains the estimator on an estimate: one Adam step of its parameters on tuning, then `update`."""
    tuned = own_parameters(made)
    optimiser = torch.optim.Adam(tuned, rate) if tuned else None

    def learn(estimate: Estimate) -> None:
        if optimiser is not None and estimate.tuning is not None:
            optimiser.zero_grad()
            estimate.tuning.mean().backward(inputs=tuned)
            optimiser.step()
            optimiser.zero_grad()
        made.update(estimate)

    return learn


def gradients(loss: Tensor, problem: SmallProblem, retain: bool = False) -> tuple[Tensor, Tensor]:
    """The gradients of the summed loss with respect to q's parameters and to theta; zero where it does not depend."""
    leaves = [problem.q.params, problem.theta]
    found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True, retain_graph=retain)
    return found[0], found[1]
