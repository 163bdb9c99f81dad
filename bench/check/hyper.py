"""Checks of hyper-parameters: each has an effect, and what holds for the default values holds for others."""

import re
from collections.abc import Iterator
from typing import Any

import torch

from bench.check import means
from bench.check.measured import evaluations
from bench.check.problem import Cost
from bench.check.subject import Case, Subject, gradients, learner
from bench.check.tags import documented
from bench.check.verdict import Broken, Verdict, demand, info, ok
from estimators import Estimator

SHORT, LONG = 3, 1500  # numbers of updates after which an effect is looked for; schedules are slow
Trace = list[torch.Tensor | str]


def hyper_parameters(subject: Subject, cases: list[Case]) -> Verdict:
    """Every hyper-parameter changes the estimate, its cost, its tuning or its evaluations, now or after updates."""
    arguments = subject.arguments()
    unknown = []
    for name, value in arguments.items():
        candidates = [v for v in _alternatives(subject, name, value) if _builds(subject, **{name: v})]
        if isinstance(value, str):
            demand(not _builds(subject, **{name: "no_such_value"}), f"{name}='no_such_value' is not refused")
        if not candidates:
            unknown.append(name)
        elif not _alive(subject, cases, name, candidates):
            demand(False, f"{name} changes nothing: {name}={value} and {candidates} give the same on the same noise")
    if unknown:
        return info(f"{len(arguments)} arguments", f"No other valid value was found of {', '.join(unknown)}.")
    return ok(f"{len(arguments)} arguments")


def variants(case: Case) -> Verdict:
    """With other hyper-parameters too, an estimator that is declared unbiased is unbiased, and its evaluations are as
    declared."""
    subject, tried = case.subject, []
    for changes in _changes(subject):
        if subject.make(**changes).refuses(case.problem.q):
            continue
        other = Case(
            subject._replace(hyper={**subject.hyper, **changes}), case.family, case.draws // 16, 3 * case.sharp
        )
        other.kinds = other.kinds[:1]
        words = ", ".join(f"{name}={value}" for name, value in changes.items())
        for check in (means.mean, evaluations):
            try:
                found = check(other)
            except Broken as error:
                raise Broken(f"with {words}, {error}", error.number) from error
            tried += [found.number] if check is means.mean else []
    return ok("; ".join(tried) or "none")


def _changes(subject: Subject) -> Iterator[dict[str, Any]]:
    """The changes of hyper-parameters to try: all numbers at once, as far as the constructor takes them together, and
    each string and each switch by itself."""
    numbers: dict[str, Any] = {}
    for name, value in subject.arguments().items():
        valid = [v for v in _alternatives(subject, name, value) if _builds(subject, **{name: v})]
        if isinstance(value, bool | str):
            yield from ({name: v} for v in valid)
        elif valid and _builds(subject, **numbers, **{name: valid[0]}):
            numbers[name] = valid[0]
    if numbers:
        yield numbers


def _alternatives(subject: Subject, name: str, value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value, max(1, value // 2), 1] if value != 1 else [2, 4]
    if isinstance(value, float):
        return [1.7 * value, 0.5 * value, 100 * value] if value else [0.3, 1.0]
    if isinstance(value, str):
        words = re.findall(r"[\w-]+", documented(subject.cls).get(name, ""))
        return [word for word in dict.fromkeys(words) if word != value]
    return []


def _builds(subject: Subject, **changes: Any) -> bool:
    try:
        subject.make(**changes)
    except ValueError:
        return False
    return True


def _contexts(subject: Subject, name: str) -> Iterator[dict[str, Any]]:
    """Changes of other hyper-parameters under which `name` may have an effect: none, then one other argument at a
    time."""
    yield {}
    for other, value in subject.arguments().items():
        if other != name:
            yield from ({other: v} for v in _alternatives(subject, other, value) if _builds(subject, **{other: v}))


def _alive(subject: Subject, cases: list[Case], name: str, candidates: list[Any]) -> bool:
    for updates in (0, LONG):
        for context in _contexts(subject, name):
            for case in cases if not updates else cases[:1]:
                before = _trace(case, context, updates)
                for value in candidates:
                    changed = context | {name: value}
                    if _builds(subject, **changed) and _differ(before, _trace(case, changed, updates)):
                        return True
        if subject.cls.update is Estimator.update:
            break
    return False


def _trace(case: Case, changes: dict[str, Any], updates: int) -> Trace:
    """The gradients, costs and tunings of the estimator before and after `updates` updates, on fixed noise; cached."""
    key = ("trace", updates, *sorted(changes.items(), key=repr))
    if key not in case.cache:
        case.cache[key] = _run(case, changes, updates)
    return case.cache[key]


def _run(case: Case, changes: dict[str, Any], updates: int) -> Trace:
    found: Trace = []
    try:
        made = case.fresh(**changes)
        if said := made.refuses(case.problem.q):
            return [said]
        learn = learner(made)
        for step in range(SHORT + 1):
            torch.manual_seed(step)
            leaves = case.leaves()
            cost = Cost(leaves, case.kinds[0])
            estimate = made(leaves.q, cost, leaves.x)
            found += [*gradients(estimate.loss, leaves, True), estimate.cost.detach(), torch.tensor(cost.evaluated)]
            found += [] if estimate.tuning is None else [estimate.tuning.detach()]
            learn(estimate)
            for _ in range(updates if step == SHORT - 1 else 0):
                made.update(estimate)
    except ValueError as error:
        found.append(str(error))
    return found


def _differ(one: Trace, other: Trace) -> bool:
    if len(one) != len(other):
        return True
    for a, b in zip(one, other, strict=True):
        if isinstance(a, str) or isinstance(b, str):
            if a != b:
                return True
        elif a.shape != b.shape or not torch.equal(a, b):
            return True
    return False
