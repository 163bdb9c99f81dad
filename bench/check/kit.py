"""The list of checks, and the loop that runs them."""

import re
from collections.abc import Collection, Iterator

import torch

from bench.check import apart, conduct, engine, means, tags, tuned
from bench.check.hyper import hyper_parameters, variants
from bench.check.measured import evaluations, measuring
from bench.check.settings import settings
from bench.check.subject import DRAWS, Case, Subject, subject
from bench.check.verdict import Verdict, crash, verdict
from estimators import FAMILIES, Estimator

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
        yield (first := verdict(tags.tags, subject))
        if first.last:
            return
        try:
            made = subject.make()
            declared = [f for f, cls in FAMILIES.items() if issubclass(cls, made.latents)]
        except Exception as error:
            if first.status == "ok":
                yield Verdict("FAILED", "crash", crash(error), "tags", "It can be built with its defaults.")
            return
        yield verdict(tags.refusals, subject)
        cases = [Case(subject, family, DRAWS // 32 if quick else DRAWS) for family in declared]
        told: dict[str, Verdict] = {}
        for case in cases:
            if families and case.family not in families:
                continue
            if said := made.refuses(case.problem.q):
                yield Verdict("info", "", said, "refusals", "", case.family)
            else:
                for found in _of_family(case, compiles):
                    yield _once(found, told)
        if not told:
            yield verdict(hyper_parameters, subject, cases)


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
