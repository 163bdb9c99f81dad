"""What modules, classes and objects hold, so that a check sees whether a call has changed it."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def surroundings(cls: type) -> Iterator[tuple[str, Any]]:
    """(path, content) of what the modules and classes of an estimator's package hold beside functions."""
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
                    yield from walk(held, f"{name}.{key}")
                    yield from walk(getattr(value, "__defaults__", None), f"{name}.{key}.defaults")
            else:
                yield from walk(value, f"{name}.{key}")
                if isinstance(value, Iterator):
                    yield f"{name}.{key}", repr(value)


def walk(value: Any, path: str = "", within: frozenset[int] = frozenset()) -> Iterator[tuple[str, Any]]:
    """(path, content) of every tensor and plain value inside modules, containers and objects; tensors are copied. What
    holds itself, `within` being the ids of all around it, is gone into once."""
    if isinstance(value, Tensor):
        if not nn.parameter.is_lazy(value):
            yield path, (value.detach().clone(), value.requires_grad, value.is_leaf and value.grad is None)
    elif isinstance(value, str | int | float | bool | None):
        yield path, value
    elif id(value) not in within:
        yield from _inside(value, path, within | {id(value)})


def _inside(value: Any, path: str, within: frozenset[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}", within)
    elif isinstance(value, set | frozenset):  # in an order that is the same for a copy
        yield from walk(sorted(value, key=repr), path, within)
    elif isinstance(value, list | tuple):
        yield f"{path}.length", len(value)
        for number, item in enumerate(value):
            yield from walk(item, f"{path}.{number}", within)
    elif hasattr(value, "__dict__") and (isinstance(value, nn.Module) or not callable(value)):
        yield from walk(vars(value), path, within)


class Contents:
    """Tensors and plain values by their paths, as `walk` and `surroundings` give them."""

    def __init__(self, found: Iterable[tuple[str, Any]]):
        self.found = dict(found)

    def changed(self, after: "Contents") -> list[str]:
        """Paths whose content is not the same."""
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
