"""A new option: one file in the tree, or one entry point of a package; what is refused, and what is left out."""

import importlib
import re
import sys
from textwrap import dedent

import pytest
from hydra.core.config_store import ConfigStore

import bench
import estimators
from bench import cli
from bench import list as listing
from bench.config import plugins
from bench.errors import BadInput
from tests.support.composed import composed
from tests.support.packages import place

ESTIMATOR = """
    from estimators import Bernoulli, Estimate, Estimator

    class {name}(Estimator):
        latents = (Bernoulli,)
        unbiased = True
        evaluations = "k / 0"

        def __init__(self{arguments}):
            super().__init__()
            self.given = dict(locals())

        def forward(self, q, cost, x):
            raise AssertionError("never asked for an estimate")
"""


@pytest.fixture
def fresh():
    """A registry that looks again, and forgets afterwards what it saw."""
    plugins.register()
    stored, modules = dict(ConfigStore.instance().repo["estimator"]), set(sys.modules)
    plugins.registry.cache_clear()
    yield
    plugins.registry.cache_clear()
    ConfigStore.instance().repo["estimator"] = stored
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def in_tree(fresh, tmp_path, monkeypatch):
    """Write a file of `estimators/`."""
    monkeypatch.setattr(estimators, "__path__", [*estimators.__path__, str(tmp_path / "more")])

    def write(module, source):
        (tmp_path / "more").mkdir(exist_ok=True)
        (tmp_path / "more" / f"{module}.py").write_text(dedent(source))
        importlib.invalidate_caches()

    return write


@pytest.fixture
def install(fresh, tmp_path, monkeypatch):
    """Install a package with entry points, as pip leaves it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def package(name, source, **points):
        place(site, name, source, **points)
        importlib.invalidate_caches()

    return package


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (", k", "argument k has no type"),
        (", **more: int", "name every hyper-parameter"),
        (", k: set = None", "Unexpected type annotation: set"),
        (", k: 'Nope' = 1", "name 'Nope' is not defined"),
    ],
)
def test_a_signature_that_cannot_be_an_option_names_file_and_argument(in_tree, arguments, said, capsys):
    in_tree("untyped", ESTIMATOR.format(name="Untyped", arguments=arguments))
    assert plugins.registry().keys() >= {"rloo"}
    assert "untyped" not in plugins.registry()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("Untyped of estimators/untyped.py is left out: ")
    assert said in line
    assert "untyped.py, Untyped.__init__" in line


def test_one_file_in_the_tree_is_an_option(in_tree):
    source = ESTIMATOR.format(name="FreshIdea", arguments=", k: int = 2")
    in_tree("fresh_idea", source + "\n    from estimators.rloo import RLOO\n    from abc import ABC")
    assert "rloo" in plugins.registry()  # imported into the file, and not registered twice
    assert plugins.registry()["fresh_idea"].source == "estimators/fresh_idea.py"
    assert composed("estimator=fresh_idea", "estimator.k=5").estimator.k == 5


BROKEN = {
    "1 / 0": r"ZeroDivisionError: division by zero \(line 1 of broken\.py\)",
    "class Half(": r"SyntaxError: '\(' was never closed \(broken\.py, line 1\)",
    "import sys\nsys.exit(3)": r"SystemExit: 3 \(line 2 of broken\.py\)",
    "from estimators import Estimater": "ImportError: cannot import name 'Estimater' from 'estimators' .*",
    "from estimators import Estimator\nclass A(Estimator, Estimator):\n    pass": "TypeError: duplicate base class .*",
    "\0": "SyntaxError: source code string cannot contain null bytes.*",
}


@pytest.mark.parametrize(("source", "said"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_file_of_the_tree_is_one_line_and_stops_no_other(in_tree, source, said, capsys):
    before = plugins.registry()
    plugins.registry.cache_clear()
    in_tree("broken", source)
    assert plugins.registry() == before
    [line] = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"estimators/broken\.py is left out: {said}\.", line)


def test_files_that_import_a_broken_one_are_named_with_it(in_tree, capsys):
    in_tree("broken", "1 / 0")
    in_tree("using", "from estimators.broken import Any")
    assert "rloo" in plugins.registry()
    said = (
        "estimators/broken.py, estimators/using.py are left out: ZeroDivisionError: division by zero (line 1 of broken"
    )
    assert capsys.readouterr().err.startswith(said)


def test_a_command_goes_on_beside_a_broken_file(in_tree, capsys):
    in_tree("broken", "class Half(")
    assert cli.main(["estimator=rlo", "--cfg", "job"]) == 2
    told, refused = capsys.readouterr().err.splitlines()
    assert told.startswith("estimators/broken.py is left out: SyntaxError")
    assert refused.startswith("There is no estimator rlo: did you mean rloo")
    assert listing.main([]) == 0
    assert "rloo" in capsys.readouterr().out


def test_a_broken_preset_is_one_line_and_stops_no_other(fresh, monkeypatch, capsys):
    before = plugins.presets()
    plugins.presets.cache_clear()
    composed = plugins.composed

    def half(name):
        if name == "nvil":
            raise BadInput("nvil.yaml is not YAML: mapping values are not allowed here in line 2.")
        return composed(name)

    monkeypatch.setattr(plugins, "composed", half)
    try:
        assert plugins.presets() == {name: cls for name, cls in before.items() if name != "nvil"}
    finally:
        plugins.presets.cache_clear()
    assert capsys.readouterr().err.startswith("conf/estimator/nvil.yaml is left out: nvil.yaml is not YAML: mapping ")


def test_an_installed_package_adds_an_option(install, capsys):
    install("their_package", ESTIMATOR.format(name="Theirs", arguments=", k: int = 2"), mine="their_package:Theirs")
    assert plugins.registry()["mine"].source == "their_package"
    assert bench.estimator("mine", k=3).given["k"] == 3
    assert composed("estimator=mine").estimator.k == 2
    assert ("mine", "their_package") in [(row[0], row[-1]) for row in listing.rows()]
    assert capsys.readouterr().err == ""


def test_a_package_that_does_not_work_is_one_line_and_no_crash(install, capsys):
    source = ESTIMATOR.format(name="Untyped", arguments=", k")
    install("half", source + "\n    Number = 3", a="half:Untyped", b="half:Number", c="half:Missing")
    install("broken", "raise RuntimeError('first\\nsecond')", d="broken:Any")
    assert plugins.registry().keys() & {"a", "b", "c", "d"} == set()
    assert "rloo" in plugins.registry()
    lines = sorted(capsys.readouterr().err.splitlines())
    assert [line.split(" is left out: ")[0] for line in lines] == [
        "Estimator a of half", "Estimator b of half", "Estimator c of half", "Estimator d of broken",
    ]  # fmt: skip
    assert "argument k has no type" in lines[0]
    assert "not a concrete subclass" in lines[1]
    assert "Missing" in lines[2]
    assert "RuntimeError: first second" in lines[3]


def test_two_of_one_name_are_refused_with_both_their_homes(install):
    plugins.registry.cache_clear()
    install("rival", ESTIMATOR.format(name="Rival", arguments=""), rloo="rival:Rival")
    with pytest.raises(
        BadInput, match=r"^Two estimators are called rloo: estimators/rloo\.py and rival; rename one\.$"
    ):
        plugins.registry()
