"""Estimators checked by several processes at once, part by part, with the verdicts in their order."""

import argparse
import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence

from bench.check.brought import Part, part_verdicts
from bench.check.kit import joined, of_part, opening
from bench.check.spread import Done, spread
from bench.check.subject import Subject, subject
from bench.check.verdict import Verdict


def several(
    subjects: Sequence[Subject | Part], options: argparse.Namespace, workers: int
) -> Iterator[tuple[Iterable[Verdict], float]]:
    """The verdicts on each subject from so many processes, and the seconds that they took, added up. Latents and models
    are checked in this process."""
    openings = [([], []) if isinstance(one, Part) else opening(one, options.family) for one in subjects]
    tasks = [
        (one.name, part, options.quick, options.compile)
        for one, (_, parts) in zip(subjects, openings, strict=True)
        for part in parts
    ]
    done = spread(_checked, tasks, workers) if tasks else iter(())
    for one, (found, parts) in zip(subjects, openings, strict=True):
        if isinstance(one, Part):
            yield part_verdicts(one), 0.0
        else:
            theirs = [next(done) for _ in parts]
            yield joined(found, parts, map(outcome, theirs, parts)), sum(each.seconds for each in theirs)


def _checked(name: str, part: str, quick: bool, compiles: bool) -> list[Verdict]:
    with contextlib.redirect_stderr(io.StringIO()):  # the command has said which files are left out
        one = subject(name)
    return list(of_part(one, part, quick, compiles))


def outcome(done: Done, part: str) -> list[Verdict]:
    """The verdicts of a part, or the failure of its process."""
    rule = "Every check comes to an end."
    return [Verdict("FAILED", "crash", done.lost, "process", rule, part)] if done.lost else done.result
