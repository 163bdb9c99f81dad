"""The class that a `_target_` names. No module is imported that cannot hold it."""

import ast
import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


def named(dotted: Any) -> Any:
    """What this dotted name stands for. A module that is not loaded yet is imported where its source binds the name,
    and one of Python's own never is: importing one may run anything.

    Raises AttributeError where the module has no such class, and whatever its import raises.
    """
    module, _, name = str(dotted).rpartition(".")
    if module not in sys.modules and not _may_bind(module, name):
        raise AttributeError(f"module {module!r} has no class {name!r}")
    return getattr(importlib.import_module(module), name)


def found_at(module: str) -> str | None:
    """The file that an import of the module would read, which is not imported for it; None where there is none."""
    spec = _spec(module)
    return spec.origin if spec else None


def _may_bind(module: str, name: str) -> bool:
    """Whether importing the module may give this name; true where only the import can tell why not."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        return False
    spec = _spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return spec is None  # the import says that there is none; a compiled module is none of an estimator's
    try:
        with open(spec.origin, "rb") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError):
        return True  # the import says why
    return any(_binds(statement, name) for statement in ast.walk(ast.Module(body, [])))


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.ClassDef):
        return node.name == name
    if isinstance(node, ast.FunctionDef):
        return node.name == "__getattr__"
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" or (alias.asname or alias.name) == name for alias in node.names)
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name


def _spec(module: str) -> ModuleSpec | None:
    """Where the module lies; no package that it is in is imported for it, as `importlib.util.find_spec` would."""
    path, found = None, None
    words = module.split(".")
    for end in range(1, len(words) + 1):
        if end > 1 and path is None:  # in what is no package there is no module
            return None
        found = PathFinder.find_spec(".".join(words[:end]), path)
        if found is None:
            return None
        path = found.submodule_search_locations
    return found
