"""The checks of latents and models that packages provide, by the names of their options."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.check.family import family_verdicts
from bench.check.model import model_verdicts
from bench.check.sizes import family
from bench.check.verdict import Verdict, crash
from bench.config import parts


class Part(NamedTuple):
    """An option of `latent` or `model` that is a class."""

    name: str
    group: str
    cls: Any
    source: str


def part(name: str) -> Part | None:
    """The latents or the model of this name, or None if no package provides it."""
    for group in ("latent", "model"):
        if name in parts.registry(group):
            return Part(name, group, *parts.registry(group)[name])
    return None


def part_verdicts(one: Part) -> Iterator[Verdict]:
    """The verdicts on latents or a model. A class that cannot be built is a failure too."""
    try:
        if one.group == "latent":
            yield from family_verdicts(family(one.name, one.cls, one.source))
        else:
            yield from model_verdicts(one.name, one.cls)
    except Exception as error:
        yield Verdict("FAILED", "crash", crash(error), "building", "It can be built with its defaults.")
