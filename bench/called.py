"""A package that is also the public function of its name: `bench.measure(...)` beside `bench.measure.gradient`."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from estimator_bench import hidden

# Name of the package -> the module that holds the function, loaded when it is first called.
FUNCTIONS = {
    "measure": "bench.own.measure",
    "run": "bench.own.notebook",
    "sweep": "bench.own.notebook",
    "train": "bench.own.train",
}


class Called(ModuleType):
    """A module with a function behind it."""

    @property
    def __wrapped__(self) -> Any:  # what inspect and help look for
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(FUNCTIONS[name]), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if sentence := hidden():
            raise ImportError(sentence)
        return self.__wrapped__(*args, **kwargs)


def also_called(package: str) -> None:
    """Make a package that is being imported such a one."""
    sys.modules[package].__class__ = Called
