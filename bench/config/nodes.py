"""A typed configuration node, generated from the constructor of what is brought as an option."""

import inspect
from dataclasses import field, make_dataclass
from functools import cache
from typing import Any, get_type_hints

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from bench.config.kinds import KINDS
from bench.errors import BadInput
from estimators import FAMILIES, Estimator
from estimators.base import snake

BASES = (object, nn.Module, Estimator)  # whose constructors have no hyper-parameters


def path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def node(cls: type, group: str = "estimator") -> type:
    """A dataclass with the constructor's hyper-parameters as typed fields, `_target_`, and what the group has besides.
    Of one class and one group it is the same every time.

    Raises BadInput, naming the file and the argument, where the signature cannot be made an option.
    """
    family = getattr(cls, "family", "")
    if group == "latent" and FAMILIES.get(family, cls) is not cls:
        where = f"{inspect.getsourcefile(cls)}, {cls.__name__}.sizes"
        raise BadInput(f"{where}: the suite has a family {family}; give another name.")
    return _node(cls, group)


@cache
def _node(cls: type, group: str) -> type:
    arguments = "sizes" if group == "latent" else "__init__"  # which of its methods has the option's keys
    where = f"{inspect.getsourcefile(cls)}, {cls.__name__}.{arguments}"
    constructor: Any = getattr(cls, arguments)
    try:
        hints = get_type_hints(constructor)
    except NameError as error:
        raise BadInput(f"{where}: a type cannot be found: {error}.") from error
    fields: list[Any] = [("_target_", str, field(default=path(cls)))]
    taken = {"_target_"}
    for name, kind, default in KINDS[group].shared:
        fields.append((name, kind, _default(_own_name(cls, name) or default)))
        taken.add(name)
    own = list(inspect.signature(constructor).parameters.items())
    for name, argument in own if inspect.ismethod(constructor) else own[1:]:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD, argument.POSITIONAL_ONLY):
            if not _has_constructor(cls):
                continue
            raise BadInput(f"{where}: {argument} cannot be an option; name every hyper-parameter.")
        if name in KINDS[group].given:
            continue
        if name in taken:
            raise BadInput(f"{where}: argument {name} is a key of every {group}; give it another name.")
        if name not in hints:
            raise BadInput(f"{where}: argument {name} has no type; write it as {name}: int, float, bool or str.")
        fields.append((name, hints[name], _default(argument.default)))
    made = make_dataclass(cls.__name__, fields, namespace={"_group_": group})
    try:
        OmegaConf.structured(made)
    except OmegaConfBaseException as error:
        raise BadInput(f"{where}: {str(error).splitlines()[0]}.") from error
    return made


def _has_constructor(cls: type) -> bool:
    """Whether it has a constructor of its own. torch.compile replaces the one of nn.Module: identity would not tell."""
    return next(base for base in cls.__mro__ if "__init__" in base.__dict__) not in BASES


def _own_name(cls: Any, key: str) -> str | None:
    """What a class is called where nobody says: `name` of data and of a problem, `family` of latents."""
    if key == "family":
        return str(cls.family)
    return str(getattr(cls, "name", None) or snake(cls.__name__)) if key == "name" else None


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return field(default=MISSING)
    if isinstance(value, list | dict):
        return field(default_factory=value.copy)
    return field(default=value)
