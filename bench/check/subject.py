"""What is checked: an estimator class with hyper-parameters, and where it comes from."""

import copy
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.check.problem import BASE, Cost, Setting, SmallProblem, problem
from bench.config import plugins
from bench.errors import BadInput, nearest
from estimators import Enumerable, Estimate, Estimator

PREPARATION = 3  # training steps before the checks, so that running means and learned baselines are not at their start
LEARNED = 0.3  # how far own parameters go meanwhile: PREPARATION steps of Adam at 0.1

DRAWS = 2**20  # at most
SHARP = 0.01  # the bias that they are to show, relative to the gradient
MOST_SAMPLES, MOST_OF_FEW = 8, 16  # of a bound, whose truth is enumerated: of many states, and of few


class Subject(NamedTuple):
    name: str
    cls: type[Estimator]
    hyper: dict[str, Any]  # where it departs from the constructor's defaults
    source: str

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
    """A registered option or a preset by name, or a class. Raises BadInput, with one sentence, at an unknown name."""
    if not isinstance(what, str):
        return Subject(what.name, what, {}, inspect.getsourcefile(what) or "?")
    if what in plugins.registry():
        cls, source = plugins.registry()[what]
        return Subject(what, cls, {}, source)
    if what in plugins.presets():
        hyper = plugins.complete(plugins.composed(what))
        cls = plugins.target(hyper.pop("_target_"))
        return Subject(what, cls, hyper, f"{inspect.getsourcefile(cls)} (conf/estimator/{what}.yaml)")
    raise BadInput(f"There is no estimator {what}: {nearest(what, names())}")


def names() -> list[str]:
    """Every registered option and every preset."""
    return [*plugins.registry(), *plugins.presets()]


class Case:
    """One estimator on one latent family in one setting.

    Where its noise cannot be enumerated it is drawn, at most `draws` times, until a bias of `sharp` is visible.
    `updates` training steps come before.
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
        self.problem = problem(family, setting)
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
        """The same in another setting."""
        return Case(self.subject, self.family, self.draws, self.sharp, setting, self.updates)

    def fresh(self, dtype: torch.dtype = torch.float64, **changes: Any) -> Estimator:
        """A new instance, whose lazy layers have their sizes."""
        made = self.subject.make(**changes).to(dtype)
        if any(nn.parameter.is_lazy(p) for p in made.parameters()):
            with torch.random.fork_rng([]):
                torch.manual_seed(1)
                self.estimate(made, self.problem.to(dtype))
                made.to(dtype)
        return made

    def trained(self) -> Estimator:
        """An instance after training steps: its state and its own parameters are not those it starts with."""
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
        return made(problem.q, Cost(problem, kind or self.kinds[0], constant), problem.x)

    def leaves(self, *lead: int, dtype: torch.dtype = torch.float64, one: bool = False, index: int = 0) -> SmallProblem:
        """The problem with q's and the cost's parameters as leaves, each example with its own: `[*lead, B, *]`."""
        base = self.problem.first(index) if one else self.problem
        base = base.to(dtype)
        params = base.q.params.expand(*lead, *base.q.params.shape).clone().requires_grad_()
        theta = base.theta.expand(*base.q.with_params(params).batch_shape, -1).clone().requires_grad_()
        return base._replace(q=base.q.with_params(params), theta=theta)


def own_parameters(made: Estimator) -> list[nn.Parameter]:
    return [p for p in made.parameters() if p.requires_grad]


def learner(made: Estimator, rate: float = 0.1) -> Callable[[Estimate], None]:
    """A function that does with an estimate what a training step does: own parameters by tuning, then `update`."""
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
    """Of the summed loss, with respect to q's parameters and the decoder's; zero where there is none."""
    leaves = [problem.q.params, problem.theta]
    found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True, retain_graph=retain)
    return found[0], found[1]
