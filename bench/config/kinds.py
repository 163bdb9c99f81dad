"""What can be brought from outside the tree: estimators, data, models, latents and problems, each as a typed option."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from bench.data.base import Dataset
from bench.problems import Problem
from estimators import Estimator, Latent


class Kind(NamedTuple):
    """One kind of part, which is also a group of the configuration.

    Attributes:
        word: for it, at the head of a sentence.
        needed: completes "... is not".
        fits: whether a class is one; nothing else is ever called.
        shared: keys of an option that the suite reads itself, whatever the class: name, type and default.
        given: arguments of the constructor that the suite has, and hands over by their names.
    """

    word: str
    needed: str
    fits: Callable[[Any], bool]
    shared: tuple[tuple[str, Any, Any], ...] = ()
    given: tuple[str, ...] = ()


def _concrete(base: type) -> Callable[[Any], bool]:
    """Whether a class is a subclass of this one in which nothing abstract is left."""
    return lambda cls: isinstance(cls, type) and issubclass(cls, base) and not inspect.isabstract(cls)


def _is_problem(cls: Any) -> bool:
    return _concrete(Problem)(cls) and hasattr(cls, "name") and hasattr(cls, "family")


def _is_model(cls: Any) -> bool:
    return _concrete(nn.Module)(cls) and all(callable(getattr(cls, m, None)) for m in ("encode", "log_likelihood"))


def _is_latent(cls: Any) -> bool:
    return _concrete(Latent)(cls) and hasattr(cls, "family") and callable(getattr(cls, "sizes", None))


NAME = ("name", str, None)  # of the option
FAMILY = ("family", str, None)  # of the class
PIXELS = (("binarisation", str, "none"), ("dequantise", bool, False), ("train_size", int | None, None))
KINDS = {
    "estimator": Kind("Estimator", "a concrete subclass of estimators.Estimator", _concrete(Estimator)),
    "data": Kind("Data", "a concrete subclass of bench.Dataset", _concrete(Dataset), (NAME, *PIXELS)),
    "model": Kind(
        "Model",
        "a torch.nn.Module with encode(x) and log_likelihood(x, z)",
        _is_model,
        (NAME,),
        ("shape", "mean", "latent"),
    ),
    "latent": Kind(
        "Latents",
        "a concrete subclass of estimators.Latent with a family and a classmethod sizes",
        _is_latent,
        (FAMILY,),
    ),
    "problem": Kind("Problem", "a concrete subclass of bench.Problem with a name and a family", _is_problem, (NAME,)),
}
