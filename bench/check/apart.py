"""Checks that examples, replicas and seeds are independent of each other, and that float32 agrees with float64.

Both sides of a comparison use the same recorded noise, so that any difference is a fault and not chance.
"""

import copy

import torch
from torch import Tensor

from bench.check.conduct import by_example
from bench.check.noise import Mismatch, Tape, shares
from bench.check.problem import Setting, SmallProblem
from bench.check.subject import Case, gradients
from bench.check.verdict import Verdict, demand, ok
from estimators import Estimate, Estimator

SEEDS, REPLICAS, EXAMPLES = 13, 11, 7  # unlike every other length, so that their axis can be found
DRAWS = 4096  # draws for each example, for correlations
BOUND = 5.5  # standard errors of a correlation
SINGLE = 2e-3  # largest relative difference of float32 from float64; finite differences come close to it


def examples(case: Case) -> Verdict:
    """Examples are independent: an example's gradient, cost and tuning do not depend on the q and x of the others."""
    made = case.trained()
    one = case.leaves()
    with Tape() as tape:
        first = case.estimate(made, one)
    changed = one.q.params.detach().clone()
    changed[1] = changed[1] * 0.3 - 0.5
    x = one.x.clone()
    x[1] += 1
    other = case.leaves()._replace(q=one.q.with_params(changed.requires_grad_()), x=x)
    with Tape(tape.noise):
        second = case.estimate(made, other)
    worst = 0.0
    for field in ("loss", "cost", "tuning"):
        mine, theirs = getattr(first, field), getattr(second, field)
        if mine is None:
            continue
        if field != "loss":
            worst = max(worst, float((mine[0] - theirs[0]).detach().abs()))
        if not mine.requires_grad:
            continue
        for a, b in zip(gradients(mine[0], one, True), gradients(theirs[0], other, True), strict=True):
            worst = max(worst, float((a[0] - b[0]).abs().max()), float(a[1].abs().max()))
        demand(worst == 0, f"the {field} of one example depends on another example", f"difference {worst:.1e}")
    return ok("difference 0")


def alone(case: Case) -> Verdict:
    """On the same noise, an example gives the same result alone as in a batch of seven; the gradients of two examples
    are not correlated."""
    many, worst = case.others(Setting(EXAMPLES)), 0.0
    made = many.trained()
    leaves = many.leaves()
    with Tape() as tape:
        together = by_example(many.estimate(made, leaves), leaves, made)
    for index in range(EXAMPLES):
        single = many.leaves(one=True, index=index)
        values = _replayed(many, made, single, shares_of(tape.noise, EXAMPLES, index, "examples"))
        worst = max(worst, _apart([value[index] for value in together], [value[0] for value in values]))
    demand(worst < 1e-9, "an example among others differs from the same computed alone", f"difference {worst:.1e}")
    z = _correlation(many, made)
    demand(z < BOUND, "the gradients of two examples are correlated", f"|z| {z:.1f}")
    return ok(f"difference {worst:.0e}, correlation |z| {z:.1f}")


def replicas(case: Case) -> Verdict:
    """Replicas [R, B], and replicas of seeds [S, R, B], give what separate calls give on the same noise: each has noise
    of its own, and none depends on another."""
    worst = 0.0
    for lead in ((REPLICAS,), (SEEDS, REPLICAS)):
        made, leaves = case.trained(), case.leaves(*lead)
        start = leaves.q.params.detach()
        ramp = torch.linspace(-0.5, 0.5, start[..., :1].numel(), dtype=start.dtype).view(start[..., :1].shape)
        leaves = leaves._replace(q=leaves.q.with_params((start + ramp).requires_grad_()))
        with Tape() as tape:
            together = by_example(case.estimate(made, leaves), leaves, made)
        for number in range(max(lead)):
            place, noise = tuple(number % length for length in lead), tape.noise
            for length, index in zip(lead, place, strict=True):
                noise = shares_of(noise, length, index, "replicas", keep=False)
            params = leaves.q.params[place].detach().clone().requires_grad_()
            single = case.leaves()
            single = single._replace(q=single.q.with_params(params))
            values = _replayed(case, made, single, noise)
            worst = max(worst, _apart([value[place] for value in together], values))
            demand(worst < 1e-9, f"a replica of {list(lead)} differs from the same alone", f"difference {worst:.1e}")
    return ok(f"difference {worst:.0e}")


def precision(case: Case) -> Verdict:
    """On the same noise, the estimate in float32 equals the estimate in float64 except for rounding."""
    made = case.trained()
    short, rounded = copy.deepcopy(made).float(), case.leaves(dtype=torch.float32)
    exact = rounded.to(torch.float64)
    exact = exact._replace(
        q=exact.q.with_params(exact.q.params.detach().requires_grad_()), theta=exact.theta.detach().requires_grad_()
    )
    with Tape() as tape:
        found = by_example(case.estimate(short, rounded), rounded, short)
    expected = _replayed(case, copy.deepcopy(short).double(), exact, tape.noise)
    worst = _apart([value.double() for value in found], expected, 1e-3)
    demand(worst < SINGLE, "the estimate in float32 differs by more than rounding", f"difference {worst:.1e}")
    return ok(f"difference {worst:.0e}")


def _replayed(case: Case, made: Estimator, problem: SmallProblem, noise: list[Tensor]) -> list[Tensor]:
    try:
        with Tape(noise):
            estimate: Estimate = case.estimate(made, problem)
    except Mismatch as error:
        demand(False, str(error))
    return by_example(estimate, problem, made)


def shares_of(noise: list[Tensor], length: int, index: int, what: str, keep: bool = True) -> list[Tensor]:
    """As `shares`, but noise that is shared fails the check: `Broken` is raised in place of `Mismatch`."""
    try:
        return shares(noise, length, index, what, keep)
    except Mismatch as error:
        demand(False, str(error))
        raise


def _apart(some: list[Tensor], others: list[Tensor], floor: float = 1.0) -> float:
    """The largest difference of two lists of tensors, each relative to `floor` plus the tensor's largest value."""
    pairs = zip(some, others, strict=True)
    return max(float((a - b).abs().max() / (floor + b.abs().max())) for a, b in pairs)


def _correlation(case: Case, made: Estimator) -> float:
    """The largest correlation of two examples' gradients, in standard errors. Each gradient is projected on one random
    direction."""
    torch.manual_seed(12)
    leaves = case.leaves(DRAWS)
    grad = torch.cat([g.flatten(2) for g in gradients(case.estimate(made, leaves).loss, leaves)], -1)  # [R, B, P]
    values = grad @ torch.randn(grad.shape[-1], dtype=grad.dtype)
    values = values - values.mean(0)
    spread = values.std(0)
    moving = spread > 1e-9 * (1 + grad.abs().max())
    if moving.sum() < 2:
        return 0.0
    values = (values / spread)[:, moving].clamp(-6, 6)  # heavy tails would make chance correlations large
    product = values.T @ values / DRAWS
    return float(product.triu(1).abs().max()) * DRAWS**0.5
