"""Checks of the mean of an estimate at other sizes, parameters, data, costs, sample counts and numbers of updates."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.check.means import off
from bench.check.problem import Setting
from bench.check.subject import Case, Subject
from bench.check.tags import documented
from bench.check.truth import tuples
from bench.check.verdict import Verdict, demand, ok
from estimators import Enumerable

DRAWS = 2**15  # at most, in a setting whose noise cannot be enumerated
TERMS = 2**23  # at most, in the enumeration of a bound


class Row(NamedTuple):
    """A setting for every latent family, as large as can be enumerated with `k` samples.

    `bits` is D of a Bernoulli, `categories` are D and C of the other discrete families, `normals` is D of a Gaussian.
    `updates` is the number of training steps before the check.
    """

    k: int
    bits: int
    categories: tuple[int, int]  # D, C
    normals: int
    updates: int
    wide: bool = False
    binary: bool = False
    factor: float = 1.0
    shift: float = 0.0

    def of(self, family: str, bound: bool) -> Setting:
        factor = min(self.factor, 3.0) if bound else self.factor  # of a bound the costs are exponents
        size, categories = (self.bits, 2) if family == "bernoulli" else self.categories
        size = self.normals if family == "gaussian" else size
        return Setting(1, size, categories, self.wide, self.binary, factor, self.shift)


# Every value of a column occurs in a row that can be enumerated. Every size occurs with wide parameters, both kinds of
# data, and few and many updates.
ROWS = (
    Row(1, 5, (5, 2), 5, 0, binary=True),
    Row(2, 5, (3, 4), 1, 50, factor=100.0),
    Row(3, 3, (1, 7), 1, 12, wide=True),
    Row(4, 1, (1, 4), 3, 50, binary=True, factor=0.01, shift=-7.0),
    Row(5, 2, (2, 2), 5, 12, shift=40.0),
    Row(1, 5, (5, 3), 3, 50, wide=True, binary=True),
    Row(6, 1, (1, 3), 1, 50, wide=True),
    Row(7, 1, (1, 2), 3, 12),
    Row(8, 1, (1, 3), 1, 50, binary=True),
    Row(9, 1, (1, 2), 1, 12, factor=100.0, shift=40.0),
    Row(16, 1, (1, 2), 1, 50),
)
WITHOUT_K = 6  # rows for an estimator without k: the first ones, which differ in more than k


def settings(case: Case) -> Verdict:
    """An estimator that is declared unbiased is unbiased at other sizes, parameters, data, costs and sample counts, and
    after many updates."""
    if not case.unbiased:
        return ok("", "It is declared biased.")
    count, seen, exact = 0, 0.0, 0
    for row, other in _cases(case):
        kind = other.kinds[(row.k + row.updates) % len(other.kinds)]
        try:
            found = off(other, kind)
        except ValueError:  # it refuses more samples than there are states
            continue
        where = _words(row, other)
        demand(not found.wrong, f"{found.wrong} where {where}", found.number)
        count, seen, exact = count + 1, max(seen, found.visible), exact + (found.visible == 0)
    demand(count > 0, "it refuses every setting but the one of the defaults")
    return ok(f"{count} settings, {exact} exact" + (f" (sees a bias of {seen:.1%})" if seen else ""))


def _cases(case: Case) -> Iterator[tuple[Row, Case]]:
    counts = _counts(case.subject)
    for number, row in enumerate(ROWS if counts else ROWS[:WITHOUT_K]):
        subject = case.subject
        for place, name in enumerate(counts):
            value = row.k if not place else ROWS[(number + 3 * place) % len(ROWS)].k
            subject = _changed(subject, name, value)
        setting = row.of(case.family, case.bound is not None)
        other = Case(subject, case.family, min(case.draws, DRAWS), 5 * case.sharp, setting, row.updates)
        if other.unbiased and not subject.make().refuses(other.problem.q) and _has_truth(other):
            yield row, other


def _has_truth(case: Case) -> bool:
    """Whether the exact gradient can be computed: a bound of K samples must have few enough terms."""
    q, samples = case.problem.q, case.bound
    if samples is None or not isinstance(q, Enumerable):
        return True
    return q.states * tuples(q.states, samples) <= TERMS


def _counts(subject: Subject) -> list[str]:
    """The arguments that count samples or draws according to their lines under "Args:"; k comes first."""
    said = documented(subject.cls)
    whole = [name for name, value in subject.arguments().items() if type(value) is int]
    found = [name for name in whole if name == "k" or re.search(r"\b(samples|draws)\b", said.get(name, ""))]
    return sorted(found, key=lambda name: name != "k")


def _changed(subject: Subject, name: str, value: int) -> Subject:
    """The subject with `value`, or else `value + 1`, for an argument; unchanged if the constructor refuses both."""
    for near in (value, value + 1):
        other = subject._replace(hyper={**subject.hyper, name: near})
        try:
            other.make()
        except ValueError:
            continue
        return other
    return subject


def _words(row: Row, case: Case) -> str:
    q, changed = case.problem.q, case.subject.arguments()
    size = case.problem.q.params.shape[-1] // (1 if isinstance(q, Enumerable) else 2)
    words: list[Any] = [f"D={size}"] if case.family in ("gaussian", "bernoulli") else []
    if not words:
        words.append("D={}, C={}".format(*row.categories))
    words += [f"{name}={changed[name]}" for name in _counts(case.subject)]
    words += ["parameters are wide"] * row.wide + ["x is binary"] * row.binary
    words += [f"the cost is {case.problem.factor:g}-fold"] * (row.factor != 1)
    words += [f"the cost is shifted by {row.shift:g}"] * (row.shift != 0)
    return ", ".join([*words, f"after {row.updates} updates"])
