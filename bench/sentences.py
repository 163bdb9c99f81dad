"""Errors of Hydra, OmegaConf and the file system as one sentence: what was asked, what is possible."""

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bench.config import BadInput, nearest, nearest_key
from bench.download import DataError
from bench.rules import RULES


def sentence(error: BaseException) -> str | None:
    """What to tell the user, or None where the error is nobody's input."""
    if isinstance(error, BadInput | DataError):
        return str(error)
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        if error.options is None or not group:
            return _first(error)
        return f"There is no {group} {name}: {nearest(name, error.options)}"
    if isinstance(error, OverrideParseException):
        reason = _first(error).partition(" expecting")[0].rstrip(".")
        return f"{error.override!r} cannot be read as an override key=value: {reason}."
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        if isinstance(cause, ConfigAttributeError | ConfigKeyError) and hasattr(cause.parent_node, "keys"):
            key = str(cause.full_key)
            parent = key.rpartition(".")[0]
            there = [f"{parent}.{name}".lstrip(".") for name in cause.parent_node if name not in ("_target_", "hydra")]
            return f"There is no key {key}: {nearest_key(key, [*there, *RULES])}"
        return f"{_first(error).removesuffix('.')}: {_first(cause)}"
    if isinstance(error, OmegaConfBaseException):
        return f"{error.full_key}: {_first(error)}" if error.full_key else _first(error)
    if isinstance(error, HydraException) and "Ambiguous value" in str(error):
        return f"{_first(error).removesuffix('.')}: add --multirun to sweep over the values."
    if isinstance(error, HydraException):
        return _first(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be written: {error.strerror}; choose another place with output=<folder>."
    return None


def _first(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith((".", "?", "!")) else f"{line}."
