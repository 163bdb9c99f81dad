"""A typed configuration node, generated from the constructor of an estimator."""

import inspect
from dataclasses import field, make_dataclass
from functools import cache
from typing import Any, get_type_hints

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.errors import BadInput
from estimators import Estimator


def path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@cache
def node(cls: type[Estimator]) -> type:
    """A dataclass with the constructor's hyper-parameters as typed fields, and `_target_`.

    Raises BadInput, naming the file and the argument, where the signature cannot be made an option.
    """
    where = f"{inspect.getsourcefile(cls)}, {cls.__name__}.__init__"
    try:
        hints = get_type_hints(cls.__init__)
    except NameError as error:
        raise BadInput(f"{where}: a type cannot be found: {error}.") from error
    fields: list[Any] = [("_target_", str, field(default=path(cls)))]
    for name, argument in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD, argument.POSITIONAL_ONLY):
            if cls.__init__ is Estimator.__init__:
                continue  # a class without a constructor of its own has no hyper-parameters
            raise BadInput(f"{where}: {argument} cannot be an option; name every hyper-parameter.")
        if name not in hints:
            raise BadInput(f"{where}: argument {name} has no type; write it as {name}: int, float, bool or str.")
        fields.append((name, hints[name], _default(argument.default)))
    made = make_dataclass(cls.__name__, fields)
    try:
        OmegaConf.structured(made)
    except OmegaConfBaseException as error:
        raise BadInput(f"{where}: {str(error).splitlines()[0]}.") from error
    return made


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return field(default=MISSING)
    if isinstance(value, list | dict):
        return field(default_factory=value.copy)
    return field(default=value)
