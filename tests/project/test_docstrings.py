"""What is said of an estimator, a rule or a figure is said where Python has dropped docstrings too."""

import importlib.util

import pytest

from bench.check.subject import Subject
from bench.check.tags import tags
from bench.check.verdict import verdict
from bench.docstrings import docstring
from bench.report.figures.catalogue import FIGURES
from estimators.rloo import RLOO

SOURCE = '''"""A module.

And more.
"""
class Said:
    """A class.

    Args:
        k: of it.
    """
    def method(self):
        """A method."""
class Mute(Said):
    value = "no docstring"
def mute(): pass
'''


@pytest.fixture(params=[0, 2], ids=["kept", "dropped"])
def module(request, tmp_path, monkeypatch):
    """The source as a module, as `python` and as `python -OO` compile it."""
    (tmp_path / "said.py").write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("said", tmp_path / "said.py")
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(importlib.util.sys.modules, "said", made)
    exec(compile(SOURCE, tmp_path / "said.py", "exec", optimize=request.param), vars(made))
    return made


def test_a_docstring_is_there_whether_python_keeps_it_or_not(module):
    found = [docstring(of) for of in (module, module.Said, module.Said.method, module.Mute, module.mute)]
    assert found == ["A module.\n\nAnd more.", "A class.\n\nArgs:\n    k: of it.", "A method.", "", ""]


def test_what_has_no_source_has_none(module):
    assert docstring(type("Made", (), {})) == ""


def test_the_kit_finds_its_words_without(monkeypatch):
    subject = Subject("rloo", RLOO, {}, "estimators/rloo.py")
    said = verdict(tags, subject)
    assert (said.status, said.number) == ("ok", "1 arguments")
    assert said.broken.startswith("Every tag is declared with a valid value;")
    for of in (RLOO, tags):
        monkeypatch.setattr(of, "__doc__", None)
    assert verdict(tags, subject) == said


def test_every_figure_has_its_caption_without(monkeypatch):
    for figure in FIGURES.values():
        said = docstring(figure)
        monkeypatch.setattr(figure, "__doc__", None)
        assert docstring(figure) == said != ""
