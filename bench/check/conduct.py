"""Checks of how an estimate is computed: its shapes, what `forward` may change, and where its noise comes from."""

import random

import numpy as np
import torch
from torch import Tensor

from bench.check.contents import Contents, surroundings, walk
from bench.check.noise import Tape
from bench.check.problem import SmallProblem
from bench.check.subject import Case, gradients
from bench.check.verdict import Verdict, demand, demand_first, ok
from bench.interface import misreturned, undetached
from estimators import VQ, Estimate, Estimator

CALLS = 50  # calls of forward between two that must agree
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
                demand_first(misreturned(estimate, shape))
                for field in ("loss", "cost", "tuning"):
                    if (value := getattr(estimate, field)) is not None:
                        _sound(field, value, shape, dtype)
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
    demand(value.dtype == dtype, f"{field} is {value.dtype} where q is {dtype}")
    demand(bool(value.isfinite().all()), f"{field} is not finite ({dtype}, batch shape {list(shape)})")


def detached(case: Case) -> Verdict:
    """What update keeps of an estimate is detached: the estimator holds numbers, and no graph."""
    made = case.fresh()
    for _ in range(2):
        made.update(case.estimate(made, case.leaves()))
        demand_first(undetached(made))
    return ok()


def purity(case: Case) -> Verdict:
    """forward changes nothing but the random stream: no attribute, parameter or buffer, no q, no class, module or
    global state; the same seed gives the same estimate after any number of calls."""
    made, leaves = case.trained(), case.leaves()
    before, outside = Contents(walk({"estimator": made, "problem": leaves._asdict()})), _global_state()
    around = Contents(surroundings(case.subject.cls))
    torch.manual_seed(7)
    first = case.estimate(made, leaves)
    torch.manual_seed(7)
    second = case.estimate(made, leaves)
    changed = before.changed(Contents(walk({"estimator": made, "problem": leaves._asdict()})))
    demand(not changed, f"forward changes {', '.join(changed[:3])}", f"{len(changed)} changed")
    demand(_global_state() == outside, "forward changes global state other than PyTorch's random stream")
    apart = largest_difference(by_example(first, leaves, made), by_example(second, leaves, made))
    demand(apart == 0, "the same seed gives another estimate", f"difference {apart:.1e}")
    changed = around.changed(Contents(surroundings(case.subject.cls)))
    demand(not changed, f"forward changes {', '.join(changed[:3])}, outside the estimator", f"{len(changed)} changed")
    for _ in range(CALLS):
        case.estimate(made, leaves)
    torch.manual_seed(7)
    late = by_example(case.estimate(made, leaves), leaves, made)
    apart = largest_difference(by_example(first, leaves, made), late)
    demand(apart == 0, f"after {CALLS} calls, the same seed gives another estimate", f"difference {apart:.1e}")
    torch.manual_seed(8)
    third = case.estimate(made, leaves)
    again = torch.equal(gradients(third.loss, leaves)[0], by_example(first, leaves, made)[0])
    demand(again or not case.noiseless, "it is declared noiseless, and another seed gives another estimate")
    return ok(f"{len(before.found)} values")


def noise(case: Case) -> Verdict:
    """All randomness comes from the methods of q."""
    with Tape() as tape:
        case.estimate(case.trained(), case.leaves())
    demand(not tape.foreign, "random numbers are drawn outside the methods of q")
    return ok(f"{len(tape.noise)} draws")


def by_example(estimate: Estimate, leaves: SmallProblem, made: Estimator) -> list[Tensor]:
    """The gradients of the loss with respect to q's parameters and to theta, the cost and, if there is one, the tuning.
    Each tensor's leading axes are q's batch shape."""
    values = [*gradients(estimate.loss, leaves, True), estimate.cost.detach()]
    return values + ([] if estimate.tuning is None else [estimate.tuning.detach()])


def largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest absolute difference of two lists of tensors."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def _global_state() -> str:
    numpy_state = np.random.get_state()  # noqa: NPY002
    flags = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    return repr((random.getstate(), [np.asarray(part).tolist() for part in numpy_state], flags))
