"""Whole runs: the same command gives the same numbers, and what goes wrong becomes a row."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from hydra import compose, initialize_config_dir

from bench.config import plugins
from bench.config.identity import identity
from bench.files import CONF
from bench.run.single import run
from bench.tables import store
from bench.train.trainer import Trainer
from tests.support.packages import ROOT
from tests.support.runs import SMALL, config, numbers


@pytest.mark.parametrize(
    ("family", "estimator"),
    [("gaussian", "reparam"), ("bernoulli", "rebar"), ("categorical", "nvil"), ("vq", "vq_straight_through")],
)
def test_two_runs_of_one_config_give_identical_tables(tmp_path, family, estimator):
    chosen = config(f"latent={family}_small", f"estimator={estimator}", "seed=3")
    for name in ("a", "b"):
        torch.randn(5)  # whatever happened before in this process
        assert run(chosen, tmp_path / name).status == "done"
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    other = config(f"latent={family}_small", f"estimator={estimator}", "seed=4")
    run(other, tmp_path / "c")
    assert numbers(tmp_path / "a")["gradient"] != numbers(tmp_path / "c")["gradient"]


@pytest.mark.parametrize("stream", ["model", "data", "estimator", "measure"])
def test_every_seed_moves_its_own_stream_alone(tmp_path, stream):
    both = {}
    for name, words in (("a", ()), ("b", (f"seeds.{stream}=9",))):
        run(config("latent=bernoulli_small", *words), tmp_path / name)
        both[name] = numbers(tmp_path / name)
    start = {n: [r["elbo"] for r in rows["objective"] if r["step"] == 0] for n, rows in both.items()}
    assert (start["a"] == start["b"]) == (stream == "estimator")  # at step 0 only training noise has had no say
    end = {n: [r["elbo"] for r in rows["objective"] if r["step"] == 12] for n, rows in both.items()}
    assert end["a"] != end["b"]


def test_tables_say_what_was_asked(tmp_path):
    chosen = config("latent=bernoulli_small", "estimator=rebar", "measure.layers=true", "measure.reference=auto")
    run(chosen, tmp_path)
    found = store.read(tmp_path)
    [row] = found["runs"].to_pylist()
    assert json.loads(row["config"]) == chosen
    assert row["run"] == identity(chosen)
    gradient = found["gradient"].to_pylist()
    assert {r["step"] for r in gradient} == {0, 12}
    assert {r["reference"] for r in gradient} == {"exact"}
    assert {"latent", "encoder", "decoder", "encoder.net.0", "decoder.net.4"} <= {r["part"] for r in gradient}
    assert {r["split"] for r in found["objective"].to_pylist()} == {"train", "validation", "test"}
    costs = {r["what"]: r for r in found["cost"].to_pylist()}
    assert (costs["gradient"]["evaluations_forward"], costs["gradient"]["evaluations_backward"]) == (3, 2)


def test_a_loss_that_becomes_nan_is_recorded_with_its_step(tmp_path, monkeypatch):
    step = Trainer.step

    def poisoned(self):
        if self.step_count == 7:
            with torch.no_grad():
                self.learned[0].fill_(float("nan"))
        step(self)

    monkeypatch.setattr(Trainer, "step", poisoned)
    outcome = run(config(), tmp_path)
    assert outcome.status == "diverged"
    assert re.search(r"step 7\b", outcome.reason)
    assert store.read(tmp_path)["runs"]["status"].to_pylist() == ["diverged"]


def test_an_exception_in_training_is_a_row_with_a_traceback(tmp_path, monkeypatch):
    def broken(self):
        raise RuntimeError("the disk of the moon is full")

    monkeypatch.setattr(Trainer, "step", broken)
    outcome = run(config(), tmp_path)
    assert outcome.status == "failed"
    assert "moon" in outcome.reason
    assert "RuntimeError" in (tmp_path / "traceback.txt").read_text()
    monkeypatch.undo()
    assert run(config(), tmp_path).status == "done"
    assert not (tmp_path / "traceback.txt").exists()


def test_a_killed_run_leaves_nothing_half_written_and_is_done_again(tmp_path):
    words = [*SMALL, "train.steps=100000", "evaluate.at=[0]", "measure.at=[0]", f"output={tmp_path}", "name=k"]
    command = [sys.executable, "-m", "bench", *words]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    time.sleep(6)
    assert process.poll() is None, "it should be training still"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob(store.MARKER))
    again = [*words, "train.steps=12", "evaluate.at=[0,1]", "measure.at=[0,1]"]
    assert subprocess.run([sys.executable, "-m", "bench", *again], cwd=ROOT, check=False).returncode == 0
    [directory] = [marker.parent for marker in (tmp_path / "k").rglob(store.MARKER)]  # the killed one left its claim
    assert store.read(directory)["runs"]["status"].to_pylist() == ["done"]


EXPERIMENTS = sorted(p.stem for p in (ROOT / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(name):
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        composed = compose("config", [f"experiment={name}"], return_hydra_config=True)
    assert composed.name == name
    params = composed.hydra.sweeper.params or {}  # none: one run, or the trajectory of a probe
    for estimator in params.get("estimator", composed.hydra.runtime.choices.estimator).split(","):
        for latent in params.get("latent", "").split(","):
            words = [f"experiment={name}", f"estimator={estimator}", *([f"latent={latent}"] if latent else [])]
            config(*words, "train.warmup=0")  # checks every value; the steps are few


def test_the_readme_runs():
    [snippet] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    scope: dict = {}
    exec(snippet, scope)
    assert scope["logits"].grad.shape == (1, 3)
    assert scope["logits"].grad.abs().sum() > 0


@pytest.mark.parametrize("field", ["loss", "cost", "tuning"])
def test_an_estimator_that_returns_the_wrong_shape_is_named(tmp_path, monkeypatch, field):
    from estimators.rloo import RLOO

    forward = RLOO.forward

    def wrong(self, q, cost, x):
        estimate = forward(self, q, cost, x)
        return estimate._replace(**{field: estimate.loss.sum()})

    monkeypatch.setattr(RLOO, "forward", wrong)
    with pytest.raises(ValueError, match=f"rloo breaks the interface: {field} has the shape"):
        run(config(), tmp_path)
