"""Checks of the estimator inside the harness: in a small VAE, with the same code that measures a user's model."""

import copy
import re
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from bench.check.contents import Contents, walk
from bench.check.deviations import BOUND
from bench.check.moments import OUTCOMES
from bench.check.noise import Tape, draws_of, points
from bench.check.subject import Case
from bench.check.verdict import Broken, Verdict, demand, info, ok
from bench.measure import timing
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from bench.model.vae import VAE, Model
from bench.problems.tokens import Tokens
from bench.settings import LatentGroup, ModelGroup
from estimators import Enumerable, Latent

PIXELS = 4
FEW = 256  # draws where bench.measure takes them one at a time
LATENTS: dict[str, LatentGroup] = {
    "gaussian": {"family": "gaussian", "dim": 2},
    "bernoulli": {"family": "bernoulli", "dim": 3},
    "categorical": {"family": "categorical", "dim": 2, "categories": 3},
    "vq": {
        "family": "vq", "positions": 2, "dim": 2, "codes": 3, "temperature": 1.5, "codebook": "gradient",
        "codebook_weight": 1.0, "commitment_weight": 0.25, "decay": 0.9, "restart": 0.0,
    },
    "sequence": {"family": "sequence", "dim": 2, "categories": 2},
}  # fmt: skip
MODEL: ModelGroup = {
    "task": "generative", "decoder": "network", "arch": "mlp", "hidden": [5], "activation": "tanh", "slope": 0.01,
    "init": "torch",
    "likelihood": "bernoulli", "std": 0.7, "learn_std": False, "prior": "fixed", "center_input": False,
    "signed_latent": False, "output_bias": "none", "kernels": None, "strides": None,
}  # fmt: skip


def harness(case: Case) -> tuple[Objective, Tensor]:
    """A small model's objective with this estimator after one update, and one image, or one prompt of a sequence model,
    `[1, X]`."""
    torch.manual_seed(11)
    if case.family == "sequence":
        model: Model = Tokens(vocabulary=2, length=2, prompts=1, policy="own", spread=1.0)
        x = torch.zeros(1, 1, dtype=torch.float64)
    else:
        model = VAE(LATENTS[case.family], MODEL, (1, 2, 2), torch.full((PIXELS,), 0.5)).double()
        for parameter in model.parameters():
            parameter.data *= 2
        x = (torch.rand(1, PIXELS, dtype=torch.float64) < 0.5).double()
    objective = Objective(model, case.subject.make(), case.kinds[0])
    estimate = objective.estimate(model.encode(x), x)  # gives lazy layers their size
    objective.estimator.double().update(estimate)
    return objective, x


def measuring(case: Case) -> Verdict:
    """Measuring does not change the estimator; where the noise can be enumerated, the variance that bench.measure
    estimates agrees with the exact one."""
    objective, x = harness(case)
    before, q = Contents(walk(objective.estimator)), objective.model.encode(x).detach()
    slow = objective.estimator.learns_codes  # bench.measure takes its draws one at a time
    draws = max(1024, case.draws // 60)
    with Tape() if slow else nullcontext() as tape:
        (latent,) = (r for r in measure(objective, x[None], FEW if slow else draws, seed=3) if r["part"] == "latent")
    changed = before.changed(Contents(walk(objective.estimator)))
    demand(not changed, f"measuring changes {', '.join(changed[:3])}", f"{len(changed)} changed")
    estimated, error = latent["variance_noise"], latent["variance_noise_se"]
    demand(estimated == estimated or case.noiseless, "the measured variance is not a number")
    if tape is not None and tape.noise:  # what it measures of few draws is theirs; many draws are compared below
        of_few, _ = _variance(objective, q, x, FEW, together(tape.noise, FEW))
        number = f"{estimated:.8g}, of the same draws {of_few:.8g}"
        demand(abs(estimated - of_few) <= 1e-9 * of_few, "the measured variance is not that of its draws", number)
        estimated, error = _variance(objective, q, x, draws)
    exact = _exact_variance(objective, q, x)
    if exact is None:
        return info(f"variance {estimated:.3g} ± {error:.1g}", "Measured; its noise cannot be enumerated.")
    z = abs(estimated - exact) / error if error > 1e-12 else 0.0
    number = f"variance {estimated:.3g}, exact {exact:.3g}, |z| {z:.1f}"
    demand(z < BOUND and (error > 1e-12 or abs(estimated - exact) < 1e-9), "the measured variance is wrong", number)
    return ok(number)


def evaluations(case: Case) -> Verdict:
    """The tag evaluations equals the counted evaluations of the cost per example, forward / backward to z."""
    objective, x = harness(case)
    counted = timing.evaluations(objective, objective.model.encode(x), x)
    made, latent = objective.estimator, LATENTS[case.family]
    names = {**vars(made), **case.subject.arguments()}
    names["D"] = latent.get("positions", latent["dim"])
    names["C"] = latent.get("codes", latent.get("categories", {"bernoulli": 2}.get(case.family, 0)))
    sides = made.evaluations.split(" / ")
    bound = sides[0].startswith("<=")
    for what, side, count in zip(("forward", "backward"), sides, counted, strict=True):
        value = _value(side.removeprefix("<="), names)
        said = f"{side.strip()} = {value} evaluations {what} are declared and {count} counted"
        demand(count <= value if bound else count == value, said, f"{counted[0]} / {counted[1]}")
    return ok(f"{counted[0]} / {counted[1]}")


def _value(expression: str, names: dict[str, Any]) -> Any:
    written = re.sub(r"(?<![\w.])(\d+)(?=[A-Za-z(])", r"\1*", expression).strip()  # 3k is 3 * k
    try:
        return eval(written, {"__builtins__": {}, "min": min, "max": max}, names)
    except Exception as error:
        raise Broken(f"the expression {expression.strip()!r} has no value: {error}") from error


def together(noise: list[Tensor], draws: int) -> list[Tensor]:
    """The noise of draws that were taken one after another, as that of one call: `[K, 1, ...]` to `[K, draws, ...]`."""
    each = len(noise) // draws
    return [torch.cat(noise[number::each], 1) for number in range(each)]


def _variance(
    objective: Objective, q: Latent, x: Tensor, draws: int, noise: list[Tensor] | None = None
) -> tuple[float, float]:
    """The variance of this many draws of the estimate with respect to q's parameters, on given noise or on new noise,
    and its standard error."""
    params = q.params.expand(draws, *q.params.shape).clone().requires_grad_()
    live = q.with_params(params)
    with Tape(noise):
        loss = objective.estimator(live, objective.cost(live, x), x).loss
    (gradient,) = torch.autograd.grad(loss.sum(), [params])
    apart = (gradient - gradient.mean(0)).flatten(1).square().sum(1) * draws / (draws - 1)  # [R]
    return float(apart.mean()), float(apart.std()) / draws**0.5


def _exact_variance(objective: Objective, q: Latent, x: Tensor) -> float | None:
    """Trace of the covariance of the estimate with respect to q's parameters."""
    if not isinstance(q, Enumerable):
        return None
    made = copy.deepcopy(objective.estimator)

    def call(q: Latent) -> Tensor:
        return made(q, objective.cost(q, x), x).loss

    taken = draws_of(call, q)
    if taken is None or q.states ** taken[0] > OUTCOMES // 2:
        return None
    outcomes = points(q, taken[0], 0)
    params = outcomes.q.params.requires_grad_()
    (gradient,) = torch.autograd.grad(call(outcomes.q.with_params(params)).sum(), [params])
    gradient = gradient.flatten(1)  # [J, P]
    return float(outcomes.weights @ (gradient - outcomes.weights @ gradient).square().sum(1))
