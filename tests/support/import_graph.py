"""Which module of the project imports which: read from the sources, without importing anything."""

import ast
from collections.abc import Iterator

from tests.support.packages import ROOT

PACKAGES = ("bench", "estimators")
# The rooms of bench/ from the ground up. A room imports rooms of the lines above its own, and no other of its line.
FLOORS = """
    called cores docstrings errors files foreign garbage interface settings streams nvml terminal version
    tables data machine
    problems
    config report
    model
    train
    measure
    check run
    sweep
    cli status list mirrors
    clean diff export own probe published tune
    gpu speed
    __main__
"""
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS.split("\n")) for room in rooms.split()}


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


def arrows(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module of bench -> the modules of bench that it imports anywhere; packages by their `__init__`."""
    return {
        module: {
            found
            for name in imported(module, source)
            for found in (name, f"{name}.__init__")
            if found in sources and found != module and found.startswith("bench.")
        }
        for module, source in sources.items()
        if module.startswith("bench.")
    }


def upwards(sources: dict[str, str]) -> list[tuple[str, str]]:
    """Imports of a room that stands no lower than one's own. `bench/__init__.py` hands on names of all."""
    return [
        (module, found)
        for module, targets in sorted(arrows(sources).items())
        for found in sorted(targets)
        if (here := module.split(".")[1]) != "__init__"
        and (there := found.split(".")[1]) not in (here, "__init__")
        and FLOOR[there] >= FLOOR[here]
    ]


def circles(sources: dict[str, str]) -> list[list[str]]:
    """Modules that import each other, directly or through others, apart from the `__init__` of a package."""
    graph = {m: {t for t in targets if not t.endswith("__init__")} for m, targets in arrows(sources).items()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    reach = {m: reached(m) for m in graph if not m.endswith("__init__")}
    return sorted({tuple(sorted(n for n in reach[m] if m in reach.get(n, ()))) for m in reach if m in reach[m]})
