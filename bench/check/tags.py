"""Checks of what a class declares: its tags, its documented arguments, and what it refuses."""

import inspect
import re
from typing import Any

from bench.check.problem import problem
from bench.check.subject import Subject
from bench.check.verdict import Verdict, demand, demand_first, ok
from bench.config.nodes import node
from bench.config.preset import set_by_preset
from bench.docstrings import docstring
from bench.errors import BadInput
from bench.interface import undeclared
from estimators import FAMILIES, VQ, Latent

CHOICES = {"objective": ("elbo", "iwae"), "kl": ("any", "sampled", "analytic")}
IMPOSSIBLE = {"k": (0, -1), "temperature": (0.0, -1.0)}


def tags(subject: Subject) -> Verdict:
    """Every tag is declared with a valid value; every argument has a type, a default, and a line under Args:."""
    cls = subject.cls
    demand_first(_unfinished(subject))
    demand(all(f in FAMILIES.values() for f in cls.latents), "latents names what is not a latent family")
    for tag, choices in CHOICES.items():
        demand(getattr(cls, tag) in choices, f"the tag {tag} is {getattr(cls, tag)!r}, not one of {', '.join(choices)}")
    for tag in ("deterministic", "noiseless"):
        demand(isinstance(getattr(cls, tag), bool), f"the tag {tag} is not a bool")
    for tag in ("name", "paper"):
        value = getattr(cls, tag, None)
        demand(isinstance(value, str) and bool(value), f"the tag {tag} is not declared")
    demand(cls.evaluations.count(" / ") == 1, f"evaluations is {cls.evaluations!r}, not 'forward / backward'")
    try:
        node(cls)
    except BadInput as error:
        demand(False, str(error))
    entries = documented(cls)
    demand(bool(docstring(cls)), "the class has no docstring")
    for name, default in subject.arguments().items():
        demand(default is not inspect.Parameter.empty, f"argument {name} has no default, so the kit cannot build it")
        demand(name in entries, f'argument {name} is not under "Args:" in the docstring')
    for name in entries:
        demand(name in subject.arguments(), f'"Args:" documents {name}, which is not an argument')
    fault = untunable(subject)
    demand(fault is None, fault or "")
    return ok(f"{len(entries)} arguments")


def untunable(subject: Subject) -> str | None:
    """The fault of a range in the tag tunable, or None. `bench.tune` builds the estimator at any value in it, unless a
    preset sets the hyper-parameter."""
    preset = set_by_preset(subject.name)
    for name, (low, high, log) in subject.cls.tunable.items():
        if name in preset:
            continue
        default = subject.arguments().get(name)
        if name not in subject.arguments():
            return f"tunable names {name}, which is not an argument"
        if isinstance(default, bool) or not isinstance(default, int | float):
            return f"tunable has a range of {name}, which is no number"
        if not low < high or (log and low <= 0):
            return f"the range of {name} in tunable is {low:g} to {high:g}: it needs low < high, and low > 0 where log"
        for end in (low, high):
            try:
                subject.make(**{name: type(default)(end)})
            except ValueError as error:
                return f"it refuses {name}={end:g}, an end of its range in tunable: {error}"
    return None


def _unfinished(subject: Subject) -> str | None:
    """The tag that is missing, or None. It is also None if the class cannot be built, which the kit reports apart."""
    try:
        return undeclared(subject.make())
    except Exception:
        return None


def documented(cls: type) -> dict[str, str]:
    """The arguments under "Args:" of the class's docstring, and the text of each."""
    block = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring(cls), re.MULTILINE | re.DOTALL)
    found = re.findall(r"^ {4}(\w[\w, ]*):(.*(?:\n {5,}.*)*)", block.group(1) if block else "", re.MULTILINE)
    return {name.strip(): text for names, text in found for name in names.split(",")}


def refusals(subject: Subject) -> Verdict:
    """The estimator refuses in one sentence what it cannot do: another family, a point mass, or an impossible
    hyper-parameter."""
    made, count = subject.make(), 0
    asked: list[Latent] = [problem(f).q for f, cls in FAMILIES.items() if not issubclass(cls, subject.cls.latents)]
    if VQ in subject.cls.latents and not made.deterministic:
        point = problem("vq").q
        asked.append(VQ(point.params, point.codebook, 0.0))  # type: ignore[attr-defined]
    for q in asked:
        said = made.refuses(q)
        what = "a point mass" if q.deterministic else f"{q.family} latents"
        demand(said is not None, f"it does not refuse {what}")
        _one_sentence(said, f"refusing {what}")
        count += 1
    for name, values in IMPOSSIBLE.items():
        for wrong in values if name in subject.arguments() else ():
            try:
                subject.make(**{name: wrong})
            except ValueError as error:
                _one_sentence(str(error), f"refusing {name}={wrong}")
                count += 1
            else:
                demand(False, f"it accepts {name}={wrong}")
    return ok(f"{count} refused")


def _one_sentence(said: Any, where: str) -> None:
    right = isinstance(said, str) and said[-1:] in ".?!" and "\n" not in said and 10 < len(said) < 400
    demand(right, f"{where}, it does not say one sentence but {said!r}")
