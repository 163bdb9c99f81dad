"""What a Python file says: its statements as a digest that neither comments nor layout change, and what it imports."""

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SILENT = ("ctx", "kind", "type_comment")  # fields of a syntax tree without a meaning of their own


class Source(NamedTuple):
    """What a module says: a digest of its statements, and the names that it imports."""

    digest: str
    imports: tuple[str, ...]


@cache
def source_of(file: Path, module: str) -> Source:
    """The module in this file, which is not imported. Raises OSError where there is none."""
    words: list[str] = []
    try:
        tree = ast.parse(content(file))
        _say(tree, words.append)
        said = "\n".join(words).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError):  # of a later Python, or very deep
        tree, said = ast.Module([], []), content(file)
    digest = hashlib.sha256(said).hexdigest()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return Source(digest, tuple(dict.fromkeys(_imports(tree, package))))


@cache
def content(file: Path) -> bytes:
    return file.read_bytes()


def _say(node: Any, say: Callable[[str], object]) -> None:
    """The syntax tree in words that are the same in every version of Python. Text that is a statement, as a docstring
    is, does nothing and is left out."""
    if isinstance(node, ast.AST):
        say(type(node).__name__)
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(node, ast.JoinedStr):
                value = [part for part in node.values if not _is_text(part, "")]  # 3.12 has empty ones
            if value is not None and value != [] and field not in SILENT:
                say(field)
                _say(value, say)
        say(")")
    elif isinstance(node, list):
        for item in node:
            if not (isinstance(item, ast.Expr) and _is_text(item.value)):
                _say(item, say)
        say("]")
    else:
        say(repr(node))


def _is_text(node: ast.AST, only: str | None = None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and only in (None, node.value)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every name that may be a module; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
