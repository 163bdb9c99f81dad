"""Files are short, and a function of many parameters says what each of them is."""

import ast
from pathlib import Path

import pytest

from tests.support.packages import ROOT

LINES = 200  # of a file, at most
PARAMETERS = 6  # of a function whose docstring needs no list of them, at most
FILES = [file for folder in ("bench", "estimators", "tests") for file in sorted((ROOT / folder).rglob("*.py"))]


def unlisted(source: str) -> list[str]:
    """Functions with more than PARAMETERS parameters, `self` and `cls` aside, and no `Args:` in their docstring."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            names = [
                a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs) if a.arg not in ("self", "cls")
            ]
            if len(names) > PARAMETERS and "Args:" not in (ast.get_docstring(node) or ""):
                found.append(node.name)
    return found


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_no_file_is_over_two_hundred_lines():
    assert len(FILES) > 400
    assert [relative(f) for f in FILES if len(f.read_text(encoding="utf-8").splitlines()) > LINES] == []


def test_functions_of_many_parameters_list_them():
    files = [f for f in FILES if not relative(f).startswith("tests/")]
    assert [(relative(f), name) for f in files for name in unlisted(f.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(a, b, c, d, e, f): ...", []),
        ("def f(a, b, c, d, e, f, g): ...", ["f"]),
        ("class A:\n    def f(self, a, b, c, *, d, e, f): ...", []),
        ("class A:\n    async def f(self, a, b, c, *, d, e, f, g):\n        '''Many.'''", ["f"]),
        ("def f(a, b, c, /, d, e, *, f, g):\n    '''Many.\n\n    Args:\n        a: one.\n    '''", []),
    ],
)
def test_unlisted_parameters_are_found(source, found):
    assert unlisted(source) == found
