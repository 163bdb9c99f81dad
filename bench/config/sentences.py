"""Errors of Hydra, OmegaConf and the file system as one sentence: what was asked, what is possible."""

import re

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import MarkedYAMLError

from bench.config.rules import RULES
from bench.errors import BadInput, DataError, nearest, nearest_estimator, nearest_key

EXTRAS = {"submitit_slurm": "slurm", "submitit_local": "slurm"}  # launchers of other packages: what installs them


def sentence(error: BaseException) -> str | None:
    """What to tell the user, or None where the error is nobody's input."""
    if isinstance(error, BadInput | DataError):
        return str(error)
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        if group == "hydra/launcher" and name in EXTRAS:
            return needs_extra(f"{group}={EXTRAS[name]}", EXTRAS[name])
        if error.options is None or not group:
            return first_line(error)
        near = nearest_estimator if group == "estimator" else nearest
        return f"There is no {group} {name}: {near(name, error.options)}"
    if isinstance(error, OverrideParseException):
        reason = first_line(error).partition(" expecting")[0].rstrip(".")
        return f"{error.override!r} cannot be read as an override key=value: {reason}."
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        if isinstance(cause, ConfigAttributeError | ConfigKeyError) and hasattr(cause.parent_node, "keys"):
            key, asked = str(cause.full_key), re.search(r"'(.+?)'", first_line(error))
            if asked and (rule := RULES.get(asked[1])) and rule.only:
                return f"{asked[1]} belongs to {rule.only[0]}={' or '.join(rule.only[1:])}."
            parent = key.rpartition(".")[0]
            if parent and key in RULES:
                return f"{key} cannot be set, since {parent} holds no such key in this configuration."
            there = [f"{parent}.{name}".lstrip(".") for name in cause.parent_node if name not in ("_target_", "hydra")]
            return f"There is no key {key}: {nearest_key(key, [*there, *RULES])}"
        return f"{first_line(error).removesuffix('.')}: {first_line(cause)}"
    if isinstance(error, OmegaConfBaseException):
        return f"{error.full_key}: {first_line(error)}" if error.full_key else first_line(error)
    if isinstance(error, HydraException) and "Ambiguous value" in str(error):
        return f"{first_line(error).removesuffix('.')}: add --multirun to sweep over the values."
    if isinstance(error, HydraException):
        return first_line(error)
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"{mark.name} is not YAML: {error.problem} in line {mark.line + 1}."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be written: {error.strerror}; choose another place with output=<folder>."
    return None


def needs_extra(what: str, extra: str) -> str:
    """What to install."""
    return f"{what} needs packages that are not installed: pip install 'estimator-bench[{extra}]'."


def first_line(error: BaseException) -> str:
    """The first line of the error's message, with a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    line = re.sub(r"\.\s+(\w)", lambda found: f"; {found[1].lower()}", line)  # one sentence
    return line if line.endswith((".", "?", "!")) else f"{line}."
