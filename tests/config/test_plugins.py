"""The registry: every estimator is a typed option, is built by its name, and is in the list."""

import dataclasses
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from torch import nn

import bench
from bench import list as listing
from bench.config import plugins
from bench.config.nodes import node
from bench.errors import BadInput
from bench.files import CONF, ROOT
from estimators import Estimator
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from tests.support.composed import composed


def test_the_registry_is_every_concrete_estimator_of_the_tree():
    registry = plugins.registry()
    assert registry["rloo"] == (RLOO, "estimators/rloo.py")
    assert list(registry) == sorted(registry)
    for name, (cls, source) in registry.items():
        assert issubclass(cls, Estimator)
        if source.startswith("estimators/"):
            assert cls.name == name
            assert cls.__module__ == source.removesuffix(".py").replace("/", ".")
            assert (ROOT / source).is_file()
    files = {source for _, source in registry.values()}
    for file in (ROOT / "estimators").glob("*.py"):
        defines = bool(re.search(r"\(Estimator(\[\w+\])?\):", file.read_text()))
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
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
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


def test_a_class_without_a_constructor_is_an_option_after_a_compilation_too(monkeypatch):
    """torch.compile puts a function of its own in the place of the constructor of nn.Module."""

    class Plain(Estimator):
        pass

    class Taking(Plain):
        def __init__(self, **more: int):
            super().__init__()

    before = nn.Module.__init__
    monkeypatch.setattr(nn.Module, "__init__", lambda self, *args, **kwargs: before(self, *args, **kwargs))
    assert [field.name for field in dataclasses.fields(node(Plain))] == ["_target_"]
    with pytest.raises(BadInput, match="name every hyper-parameter"):
        node(Taking)


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
    assert any(line.startswith("| nvil | G B C V S | no |") for line in lines)  # the preset's own tag
    assert any("| rebar |" in line and "temperature 0.1 to 2, scale 0 to 1.5 (linear)" in line for line in lines)
    assert any("| zgr |" in line and "| no | - |" in line for line in lines)  # the preset is its temperature
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert listing.main([]) == 0
    assert "st_gumbel_softmax" in capsys.readouterr().out


def test_the_table_of_estimators_in_the_docs_is_not_stale():
    assert (ROOT / "docs" / "estimators.md").read_text() == listing.markdown() + "\n", "run: make docs"
