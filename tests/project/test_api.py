"""`docs/api.md` is what the code says today, and its examples run."""

import inspect

import pytest

import bench
import estimators
from tests.support import api
from tests.support.api_examples import EXAMPLES
from tests.support.packages import ROOT

NO_SECTION = {"__version__", "FAMILIES", "Enumerable", "OneHot"}  # a number, a table, what several families share


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:hydra")
def test_the_page_is_what_the_code_says_and_its_examples_print():
    assert (ROOT / "docs" / "api.md").read_text() == api.page() + "\n", "run: make docs"


def test_every_public_name_is_on_the_page():
    public = {f"bench.{name}" for name in bench.__all__} | {f"estimators.{name}" for name in estimators.__all__}
    assert {name for name in public - {*EXAMPLES} if name.rpartition(".")[2] not in NO_SECTION} == set()
    assert all(api.named(title) for title in EXAMPLES)


def test_every_public_name_has_words_and_every_argument_of_its_lists_exists():
    for title in EXAMPLES:
        public = inspect.unwrap(api.named(title))
        assert public.__doc__, title
        lines = [*api.words(public.__doc__)]
        listed = [line.split("`")[1] for line in lines if line.startswith("* `")] if "**Args**" in lines else []
        shown = api.signature(public, title.rpartition(".")[2])
        assert all(f"{name}:" in shown for name in listed if not name.endswith("Error") and name != "BadInput"), title


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("One.\n\nArgs:\n    k: samples,\n        even.", ["One.", "", "**Args**", "", "* `k`: samples,", "  even."]),
        ("One.\n\n    a formula\n\nTwo.", ["One.", "", "    a formula", "", "Two."]),
    ],
)
def test_docstrings_become_markdown(doc, expected):
    assert [*api.words(doc)] == expected


def test_an_example_runs_in_a_folder_of_its_own_and_a_failing_one_is_told(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert api.ran("open('left', 'w').close(); print(1)") == "1\n"
    assert not list(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError):
        api.ran("1 / 0")
