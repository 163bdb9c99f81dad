"""The list of checks, and the loop that runs them."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

from bench.check import apart, conduct, engine, means, tags, tuned
from bench.check.hyper import hyper_parameters, variants
from bench.check.measured import evaluations, measuring
from bench.check.settings import settings
from bench.check.subject import DRAWS, Case, Subject, subject
from bench.check.verdict import Verdict, crash, verdict
from estimators import FAMILIES, Estimator

FIRST = (
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
    measuring,
)
LATER = (settings, variants)  # on other problems and subjects, so that another process may run them


class Share(NamedTuple):
    """A share of the checks of an estimator, which is independent of all others.

    Attributes:
        family: whose checks, or "-" of the hyper-parameters, which concern no single family.
        later: whether those of `LATER` or those of `FIRST`.
    """

    family: str
    later: bool = False


HYPER = Share("-")


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
        found, shares = opening(subject, families)
        yield from joined(found, shares, (of_share(subject, share, quick, compiles) for share in shares))


def opening(subject: Subject, families: Collection[str] = ()) -> tuple[list[Verdict], list[Share]]:
    """The verdicts on the class itself, and the shares of the other checks."""
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
    asked = [family for family in declared if not families or family in families]
    return found, [*(Share(family, later) for family in asked for later in (False, True)), HYPER]


def _declared(subject: Subject) -> list[str]:
    latents = subject.make().latents
    return [family for family, cls in FAMILIES.items() if issubclass(cls, latents)]


def of_share(subject: Subject, share: Share, quick: bool = False, compiles: bool = False) -> Iterator[Verdict]:
    """The verdicts of one share of `opening`."""
    draws = DRAWS // 32 if quick else DRAWS
    if share == HYPER:
        yield verdict(hyper_parameters, subject, [Case(subject, family, draws) for family in _declared(subject)])
        return
    case = Case(subject, share.family, draws)
    if said := subject.make().refuses(case.problem.q):
        if not share.later:
            yield Verdict("info", "", said, "refusals", "", share.family)
    else:
        yield from _of_family(case, LATER if share.later else (*FIRST, *([engine.compiled] if compiles else [])))


def joined(found: Iterable[Verdict], shares: Sequence[Share], every: Iterable[Iterable[Verdict]]) -> Iterator[Verdict]:
    """The verdicts on an estimator: those of `opening`, then those of `every` share.

    A fault that ends the checks of a family is told once, and the hyper-parameters are left out then.
    """
    told: dict[str, Verdict] = {}
    ended: set[str] = set()
    yield from found
    for share, of_it in zip(shares, every, strict=False):
        if share.family in ended or (share == HYPER and told):
            continue
        for each in of_it:
            if each.last:
                ended.add(share.family)
            yield _once(each, told)


def _of_family(case: Case, checks: Iterable[Callable[[Case], Verdict]]) -> Iterator[Verdict]:
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
