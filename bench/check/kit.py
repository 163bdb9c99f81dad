"""The list of checks, and the loop that runs them."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import torch

from bench.check import apart, conduct, engine, means, tags, tuned
from bench.check.hyper import hyper_parameters, variants
from bench.check.measured import evaluations, measuring
from bench.check.settings import settings
from bench.check.subject import DRAWS, Case, Subject, subject
from bench.check.verdict import Verdict, crash, verdict
from estimators import FAMILIES, Estimator

WHOLE = "-"  # the part of an estimator that concerns no single family
EVERY = (
    conduct.shapes,
    conduct.detached,
    conduct.purity,
    conduct.noise,
    apart.examples,
    apart.alone,
    apart.replicas,
    apart.precision,
    engine.vmap,
    engine.training,
    tuned.tuning,
    engine.state,
    engine.device,
    evaluations,
    means.mean,
    means.value,
    means.constant,
    settings,
    measuring,
    variants,
)


def check(
    what: str | type[Estimator], families: Collection[str] = (), quick: bool = False, compiles: bool = False
) -> list[Verdict]:
    """Run all checks on an option, a preset, or a class.

    Args:
        what: the name of an option or a preset, or an `Estimator` class whose arguments have defaults.
        families: the latent families to check; by default all that the class declares.
        quick: take a 32nd of the draws, which shows larger biases only.
        compiles: check torch.compile too, which needs a C++ compiler.

    Returns:
        One verdict per check and latent family.

    Raises:
        BadInput: the name is unknown.
    """
    return list(verdicts(subject(what), families, quick, compiles))


def verdicts(
    subject: Subject, families: Collection[str] = (), quick: bool = False, compiles: bool = False
) -> Iterator[Verdict]:
    """As `check`, but yields each verdict as it is found. PyTorch's random stream is restored at the end."""
    with torch.random.fork_rng([]):
        found, parts = opening(subject, families)
        yield from joined(found, parts, (of_part(subject, part, quick, compiles) for part in parts))


def opening(subject: Subject, families: Collection[str] = ()) -> tuple[list[Verdict], list[str]]:
    """The verdicts on the class itself, and the parts that are still to be checked, each by itself: the latent families
    and, as `WHOLE`, the hyper-parameters."""
    found = [verdict(tags.tags, subject)]
    if found[0].last:
        return found, []
    try:
        declared = _declared(subject)
    except Exception as error:
        if found[0].status == "ok":
            found.append(Verdict("FAILED", "crash", crash(error), "tags", "It can be built with its defaults."))
        return found, []
    found.append(verdict(tags.refusals, subject))
    return found, [*(family for family in declared if not families or family in families), WHOLE]


def _declared(subject: Subject) -> list[str]:
    latents = subject.make().latents
    return [family for family, cls in FAMILIES.items() if issubclass(cls, latents)]


def of_part(subject: Subject, part: str, quick: bool = False, compiles: bool = False) -> Iterator[Verdict]:
    """The verdicts of one part of `opening`."""
    draws = DRAWS // 32 if quick else DRAWS
    if part == WHOLE:
        yield verdict(hyper_parameters, subject, [Case(subject, family, draws) for family in _declared(subject)])
        return
    case = Case(subject, part, draws)
    if said := subject.make().refuses(case.problem.q):
        yield Verdict("info", "", said, "refusals", "", part)
    else:
        yield from _of_family(case, compiles)


def joined(found: Iterable[Verdict], parts: Sequence[str], every: Iterable[Iterable[Verdict]]) -> Iterator[Verdict]:
    """The verdicts on an estimator: those of `opening`, then `every` part's.

    A fault that ends the checks of a family is told once, and the hyper-parameters are left out then.
    """
    told: dict[str, Verdict] = {}
    yield from found
    for part, of_it in zip(parts, every, strict=False):
        if part != WHOLE or not told:
            yield from (_once(each, told) for each in of_it)


def _of_family(case: Case, compiles: bool) -> Iterator[Verdict]:
    checks = [*EVERY, *([engine.compiled] if compiles else [])]
    for one in checks:
        torch.manual_seed(0)
        found = verdict(one, case, family=case.family)
        if one is conduct.shapes and found.number == "crash":
            found = found._replace(last=True)
        yield found
        if found.last:
            return


def _once(found: Verdict, told: dict[str, Verdict]) -> Verdict:
    """The verdict, or `skipped` if an earlier family had the same fault, one that ends a family's checks. Reasons that
    differ only in numbers, such as shapes, count as the same."""
    if not found.last:
        return found
    earlier = told.setdefault(re.sub(r"\d+", "", found.reason), found)
    if earlier is found:
        return found
    return found._replace(status="skipped", number="", reason=f"The same fault as with {earlier.family} latents.")
