"""What an estimator's draws are on average: exact where the noise can be enumerated or integrated."""

import torch
from torch import Tensor

from bench.check.moments import BOUND, CHUNK, deviation, moments
from bench.check.problem import Truth, truth
from bench.check.subject import Case
from bench.check.verdict import Verdict, demand, info, ok

USEFUL = 0.25  # a test that sees only larger biases, relative to the gradient, says nothing


def mean(case: Case) -> Verdict:
    """An estimator that calls itself unbiased has the exact gradient on average, for q and for the decoder."""
    numbers, biased, visible = [], [], []
    for kind in _kinds(case):
        found, true = moments(case, kind), _truth(case, kind)
        error = (found.error**2 + true.error**2).sqrt()
        apart = deviation(found.mean - true.gradient, error, true.gradient)
        errors = _relative(case, error, true)
        apparent = _relative(case, found.mean - true.gradient, true)
        biases = (max(a**2 - e**2, 0.0) ** 0.5 for a, e in zip(apparent, errors, strict=True))
        bias, part = max(zip(biases, ("q", "decoder"), strict=True))
        visible.append(BOUND * max(errors))
        number = f"{kind}: {apart.number}" + (f" (sees a bias of {visible[-1]:.1%})" if visible[-1] else "")
        said = f"with {kind} KL" if kind != "polynomial" else "with a polynomial cost"
        wrong = f"{said}, the mean gradient of the {part} is off by {bias:.1%} of its norm ({found.how})"
        demand(not (apart.found and case.unbiased), wrong, number)
        numbers.append(number)
        biased += [f"bias {bias:.1%} ({part})"] if apart.found else []
    if case.unbiased and min(visible) > USEFUL:
        return info("; ".join(numbers), "No bias found, and its noise hides all but large ones.")
    if case.unbiased:
        return ok("; ".join(numbers))
    if biased:
        return info(biased[0], "It is declared biased, and is; relative to the norm of the gradient.")
    return info("; ".join(numbers), "It is declared biased; no bias found.")


def _relative(case: Case, vector: Tensor, true: Truth) -> tuple[float, float]:
    """Norm of the part of q, and of the decoder's, relative to the true gradient's."""
    size = case.problem.q.params[0].numel()
    return tuple(float(vector[p].norm() / true.gradient[p].norm()) for p in (slice(size), slice(size, None)))  # type: ignore


def value(case: Case) -> Verdict:
    """Estimate.cost of an unbiased estimator is on average the expected cost."""
    numbers = []
    for kind in _kinds(case):
        found, true = moments(case, kind), _truth(case, kind)
        apart = deviation((found.cost - true.value)[None], found.cost_error[None], true.value[None])
        if case.bound is not None or not case.unbiased:
            return info(
                f"off by {float(found.cost - true.value):+.1e}", "Nothing is demanded of this estimator's cost."
            )
        demand(not apart.found, f"the mean of cost is off by {float(found.cost - true.value):+.2e} nats", apart.number)
        numbers.append(f"{apart.number} {kind}")
    return ok("; ".join(numbers))


def constant(case: Case) -> Verdict:
    """A constant added to the cost leaves the mean of an unbiased gradient as it is."""
    kind = case.kinds[0]
    plain, raised = moments(case, kind), moments(case, kind, 3.0)
    each = (raised.first - plain.first).abs().max().item()
    note = "each draw too" if each < 1e-8 else "not each draw"
    if not plain.error.any() and not raised.error.any():
        change, error = raised.mean - plain.mean, torch.zeros_like(plain.mean)
    else:
        paired = raised.first - plain.first  # the same noise
        change, error = paired.mean(0), paired.std(0) / CHUNK**0.5
    apart = deviation(change, error, plain.mean)
    number = f"{apart.number}, {note}"
    if not case.unbiased:
        return info(number, "Its mean depends on a constant." if apart.found else "Its mean does not change.")
    demand(not apart.found, "a constant added to the cost moves the mean gradient", number)
    return ok(number)


def _kinds(case: Case) -> tuple[str, ...]:
    """For a Gaussian also a polynomial cost, if the noise can be integrated."""
    if case.family == "gaussian" and case.bound is None and not moments(case, "polynomial").error.any():
        return ("polynomial", *case.kinds)
    return case.kinds


def _truth(case: Case, kind: str) -> Truth:
    if ("truth", kind) not in case.cache:
        case.cache["truth", kind] = truth(case.problem, kind, case.bound)
    return case.cache["truth", kind]
