"""The loader of sweeps composes what Hydra's own composes: every node, its type, its flags, and the run that it is."""

import gc
import pickle
import shlex
import tracemalloc

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from bench.config import plugins
from bench.config.sentences import sentence
from bench.files import CONF
from bench.sweep import composing, launchers, loader, plan
from bench.sweep.payload import packed
from tests.support.job_overrides import BAD, JOBS

HYDRA = ["hydra.verbose=false", "hydra.job.name=x", "hydra/launcher=pool", "hydra.launcher.n_jobs=2"]


class Slow(loader.Loader):
    """With the same checks, and Hydra's own way to a job."""

    load_sweep_config = ConfigLoaderImpl.load_sweep_config


@pytest.fixture(scope="module")
def loaders():
    """Those of sweeps and Hydra's own, and the configuration of a sweep."""
    plugins.register()
    launchers.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        path = GlobalHydra.instance().hydra.config_loader.get_search_path()
        fast = loader.Loader(path)
        yield fast, Slow(path), fast.load_configuration("config", HYDRA, RunMode.MULTIRUN)


@pytest.fixture
def slow(loaders):
    """One job by Hydra's own composition."""
    return lambda words: loaders[1].load_sweep_config(loaders[2], words)


def nodes(node):
    """All that a node is: value, types, flags, and the same of what it holds."""
    about = node._metadata
    content = vars(node)["_content"] if OmegaConf.is_config(node) else None
    if isinstance(content, dict):
        content = [(key, nodes(inner)) for key, inner in content.items()]
    elif isinstance(content, list):
        content = [nodes(inner) for inner in content]
    value = vars(node).get("_val")
    facts = (about.ref_type, about.object_type, about.optional, about.key, about.flags or {})
    return type(node), facts, type(value), value, content


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_composed_as_by_hydra(job, loaders, slow):
    words = split(job)
    fast, _, master = loaders
    wanted = outcome(lambda: slow(words))
    for _ in range(2):  # composed, and from what was kept
        assert outcome(lambda: fast.load_sweep_config(master, words)) == wanted


def outcome(compose):
    """Every node of a configuration and the run that it is; or what is said of it."""
    try:
        cfg = compose()
    except Exception as error:
        return type(error), sentence(error)
    return nodes(cfg), plan.runs_of(cfg)


def split(job):
    """The words of a job; quoted ones are one."""
    return ["name='a b, c'", 'output="x=y"'] if "'a b" in job else job.split(" ")


@pytest.mark.parametrize("job", BAD)
def test_a_wrong_job_is_refused_as_by_hydra(job, loaders, slow):
    fast, _, master = loaders
    fast.load_sweep_config(master, ["seed=1"])
    with pytest.raises(Exception) as wanted:  # noqa: PT011  # whichever it is
        slow(job.split())
    with pytest.raises(type(wanted.value)) as found:
        fast.load_sweep_config(master, job.split())
    assert sentence(found.value) == sentence(wanted.value)


def test_no_job_changes_another(loaders, slow):
    fast, _, master = loaders
    changed = fast.load_sweep_config(master, ["seed=1", "train.betas=[0.1,0.2]"])
    OmegaConf.update(changed, "train.betas", [0.3, 0.4])
    changed.hydra.overrides.task.append("seed=7")
    again = ["seed=1", "train.betas=[0.1,0.2]"]
    assert nodes(fast.load_sweep_config(master, again)) == nodes(slow(again))


COMMANDS = {
    "estimator=disarm 'name=a b' train.betas=[0.1,0.2]": RunMode.RUN,
    "seed=1,2 estimator=rloo,disarm hydra/launcher=pool": RunMode.MULTIRUN,
    "hydra.mode=MULTIRUN seed=1,2": None,
    "experiment=quickstart": None,
}


@pytest.mark.parametrize("said", COMMANDS)
def test_a_command_is_composed_once_and_as_by_hydra(said, loaders, counted):
    fast, slow, _ = loaders
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


@pytest.fixture
def counted(monkeypatch):
    """The compositions of Hydra's own loader."""
    composed, compose = [], ConfigLoaderImpl._compose_config_from_defaults_list

    def count(self, defaults, repo):
        composed.append(defaults)
        return compose(self, defaults, repo)

    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", count)
    return composed


def test_choices_are_composed_once_whatever_the_values_and_their_order(loaders, counted):
    _, _, master = loaders
    fast = loader.Loader(loaders[0].get_search_path())
    for seed in range(10):
        for name in ("rloo", "disarm"):
            fast.load_sweep_config(master, [f"seed={seed}", f"estimator={name}", f"train.lr=0.{seed + 1}"])
    assert len(counted) == 2


def test_what_is_kept_is_little_and_bounded(loaders, monkeypatch):
    _, _, master = loaders
    monkeypatch.setattr(composing, "HELD", 2)
    fast = loader.Loader(loaders[0].get_search_path())
    for name in ("rloo", "disarm", "arm"):
        fast.load_sweep_config(master, ["seed=1", f"estimator={name}"])
    assert len(fast.held) == 2
    assert sum(map(len, fast.held.values())) < 50_000
    [sent] = pickle.loads(packed(fast))
    assert not sent.held
    words = ["seed=1", "estimator=arm"]
    assert nodes(sent.load_sweep_config(master, words)) == nodes(fast.load_sweep_config(master, words))


def test_memory_does_not_grow_with_the_jobs(loaders):
    _, _, master = loaders
    fast = loader.Loader(loaders[0].get_search_path())

    def compose(seeds):
        for seed in seeds:
            plan.runs_of(fast.load_sweep_config(master, [f"seed={seed}", "device=cpu"]))
        composing.parsed.cache_clear()  # bounded by itself
        gc.collect()

    compose(range(10))
    tracemalloc.start()
    compose(range(10, 50))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown / 40 < 2_000  # bytes a job; a whole configuration has 140,000
