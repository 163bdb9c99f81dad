"""Snapshots of what modules, classes and objects hold, with which a check sees whether a call has changed them."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def surroundings(cls: type) -> Iterator[tuple[str, Any]]:
    """(path, content) of the values, other than functions, in the modules and classes of an estimator's package."""
    seen: dict[int, Any] = {}
    packages = {c.__module__.partition(".")[0] for c in cls.__mro__} - {"torch", "abc", "builtins", "typing"}
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] not in packages or name.startswith("bench"):
            continue
        for key, value in list(vars(module).items()):
            if key.startswith("__") or inspect.ismodule(value):
                continue
            if inspect.isclass(value) or inspect.isfunction(value):
                if value.__module__ == name:
                    held = {k: v for k, v in vars(value).items() if not k.startswith("__")}
                    yield from walk(held, f"{name}.{key}", seen)
                    yield from walk(getattr(value, "__defaults__", None), f"{name}.{key}.defaults", seen)
            else:
                yield from walk(value, f"{name}.{key}", seen)
                if isinstance(value, Iterator):
                    yield f"{name}.{key}", repr(value)


def walk(value: Any, path: str = "", seen: dict[int, Any] | None = None) -> Iterator[tuple[str, Any]]:
    """(path, content) of every tensor and plain value inside containers and objects, `nn.Module`s among them.

    Tensors are copied. An object that is reached twice is entered once: `seen` maps the ids of the objects entered to
    the objects. Python modules are left out.
    """
    seen = {} if seen is None else seen
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Tensor):
            if not nn.parameter.is_lazy(value):
                yield path, (value.detach().clone(), value.requires_grad, value.is_leaf and value.grad is None)
        elif isinstance(value, str | int | float | bool | None):
            yield path, value
        elif id(value) not in seen and not inspect.ismodule(value):
            seen[id(value)] = value
            if isinstance(value, list | tuple):
                yield f"{path}.length", len(value)
            waiting += reversed([(path + name, item) for name, item in _inside(value)])


def _inside(value: Any) -> list[tuple[str, Any]]:
    """(name, item) of everything that a container or an object holds."""
    if isinstance(value, dict):
        return [(f".{key}", item) for key, item in value.items()]
    if isinstance(value, set | frozenset):  # in an order that is the same for a copy
        return [(f".{number}", item) for number, item in enumerate(sorted(value, key=repr))]
    if isinstance(value, list | tuple):
        return [(f".{number}", item) for number, item in enumerate(value)]
    if hasattr(value, "__dict__") and (isinstance(value, nn.Module) or not callable(value)):
        return [(f".{key}", item) for key, item in vars(value).items()]
    return []


class Contents:
    """A snapshot: tensors and plain values by their paths, from `walk` or `surroundings`."""

    def __init__(self, found: Iterable[tuple[str, Any]]):
        self.found = dict(found)

    def changed(self, after: "Contents") -> list[str]:
        """The paths whose content differs in the later snapshot `after`, or that only one of the two has."""
        changed = sorted(self.found.keys() ^ after.found.keys())
        for path in self.found.keys() & after.found.keys():
            one, other = self.found[path], after.found[path]
            if isinstance(one, tuple) and isinstance(other, tuple):
                same = one[1:] == other[1:] and one[0].shape == other[0].shape and one[0].dtype == other[0].dtype
                if not (same and torch.equal(one[0].nan_to_num(), other[0].nan_to_num())):
                    changed.append(path)
            elif one != other and not (one != one and other != other):
                changed.append(path)
        return [path.lstrip(".") for path in changed]
