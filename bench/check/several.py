"""Estimators checked by several processes at once, share by share, with the verdicts in their order."""

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from bench.check.brought import Part, part_verdicts
from bench.check.kit import Share, joined, of_share, opening
from bench.check.spread import Done, spread
from bench.check.subject import Subject, subject
from bench.check.verdict import Verdict

Timed = tuple[Iterable[Verdict], Callable[[], float]]  # the verdicts on a subject, and how many seconds they have taken


def several(subjects: Sequence[Subject | Part], options: argparse.Namespace, workers: int) -> Iterator[Timed]:
    """The verdicts on each subject from so many processes, in order and each as soon as it is known, and the seconds of
    all processes, added up. Latents and models are checked in this process."""
    openings = [([], []) if isinstance(one, Part) else opening(one, options.family) for one in subjects]
    tasks = [
        (one.name, share, options.quick, options.compile)
        for one, (_, shares) in zip(subjects, openings, strict=True)
        for share in shares
    ]
    order = _order(openings[0][1]) if len(subjects) == 1 else ()
    done = spread(_checked, tasks, workers, order) if tasks else iter(())
    for one, (found, shares) in zip(subjects, openings, strict=True):
        if isinstance(one, Part):
            yield part_verdicts(one), since(time.perf_counter())
        else:
            seconds: list[float] = []
            yield joined(found, shares, _outcomes(done, shares, seconds)), partial(sum, seconds)


def _order(shares: Sequence[Share]) -> list[int]:
    """The order in which the shares of a single estimator are begun: the hyper-parameters and the last families come
    first. With `relax`, the slowest, the longest share is among them; begun last, it would leave a process idle."""
    families = [share.family for share in shares]
    return sorted(range(len(shares)), key=lambda number: -families.index(families[number]))


def since(start: float) -> Callable[[], float]:
    """A function that tells the seconds since `start`."""
    return lambda: time.perf_counter() - start


def _outcomes(done: Iterator[Done], shares: Iterable[Share], seconds: list[float]) -> Iterator[list[Verdict]]:
    for share in shares:
        each = next(done)
        seconds.append(each.seconds)
        yield outcome(each, share)


def _checked(name: str, share: Share, quick: bool, compiles: bool) -> list[Verdict]:
    with contextlib.redirect_stderr(io.StringIO()):  # the command has said which files are left out
        one = subject(name)
    return list(of_share(one, share, quick, compiles))


def outcome(done: Done, share: Share) -> list[Verdict]:
    """The verdicts of a share, or the failure of its process."""
    rule = "Every check comes to an end."
    return [Verdict("FAILED", "crash", done.lost, "process", rule, share.family)] if done.lost else done.result
