"""The loader of sweeps composes what Hydra's own composes: every node, its type, its flags, and the run that it is."""

import gc
import pickle
import tracemalloc

import pytest
from omegaconf import OmegaConf

from bench.config.sentences import sentence
from bench.sweep import composing, loader, plan
from bench.sweep.payload import packed
from tests.support.job_overrides import BAD, JOBS
from tests.support.loaders import both, compositions, nodes, outcome


@pytest.fixture(scope="module")
def loaders():
    """Those of sweeps and Hydra's own, and the configuration of a sweep."""
    with both() as made:
        yield made


@pytest.fixture
def slow(loaders):
    """One job by Hydra's own composition."""
    return lambda words: loaders[1].load_sweep_config(loaders[2], words)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_composed_as_by_hydra(job, loaders, slow):
    words = split(job)
    fast, _, master = loaders
    wanted = outcome(lambda: slow(words))
    for _ in range(2):  # composed, and from what was kept
        assert outcome(lambda: fast.load_sweep_config(master, words)) == wanted


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


def test_choices_are_composed_once_whatever_the_values_and_their_order(loaders, monkeypatch):
    (_, _, master), counted = loaders, compositions(monkeypatch)
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
