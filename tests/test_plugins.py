"""The registry: one file in the tree, or one entry point of a package, makes a typed option."""

import importlib
import sys
from textwrap import dedent

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf

import bench
import estimators
from bench import list as listing
from bench import plugins
from bench.config import BadInput
from bench.nodes import node
from estimators import Estimator
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from tests.packages import place

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


def composed(*overrides):
    plugins.register()
    with initialize_config_dir(str(plugins.CONF), **plugins.VERSION_BASE):
        return compose("config", list(overrides))


def test_the_registry_is_every_concrete_estimator_of_the_tree():
    registry = plugins.registry()
    assert registry["rloo"] == (RLOO, "estimators/rloo.py")
    assert list(registry) == sorted(registry)
    for name, (cls, source) in registry.items():
        assert issubclass(cls, Estimator)
        if source.startswith("estimators/"):
            assert cls.name == name
            assert cls.__module__ == source.removesuffix(".py").replace("/", ".")
            assert (plugins.ROOT / source).is_file()
    files = {source for _, source in registry.values()}
    for file in (plugins.ROOT / "estimators").glob("*.py"):
        defines = "(Estimator):" in file.read_text()
        assert (f"estimators/{file.name}" in files) == defines, file


@pytest.mark.parametrize("name", [*plugins.registry(), *plugins.presets()])
def test_every_option_composes_and_builds(name):
    config = OmegaConf.to_container(composed(f"estimator={name}"), resolve=True)["estimator"]
    built = plugins.build(config)
    assert type(built) is plugins.target(config["_target_"])
    assert type(bench.estimator(name)) is type(built)
    assert plugins.complete(plugins.complete(config)) == plugins.complete(config)


def test_a_preset_is_not_the_default_of_its_class():
    assert plugins.presets()["reinforce_constant"] is Reinforce
    assert plugins.complete(composed("estimator=reinforce_constant").estimator)["baseline"] == "constant"
    assert plugins.complete(composed("estimator=reinforce").estimator)["baseline"] == "none"


def test_by_name_in_python():
    assert bench.estimator("rloo", k=7).k == 7
    assert bench.estimator("reinforce_constant", k=3).k == 3
    with pytest.raises(BadInput, match="no estimator rlo: did you mean rloo"):
        bench.estimator("rlo")
    with pytest.raises(BadInput, match="no hyper-parameter kk: did you mean k"):
        bench.estimator("rloo", kk=3)
    with pytest.raises(BadInput, match=r"estimator\.k .*'abc'"):
        bench.estimator("rloo", k="abc")
    with pytest.raises(BadInput, match="k >= 2; got k=1"):
        bench.estimator("rloo", k=1)
    with pytest.raises(AttributeError, match="no attribute 'estimater'"):
        bench.estimater  # noqa: B018


def test_a_preset_is_composed_inside_a_job_too():
    with initialize_config_dir(str(plugins.CONF), **plugins.VERSION_BASE):
        bench.estimator("reinforce_constant")
        assert compose("config").estimator["_target_"] == "estimators.rloo.RLOO"  # the outer Hydra still works


def test_the_option_is_typed():
    assert composed("estimator.k=8").estimator.k == 8
    for wrong in ("estimator.k=abc", "estimator.k=2.5", "estimator.k=true", "estimator.kk=2"):
        with pytest.raises(HydraException):
            composed(wrong)
    with pytest.raises(BadInput, match="did you mean k"):  # Hydra lets + add a key, also to a typed node
        plugins.complete(OmegaConf.to_container(composed("+estimator.kk=2").estimator))


def test_a_node_has_the_types_and_defaults_of_the_constructor():
    class Made(RLOO):
        def __init__(self, must: int, widths: list[int] = [3, 4], rate: float = 1, cap: float | None = None):  # noqa: B006
            pass

    one, other = OmegaConf.structured(node(Made)), OmegaConf.structured(node(Made))
    assert OmegaConf.is_missing(one, "must")
    assert isinstance(one.rate, float)
    one.widths.append(5)
    assert other.widths == [3, 4]
    one.cap = 2
    assert isinstance(one.cap, float)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (", k", "argument k has no type"),
        (", **more: int", "name every hyper-parameter"),
        (", k: set = None", "Unexpected type annotation: set"),
        (", k: 'Nope' = 1", "name 'Nope' is not defined"),
    ],
)
def test_a_signature_that_cannot_be_an_option_names_file_and_argument(in_tree, arguments, said):
    in_tree("untyped", ESTIMATOR.format(name="Untyped", arguments=arguments))
    with pytest.raises(BadInput, match=said) as refused:
        plugins.registry()
    assert "untyped.py, Untyped.__init__" in str(refused.value)


def test_one_file_in_the_tree_is_an_option(in_tree):
    source = ESTIMATOR.format(name="FreshIdea", arguments=", k: int = 2")
    in_tree("fresh_idea", source + "\n    from estimators.rloo import RLOO\n    from abc import ABC")
    assert "rloo" in plugins.registry()  # imported into the file, and not registered twice
    assert plugins.registry()["fresh_idea"].source == "estimators/fresh_idea.py"
    assert composed("estimator=fresh_idea", "estimator.k=5").estimator.k == 5


def test_a_broken_file_of_the_tree_is_named(in_tree):
    in_tree("broken", "1 / 0")
    with pytest.raises(BadInput, match=r"estimators/broken\.py cannot be imported: ZeroDivisionError"):
        plugins.registry()


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


def test_two_of_one_name_are_an_error_naming_both(install):
    install("rival", ESTIMATOR.format(name="Rival", arguments=""), rloo="rival:Rival")
    with pytest.raises(BadInput, match=r"called rloo: estimators/rloo\.py and rival"):
        plugins.registry()


def test_a_yaml_with_the_name_of_a_class_is_refused(tmp_path, monkeypatch):
    (tmp_path / "estimator").mkdir()
    (tmp_path / "estimator" / "rloo.yaml").write_text("_target_: estimators.rloo.RLOO\nk: 3\n")
    monkeypatch.setattr(plugins, "CONF", tmp_path)
    with pytest.raises(BadInput, match=r"estimator/rloo\.yaml has the name .* in estimators/rloo\.py"):
        plugins.register()


@pytest.mark.parametrize(
    "dotted",
    ["os.system", "pathlib.Path", "estimators.base.Estimator", "nowhere.At.All", "rloo", "", "estimators.rloo.R"],
)
def test_nothing_but_an_estimator_is_ever_called(dotted):
    with pytest.raises(BadInput, match="_target_"):
        plugins.build({"_target_": dotted})


def test_the_list_has_every_option(capsys):
    assert listing.main(["--markdown"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    names = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert sorted(names) == sorted([*plugins.registry(), *plugins.presets()])
    assert any(line.startswith("| nvil | G B C V | no |") for line in lines)  # the preset's own tag
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert listing.main([]) == 0
    assert "st_gumbel_softmax" in capsys.readouterr().out


def test_the_table_of_estimators_in_the_docs_is_not_stale():
    assert (plugins.ROOT / "docs" / "estimators.md").read_text() == listing.markdown() + "\n", (
        "run: python -m bench.list --markdown > docs/estimators.md"
    )
