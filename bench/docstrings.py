"""The words that a class, a function or a module has about itself, also under `python -OO`, which drops them."""

import ast
import inspect
from textwrap import dedent
from typing import Any


def docstring(of: Any) -> str:
    """The docstring, without its indent; "" where there is none. It is no base class's.

    Where Python has dropped it, it is read in the source.
    """
    if of.__doc__:
        return inspect.cleandoc(of.__doc__)
    try:
        tree = ast.parse(dedent(inspect.getsource(of)))
    except (OSError, TypeError, SyntaxError):  # no source, or of something without one
        return ""
    held = tree if inspect.ismodule(of) else tree.body[0]
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return (ast.get_docstring(held) if isinstance(held, documented) else None) or ""
