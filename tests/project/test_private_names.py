"""A name with a leading underscore is used in the module that defines it, and in no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.files import ROOT

FOLDERS = ("bench", "estimators", "tests")


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_") and not name.startswith("__")


def defined(tree: ast.AST) -> set[str]:
    """The private names that a module binds anywhere: functions, classes, variables, attributes."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return {name for name in names if private(name)}


def used(tree: ast.AST) -> Iterator[str]:
    """The private names that a module imports, takes as an attribute, or names in a call such as monkeypatch's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("getattr", "setattr", "delattr")):
            yield from (str(a.value).rpartition(".")[2] for a in node.args if isinstance(a, ast.Constant))


def borrowed(sources: dict[str, str]) -> list[tuple[str, str]]:
    """(module, private name of another module of the project) for every use."""
    trees = {module: ast.parse(source) for module, source in sources.items()}
    names = {module: defined(tree) for module, tree in trees.items()}
    theirs = set().union(*(found for module, found in names.items() if not module.startswith("tests")))
    return sorted(
        {(m, name) for m, tree in trees.items() for name in used(tree) if name in theirs and name not in names[m]}
    )


def sources() -> dict[str, str]:
    files: Iterator[Path] = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): file.read_text() for file in files}


def test_no_private_name_is_used_by_another_module():
    assert borrowed(sources()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from bench.a import _f", [("bench.b", "_f")]),
        ("from bench import a\na._f()", [("bench.b", "_f")]),
        ("def g(monkeypatch, a):\n    monkeypatch.setattr(a, '_f', None)", [("bench.b", "_f")]),
        ("def g(monkeypatch):\n    monkeypatch.setattr('bench.a._f', None)", [("bench.b", "_f")]),
        ("import torch\ntorch._dynamo.reset()\nx = [1]\n_, = x", []),
        ("def _f():\n    pass\n_f()", []),
    ],
)
def test_a_borrowed_name_is_found(source, found):
    assert borrowed({"bench.a": "def _f():\n    pass\n_ = 3", "bench.b": source}) == found
