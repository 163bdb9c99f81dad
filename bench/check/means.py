"""What an estimator's draws are on average: exact where the noise can be enumerated or integrated."""

from typing import NamedTuple

from bench.check.moments import BOUND, deviation, moments, relative
from bench.check.subject import Case
from bench.check.truth import Truth, truth
from bench.check.verdict import Verdict, demand, info, ok

USEFUL = 0.25  # a test that sees only larger biases, relative to the gradient, says nothing
CONSTANT_DRAWS = 2**14
AGAIN = 4  # times as many draws, where the first ones tell of a bias


class Off(NamedTuple):
    """How far a mean gradient is off."""

    wrong: str  # in words, where it is beyond the noise, also with other and more draws
    number: str
    visible: float  # the smallest relative bias that cannot pass; 0 where both sides are exact
    bias: str  # in short, where it is beyond the noise


def off(case: Case, kind: str) -> Off:
    """Of the mean gradient with this kind of cost, compared with the exact one."""
    true = _truth(case, kind)
    for again in (False, True):
        found = moments(case, kind)
        if again:
            found = moments(case, kind, draws=AGAIN * found.draws, seed=7)
        error = (found.error**2 + true.error**2).sqrt()
        apart = deviation(found.mean - true.gradient, error, true.gradient)
        if not apart.found or not found.draws:
            break
    errors = relative(case, error, true.gradient)
    apparent = relative(case, found.mean - true.gradient, true.gradient)
    biases = (max(a**2 - e**2, 0.0) ** 0.5 for a, e in zip(apparent, errors, strict=True))
    bias, part = max(zip(biases, ("q", "decoder"), strict=True))
    seen = BOUND * max(errors)
    number = f"{kind}: {apart.number}" + (f" (sees a bias of {seen:.1%})" if seen else "")
    said = f"with {kind} KL" if kind != "polynomial" else "with a polynomial cost"
    wrong = f"{said}, the mean gradient of the {part} is off by {bias:.1%} of its norm ({found.how})"
    return Off(wrong if apart.found else "", number, seen, f"bias {bias:.1%} ({part})" if apart.found else "")


def mean(case: Case) -> Verdict:
    """An estimator that calls itself unbiased has the exact gradient on average, for q and for the decoder."""
    every = [off(case, kind) for kind in _kinds(case)]
    for found in every:
        demand(not (found.wrong and case.unbiased), found.wrong, found.number)
    numbers, biased = "; ".join(found.number for found in every), [found.bias for found in every if found.bias]
    if case.unbiased and min(found.visible for found in every) > USEFUL:
        return info(numbers, "No bias found, and its noise hides all but large ones.")
    if case.unbiased:
        return ok(numbers)
    if biased:
        return info(biased[0], "It is declared biased, and is; relative to the norm of the gradient.")
    return info(numbers, "It is declared biased; no bias found.")


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
    plain, raised = moments(case, kind, 0.0, CONSTANT_DRAWS), moments(case, kind, 3.0, CONSTANT_DRAWS)
    each = (raised.first - plain.first).abs().max().item()
    note = "each draw too" if each < 1e-8 else "not each draw"
    change, error = raised.mean - plain.mean, plain.error + raised.error
    if len(plain.groups):
        error = (raised.groups - plain.groups).std(0) / len(plain.groups) ** 0.5  # the same noise
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
