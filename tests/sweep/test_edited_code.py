"""A class of one's own that is edited between two commands, each in a process of its own."""

import sys

import pytest

from bench.tables import store
from tests.support.command import Command

MODULE = """
from estimators.rloo import RLOO
class Mine(RLOO):
    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        return estimate._replace(loss={factor} * estimate.loss)
"""
TINY = ("train.steps=3", "train.batch_size=20", "measure.draws=8", "measure.batches=2", "measure.at=[1]", "threads=1",
        "evaluate.at=[1]", "evaluate.examples=30", "evaluate.samples=3", "timing.repetitions=0", "model.hidden=[8]",
        "device=cpu", "latent=bernoulli_small", "--config-dir", "mine", "estimator=mine")  # fmt: skip


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """`edit(text)` writes the module of a class of one's own, `give(words)` the command in a process of its own: what
    it printed."""
    (tmp_path / "mine" / "estimator").mkdir(parents=True)
    (tmp_path / "mine" / "estimator" / "mine.yaml").write_text("_target_: mine_alone.Mine\n")

    def edit(text):
        (tmp_path / "mine_alone.py").write_text(text)

    def first():
        monkeypatch.syspath_prepend(tmp_path)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # into its log

    def give(*words):
        (tmp_path / "log.txt").unlink(missing_ok=True)
        command = Command(tmp_path, [*TINY, *words], forked=True, first=first)
        assert command.wait(100)
        assert command.status == 0, (tmp_path / "log.txt").read_text()
        return (tmp_path / "log.txt").read_text()

    return edit, give


def test_an_edited_class_of_ones_own_is_measured_anew(mine, tmp_path):
    edit, give = mine

    def noise():
        [marker] = tmp_path.rglob(store.MARKER)
        return store.read(marker.parent)["gradient"]["variance_noise"].to_pylist()

    edit(MODULE.format(factor=1))
    give()
    first = noise()
    edit("# said\n" + MODULE.format(factor=1))
    assert "already done\n" in give()
    edit(MODULE.format(factor=2))
    assert "already done (made by other code)" in give("sweep.retry=keep")
    assert noise() == first
    assert "was made by other code: it is done again." in give()
    second = noise()
    assert second != first
    assert "already done\n" in give()
    [marker] = tmp_path.rglob(store.MARKER)
    tables = {f"{name}.parquet" for name in store.read(marker.parent)}
    assert {file.name for file in marker.parent.iterdir()} == {store.MARKER, "images.npz"} | tables


@pytest.mark.slow
def test_the_pool_does_again_what_other_code_made(mine, tmp_path, monkeypatch):
    edit, give = mine
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = ("-m", "hydra/launcher=pool", "hydra.launcher.n_jobs=2", "seed=0,1")
    edit(MODULE.format(factor=1))
    give(*words)
    edit(MODULE.format(factor=2))
    said = give(*words)
    assert "2 had been made by other code, and done again: " in said
    found = [store.read(marker.parent)["runs"].to_pylist()[0] for marker in tmp_path.rglob(store.MARKER)]
    assert len(found) == 2
    assert len({row["code"] for row in found}) == 1
