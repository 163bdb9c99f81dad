"""How an estimate may be computed: its shapes, what it may touch, whose noise it is, and what must stay apart."""

import random

import numpy as np
import torch
from torch import Tensor

from bench.check.noise import Mismatch, Tape, of_replica
from bench.check.subject import Case, difference, gradients, walk
from bench.check.verdict import Verdict, demand, ok
from estimators import VQ, Estimate, Estimator

REPLICAS = 11  # unlike every other length, so that their axis can be told
LEADS: tuple[tuple[int, ...], ...] = ((), (5,), (3, 5))


def shapes(case: Case) -> Verdict:
    """Loss, cost and tuning have q's batch shape, [B] as well as [R, B] and [S, R, B], and q's dtype; they and their
    gradients are finite."""
    count = 0
    for dtype in (torch.float64, torch.float32):
        made = case.fresh(dtype=dtype)
        for kind in case.kinds:
            for lead in LEADS:
                leaves = case.leaves(*lead, dtype=dtype)
                shape = leaves.q.batch_shape
                estimate = case.estimate(made, leaves, kind)
                demand(isinstance(estimate, Estimate), f"forward returns a {type(estimate).__name__}, not an Estimate")
                for field, value in zip(estimate._fields, estimate, strict=True):
                    if value is not None:
                        _sound(field, value, shape, dtype)
                demand(estimate.loss.requires_grad, "the loss has no gradient")
                for part, grad in zip(("q", "the decoder"), gradients(estimate.loss, leaves), strict=True):
                    demand(bool(grad.isfinite().all()), f"the gradient of {part} is not finite ({dtype}, {kind} KL)")
                count += 1
    if made.deterministic and case.family == "vq":
        q = case.problem.q
        point = VQ(q.params.clone().requires_grad_(), q.codebook, 0.0)  # type: ignore[attr-defined]
        estimate = case.estimate(case.fresh(), case.problem._replace(q=point), "analytic")
        _sound("loss of a point mass", estimate.loss, point.batch_shape, torch.float64)
    return ok(f"{count} shapes")


def _sound(field: str, value: Tensor, shape: torch.Size, dtype: torch.dtype) -> None:
    demand(value.shape == shape, f"{field} has the shape {list(value.shape)} where q's batch is {list(shape)}")
    demand(value.dtype == dtype, f"{field} is {value.dtype} where q is {dtype}")
    demand(bool(value.isfinite().all()), f"{field} is not finite ({dtype}, batch shape {list(shape)})")


def purity(case: Case) -> Verdict:
    """forward changes nothing but the random stream: no attribute, parameter or buffer, no q, no global state; the same
    seed gives the same estimate."""
    made, leaves = case.trained(), case.leaves()
    before, outside = dict(walk({"estimator": made, "problem": leaves._asdict()})), _global_state()
    torch.manual_seed(7)
    first = case.estimate(made, leaves)
    torch.manual_seed(7)
    second = case.estimate(made, leaves)
    changed = difference(before, dict(walk({"estimator": made, "problem": leaves._asdict()})))
    demand(not changed, f"forward changes {', '.join(changed[:3])}", f"{len(changed)} changed")
    demand(_global_state() == outside, "forward changes global state other than PyTorch's random stream")
    apart = largest_difference(by_example(first, leaves, made), by_example(second, leaves, made))
    demand(apart == 0, "the same seed gives another estimate", f"difference {apart:.1e}")
    torch.manual_seed(8)
    third = case.estimate(made, leaves)
    again = torch.equal(gradients(third.loss, leaves)[0], by_example(first, leaves, made)[0])
    demand(again or not case.noiseless, "it is declared noiseless, and another seed gives another estimate")
    return ok(f"{len(before)} values")


def noise(case: Case) -> Verdict:
    """All randomness comes from the methods of q."""
    with Tape() as tape:
        case.estimate(case.trained(), case.leaves())
    demand(not tape.foreign, "random numbers are drawn outside the methods of q")
    return ok(f"{len(tape.noise)} draws")


def examples(case: Case) -> Verdict:
    """Examples never meet: an example's gradient, cost and tuning do not depend on the others' q and x."""
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


def replicas(case: Case) -> Verdict:
    """Replicas [R, B] give what a loop over them gives on the same noise: their noise is their own, and they never
    meet."""
    made, leaves = case.trained(), case.leaves(REPLICAS)
    with torch.no_grad():
        leaves.q.params.add_(torch.linspace(-0.5, 0.5, REPLICAS).view(-1, *[1] * (leaves.q.params.ndim - 1)))
    leaves = leaves._replace(q=leaves.q.with_params(leaves.q.params.detach().requires_grad_()))
    with Tape() as tape:
        whole = case.estimate(made, leaves)
    together = by_example(whole, leaves, made)
    worst = 0.0
    for index in range(REPLICAS):
        single = case.leaves()
        single = single._replace(q=single.q.with_params(leaves.q.params[index].detach().clone().requires_grad_()))
        try:
            with Tape(of_replica(tape.noise, REPLICAS, index)):
                alone = case.estimate(made, single)
        except Mismatch as error:
            demand(False, str(error))
        values = by_example(alone, single, made)
        parts = [(t[index] - v).abs().max() / (1 + v.abs().max()) for t, v in zip(together, values, strict=True)]
        worst = max(worst, *(float(part) for part in parts))
    demand(worst < 1e-9, "a replica differs from the same computed alone", f"difference {worst:.1e}")
    return ok(f"difference {worst:.0e}")


def by_example(estimate: Estimate, leaves, made: Estimator) -> list[Tensor]:
    """Gradients of the loss, the cost, and the tuning, each by example."""
    values = [*gradients(estimate.loss, leaves, True), estimate.cost.detach()]
    return values + ([] if estimate.tuning is None else [estimate.tuning.detach()])


def largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def _global_state() -> str:
    numpy_state = np.random.get_state()  # noqa: NPY002
    flags = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    return repr((random.getstate(), [np.asarray(part).tolist() for part in numpy_state], flags))
