"""A command is composed once, and is what Hydra composes, though Hydra asks twice: for its mode and for itself."""

import shlex

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode

from bench.sweep import composing
from tests.support.loaders import both, compositions, nodes


@pytest.fixture(scope="module")
def loaders():
    """Those of sweeps and Hydra's own, and the configuration of a sweep."""
    with both() as made:
        yield made


COMMANDS = {
    "estimator=disarm 'name=a b' train.betas=[0.1,0.2]": RunMode.RUN,
    "seed=1,2 estimator=rloo,disarm hydra/launcher=pool": RunMode.MULTIRUN,
    "hydra.mode=MULTIRUN seed=1,2": None,
    "experiment=quickstart": None,
}


@pytest.mark.parametrize("said", COMMANDS)
def test_a_command_is_composed_once_and_as_by_hydra(said, loaders, monkeypatch):
    (fast, slow, _), counted = loaders, compositions(monkeypatch)
    words = shlex.split(said)
    mode = fast.load_configuration("config", words, RunMode.MULTIRUN, validate_sweep_overrides=False).hydra.mode
    words = [*words, f"hydra.mode={COMMANDS[said].name}"] if COMMANDS[said] else words  # as Hydra adds it
    wanted = slow.load_configuration("config", words, COMMANDS[said] or mode)
    assert mode == (None if COMMANDS[said] else wanted.hydra.mode)
    counted.clear()
    assert nodes(fast.load_configuration("config", words, COMMANDS[said] or mode)) == nodes(wanted)
    assert counted == []
    fast.load_configuration("config", words, COMMANDS[said] or mode)  # the next command
    assert len(counted) == 1


def test_a_sweep_without_its_flag_is_refused_as_by_hydra(loaders):
    fast, slow, _ = loaders
    fast.load_configuration("config", ["seed=1,2"], RunMode.MULTIRUN, validate_sweep_overrides=False)
    with pytest.raises(ConfigCompositionException) as wanted:
        slow.load_configuration("config", ["seed=1,2", "hydra.mode=RUN"], RunMode.RUN)
    with pytest.raises(ConfigCompositionException) as found:
        fast.load_configuration("config", ["seed=1,2", "hydra.mode=RUN"], RunMode.RUN)
    assert str(found.value) == str(wanted.value)


def test_a_choice_that_is_missing_is_asked_for_by_a_run_and_made_by_a_sweep(tmp_path):
    (tmp_path / "config.yaml").write_text("defaults:\n- db: ???\n")
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "one.yaml").write_text("name: one\n")
    path = create_config_search_path(str(tmp_path))
    both = composing.Composer(path), ConfigLoaderImpl(path)
    for words in (["hydra.mode=MULTIRUN"], ["db=one"]):
        found, wanted = (
            one.load_configuration("config", words, RunMode.MULTIRUN, validate_sweep_overrides=False) for one in both
        )
        assert nodes(found) == nodes(wanted)
    for one in both:
        one.load_configuration("config", [], RunMode.MULTIRUN, validate_sweep_overrides=False)
        with pytest.raises(ConfigCompositionException, match=composing.MISSING):
            one.load_configuration("config", ["hydra.mode=RUN"], RunMode.RUN)
