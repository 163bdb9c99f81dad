"""Jobs that differ in few values have these set on what they share: no node and no run differs from that of a job which
shares nothing. `test_composing` compares such jobs with Hydra's own."""

from functools import partial

import pytest

from bench.sweep import alike, loader
from tests.support.loaders import both, nodes, outcome

FIXED = "estimator=rloo estimator.k=4 train.steps=7 train.lr=3e-4 evaluate.at=[0,1]"
SWEEPS = {  # jobs, and how many are set on what they share
    "a seed": ([f"seed={s} {FIXED}" for s in (0, 3, 3, "null")], 3),
    "two values": ([f"{FIXED} train.batch_size={b} seed={s}" for b, s in ((5, 1), (5, 2), (6, 1))], 2),
    "more and more values": (
        [
            "seed=0 train.steps=1 train.lr=1", "seed=1 train.steps=1 train.lr=1",
            "seed=1 train.steps=2 train.lr=${train.eps}", "seed=2 train.steps=1 train.lr=0.5",
        ],
        3,
    ),
    "choices in between": ([f"estimator={e} seed={s} train.steps=3" for s in (0, 1) for e in ("disarm", "rloo")], 2),
    "choices elsewhere": (
        ["seed=0 estimator=disarm train.steps=3", "estimator=disarm seed=1 train.steps=3",
         "seed=2 train.steps=4 estimator=disarm"],
        2,
    ),
    "lists and texts": ([f"train.betas={b} model.hidden={h} name={n}" for b, h, n in
                         (("[0.5,0.9]", "[]", "a"), ("0.5", "[20,30]", "b"), ("[0.1,0.2]", "[7]", "'1'"))], 2),
    "references": ([f"train.tuning_lr=${{train.lr}} train.lr={v} seeds.model=${{seed}}" for v in (1, 2)], 1),
    "a class's own keys": ([f"problem=gaussian_quadratic problem.k={k} estimator=reparam seed=1" for k in (1, 0.5)], 1),
}  # fmt: skip
IN_ORDER = {  # whose values may not be set in another order, or of which that is not certain
    "the same key twice": [f"seed={s} train.steps=2 seed=4" for s in (1, 2)],
    "a key within another": [f"seeds.data={s} seeds={{model:5}} seed={s}" for s in (1, 2)],
    "a new key": [f"seed={s} +extra=1" for s in (1, 2)],
    "a new key swept": [f"++train.extra={s} ++train.more=1" for s in (1, 2)],
    "a key less": [f"seed={s} ~train.momentum" for s in (1, 2)],
    "mappings": [f"seeds={{model:{s}}} seed=1" for s in (1, 2)],
    "other keys": ["seed=1", "train.steps=2", "seed=1 train.steps=2", "train.steps=2 seed=1"],
}


@pytest.fixture(scope="module")
def loaders():
    """One of whose jobs none shares values, Hydra's own way, and the configuration of a sweep."""
    with both() as made:
        yield made


@pytest.fixture
def shared(monkeypatch):
    """Grows with each job that was set on what it shares."""
    made, on = [], alike.Alike.on
    monkeypatch.setattr(alike.Alike, "on", lambda self, base, parts: made.append(parts) or on(self, base, parts))
    return made


@pytest.mark.parametrize("sweep", SWEEPS)
def test_jobs_on_what_they_share_are_composed_as_alone(sweep, loaders, shared, monkeypatch):
    jobs, count = SWEEPS[sweep]
    assert assert_same(jobs, loaders, monkeypatch) > 0
    assert len(shared) == count


@pytest.mark.parametrize("sweep", IN_ORDER)
def test_values_whose_order_matters_are_set_in_it(sweep, loaders, shared, monkeypatch):
    assert assert_same(IN_ORDER[sweep], loaders, monkeypatch) == 0
    assert not shared


def test_what_is_taken_from_hydras_own_part_is_composed_with_it(loaders, shared, monkeypatch):
    for jobs in (
        [f"seed={s} name=${{hydra:job.name}}" for s in (1, 2, 3)],
        ["seed=1 name=a", "seed=1 name=b", "seed=1 name=${hydra.job.name}"],
    ):
        bare = assert_same(jobs, loaders, monkeypatch)
        assert bare == ("name=a" in jobs[0]) * 2
    assert shared


def test_a_wrong_value_is_refused_as_by_hydra_and_spoils_no_other_job(loaders, shared):
    one, slow, master = loaders
    fast = loader.Loader(one.get_search_path())
    for words in (["seed=1", "train.steps=2"], ["seed=2", "train.steps=2"]):
        fast.load_sweep_config(master, words)
    for wrong in (["seed=3", "train.stepps=2"], ["seed=[", "train.steps=2"], ["seed=${oc.env:HOME}", "train.steps=2"]):
        with pytest.raises(Exception) as wanted:  # noqa: PT011  # whichever it is
            slow.load_sweep_config(master, wrong)
        for load in (fast.load_sweep_config, fast.load_values):
            with pytest.raises(type(wanted.value)) as found:
                load(master, wrong)
            assert str(found.value) == str(wanted.value)
    words = ["seed=4", "train.steps=2"]
    assert nodes(fast.load_sweep_config(master, words)) == nodes(slow.load_sweep_config(master, words))
    before = len(shared)
    fast.load_sweep_config(master, ["seed=5", "train.steps=2"])
    assert len(shared) == before + 1


def assert_same(jobs, loaders, monkeypatch):
    """How many of them were composed without Hydra's own part."""
    alone, _, master = loaders
    with monkeypatch.context() as patch:
        patch.setattr(alike.Alike, "based", lambda *of: None)
        wanted = [outcome(partial(alone.load_sweep_config, master, job.split())) for job in jobs]
    fast = loader.Loader(alone.get_search_path())
    found = [outcome(partial(fast.load_sweep_config, master, job.split())) for job in jobs]
    assert found == wanted
    bare = [outcome(partial(fast.load_values, master, job.split())) for job in jobs]
    for here, whole in zip(bare, wanted, strict=True):
        assert here == whole or without_hydra(here) == without_hydra(whole)
    return sum(here != whole for here, whole in zip(bare, wanted, strict=True))


def without_hydra(found):
    """Of an outcome, the nodes of all else, and the runs."""
    (kind, facts, _, _, content), runs = found
    return kind, facts, [pair for pair in content if pair[0] != "hydra"], runs
