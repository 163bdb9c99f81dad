"""Checks of the mean of an estimate: exact where the noise can be enumerated or integrated, else a z-test."""

from functools import cache
from typing import NamedTuple

from bench.check.deviations import BOUND, deviation, relative
from bench.check.moments import START, exact, moments
from bench.check.problem import Setting, problem
from bench.check.subject import Case
from bench.check.truth import Truth, truth
from bench.check.verdict import Verdict, demand, info, ok

USEFUL = 0.25  # a test that shows only biases above this, relative to the gradient's norm, proves nothing
CONSTANT_DRAWS = 2**14
AGAIN = 4  # the factor of the draws of the second test, where the first one finds a bias


class Off(NamedTuple):
    """The deviation of a mean gradient from the exact gradient."""

    wrong: str  # the deviation in words; empty unless it is beyond the noise in two independent tests
    number: str
    visible: float  # the smallest relative bias that the test shows; 0 where both sides are exact
    bias: str  # the bias in short; empty where `wrong` is


def off(case: Case, kind: str) -> Off:
    """Compare the mean gradient, under a cost of this kind, with the exact gradient."""
    true = _truth(case, kind)
    for draws in (None,) if case.unbiased else (START, None):  # few draws show most biases of what is declared biased
        for again in (False, True):
            found = moments(case, kind, draws=draws)
            if again:
                found = moments(case, kind, draws=AGAIN * found.draws, seed=7)
            error = (found.error**2 + true.error**2).sqrt()
            apart = deviation(found.mean - true.gradient, error, true.gradient)
            if not apart.found or not found.draws:
                break
        if apart.found or not found.draws:
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
    """The mean gradient of an estimator that is declared unbiased is the exact gradient, for q and for the decoder."""
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
    """The mean of Estimate.cost of an unbiased estimator is the expected cost."""
    numbers = []
    for kind in _kinds(case):
        found, true = moments(case, kind, draws=None if case.unbiased else START), _truth(case, kind)
        apart = deviation((found.cost - true.value)[None], found.cost_error[None], true.value[None])
        if case.bound is not None or not case.unbiased:
            return info(
                f"off by {float(found.cost - true.value):+.1e}", "Nothing is demanded of this estimator's cost."
            )
        demand(not apart.found, f"the mean of cost is off by {float(found.cost - true.value):+.2e} nats", apart.number)
        numbers.append(f"{apart.number} {kind}")
    return ok("; ".join(numbers))


def constant(case: Case) -> Verdict:
    """A constant added to the cost does not change the mean gradient of an unbiased estimator."""
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
    """The kinds of cost to check; for a Gaussian also a polynomial one, if the noise can be integrated."""
    if case.family == "gaussian" and case.bound is None:
        found = exact(case, "polynomial")
        if found is not None and not found.error.any():
            return ("polynomial", *case.kinds)
    return case.kinds


def _truth(case: Case, kind: str) -> Truth:
    return _known(case.family, case.setting, kind, case.bound)


@cache  # it is the same for every estimator
def _known(family: str, setting: Setting, kind: str, bound: int | None) -> Truth:
    return truth(problem(family, setting), kind, bound)
