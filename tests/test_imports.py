"""Imports point one way: bench -> estimators -> torch. A report is made without torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "estimators", "conf")
ESTIMATORS_MAY_IMPORT = {"torch", "estimators"} | sys.stdlib_module_names


def project_sources() -> dict[str, str]:
    """Dotted name -> source of every module of the project; a package's own name ends in `.__init__`."""
    files = (f for package in PACKAGES for f in sorted((ROOT / package).rglob("*.py")))
    return {".".join(f.relative_to(ROOT).with_suffix("").parts): f.read_text() for f in files}


def executed_on_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported: no function bodies, nothing under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (n for statement in node.orelse for n in (statement, *executed_on_import(statement)))
            continue
        yield node
        yield from executed_on_import(node)


def imported(module: str, source: str, *, on_import_only: bool = False) -> set[str]:
    """Dotted names that a module imports; `from a import b` counts as both a and a.b, since b may be a module."""
    tree = ast.parse(source)
    names = set()
    for node in executed_on_import(tree) if on_import_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def top_level(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def forbidden_in_estimators(module: str, source: str) -> set[str]:
    return top_level(imported(module, source)) - ESTIMATORS_MAY_IMPORT


def path_to(package: str, start: str, sources: dict[str, str]) -> list[str] | None:
    """A chain of imports from module `start` to `package`, run by importing `start`; None where there is none."""

    def files(name: str) -> list[str]:  # importing a.b.c runs a, a.b and a.b.c
        parts = name.split(".")
        prefixes = [".".join(parts[: i + 1]) for i in range(len(parts))]
        return [m for prefix in prefixes for m in (prefix, f"{prefix}.__init__") if m in sources]

    waiting = [[m] for m in files(start)]
    seen = set()
    while waiting:
        path = waiting.pop()
        if path[-1] in seen:
            continue
        seen.add(path[-1])
        for name in sorted(imported(path[-1], sources[path[-1]], on_import_only=True)):
            if name.split(".")[0] == package:
                return [*path, name]
            waiting += [[*path, m] for m in files(name)]
    return None


@pytest.mark.parametrize("module", [m for m in project_sources() if m.startswith("estimators.")])
def test_estimators_import_torch_the_standard_library_and_themselves_only(module):
    assert forbidden_in_estimators(module, project_sources()[module]) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import bench", {"bench"}),
        ("from bench.plugins import registry", {"bench"}),
        ("def forward(self):\n    import numpy as np", {"numpy"}),
        ("class A:\n    import torchvision", {"torchvision"}),
        ("import math\nimport torch.nn as nn\nfrom ..base import Estimator\nfrom estimators.latents import VQ", set()),
    ],
)
def test_forbidden_imports_of_estimators_are_found(source, found):
    assert forbidden_in_estimators("estimators.latents.planted", source) == found


@pytest.mark.parametrize("package", ["torch", "estimators"])
def test_report_reaches_no_torch(package):
    sources = project_sources()
    assert {"bench.report", "bench.report.__init__", "bench.report.__main__"} & set(sources)
    starts = [m for m in sources if m == "bench.report" or m.startswith("bench.report.")]
    assert [path for m in starts if (path := path_to(package, m, sources))] == []


@pytest.mark.parametrize(
    ("sources", "path"),
    [
        ({"bench.report": "import torch.nn"}, ["bench.report", "torch.nn"]),
        ({"bench.report": "class A:\n    import torch"}, ["bench.report", "torch"]),
        ({"bench.report": "", "bench.__init__": "import torch"}, ["bench.__init__", "torch"]),
        (
            {
                "bench.report": "from bench import tables",
                "bench.tables": "try:\n    import torch\nexcept ImportError: 0",
            },
            ["bench.report", "bench.tables", "torch"],
        ),
        ({"bench.report": "def draw():\n    import torch"}, None),
        ({"bench.report": "if TYPE_CHECKING:\n    import torch\nelse:\n    import math"}, None),
        ({"bench.report": "import pandas", "bench.train": "import torch"}, None),
    ],
)
def test_the_way_to_torch_is_found(sources, path):
    assert path_to("torch", "bench.report", sources) == path


def test_importing_the_report_loads_no_torch():
    program = "import sys, bench.report; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "bench.report loads torch through another package"
