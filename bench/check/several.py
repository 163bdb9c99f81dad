"""Estimators checked by several processes at once, share by share, with the verdicts in their order."""

import argparse
import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence

from bench.check.brought import Part, part_verdicts
from bench.check.kit import Share, joined, of_share, opening
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
        (one.name, share, options.quick, options.compile)
        for one, (_, shares) in zip(subjects, openings, strict=True)
        for share in shares
    ]
    done = spread(_checked, tasks, workers) if tasks else iter(())
    for one, (found, shares) in zip(subjects, openings, strict=True):
        if isinstance(one, Part):
            yield part_verdicts(one), 0.0
        else:
            theirs = [next(done) for _ in shares]
            yield joined(found, shares, map(outcome, theirs, shares)), sum(each.seconds for each in theirs)


def _checked(name: str, share: Share, quick: bool, compiles: bool) -> list[Verdict]:
    with contextlib.redirect_stderr(io.StringIO()):  # the command has said which files are left out
        one = subject(name)
    return list(of_share(one, share, quick, compiles))


def outcome(done: Done, share: Share) -> list[Verdict]:
    """The verdicts of a share, or the failure of its process."""
    rule = "Every check comes to an end."
    return [Verdict("FAILED", "crash", done.lost, "process", rule, share.family)] if done.lost else done.result
