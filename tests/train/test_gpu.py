"""What only a GPU can show: the same numbers as on the CPU, and clocks that wait for the device."""

import pytest
import torch

from bench.config.identity import identity, replica
from bench.gpu.options import no_waiting
from bench.measure.clock import Rounds, clock_of, interleaved
from bench.run import resume
from bench.run.experiment import Experiment
from bench.run.rows import add_gradient, evaluated
from bench.run.single import run
from bench.run.together import Together
from bench.tables import store
from bench.tables.schema import OWN_TRAINING
from tests.support.gpu_runs import ENGINES, config, words

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none"),
]

PAIRS = [("gaussian", "reparam"), ("bernoulli", "disarm"), ("categorical", "rebar"), ("vq", "vq_straight_through")]


@pytest.mark.parametrize(("family", "estimator"), PAIRS)
def test_a_run_on_the_gpu_writes_its_tables(tmp_path, family, estimator):
    chosen = config("cuda", family, estimator)
    outcome = run(chosen, tmp_path / identity(chosen))
    assert outcome.status == "done", outcome.reason
    found = store.read(tmp_path / identity(chosen))
    assert found["runs"]["device_name"].to_pylist() == [torch.cuda.get_device_name()]
    assert all(row["peak_memory"] > 0 for row in found["cost"].to_pylist())


@pytest.mark.parametrize(("family", "estimator"), PAIRS)
def test_variances_on_both_devices_agree_within_their_errors(family, estimator):
    rows = {}
    for device in ("cpu", "cuda"):
        experiment = Experiment(config(device, family, estimator, "measure.draws=2048", "measure.at=[0]"))
        add_gradient(experiment, 0, OWN_TRAINING, 0, experiment.reference)
        rows[device] = {row["part"]: row for row in experiment.rows["gradient"]}
    for part, on_cpu in rows["cpu"].items():
        on_gpu = rows["cuda"][part]
        for name in ("variance_noise", "norm_sq"):
            error = (on_cpu[f"{name}_se"] ** 2 + on_gpu[f"{name}_se"] ** 2) ** 0.5
            assert abs(on_cpu[name] - on_gpu[name]) < 5 * error + 1e-4 * abs(on_cpu[name]), (part, name)


def test_the_clock_waits_for_the_device():
    a = torch.randn(8192, 8192, device="cuda")
    timing = interleaved({"product": lambda: a @ a}, clock_of(a.device), Rounds(most=5, block=0, warmup=2))["product"]
    assert timing.seconds > 2 * 8192**3 / 2e15  # no device multiplies float32 at 2 PFLOP/s; a launch alone would


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize(("family", "estimator"), ENGINES)
def test_a_graph_trains_like_eager(family, estimator, optimiser):
    found = {}
    for name in ("eager", "graph"):
        experiment = Experiment(config("cuda", family, estimator, f"engine={name}", *words(family, optimiser)))
        with experiment.noise():
            for step in range(12):  # three as they are written, one captured, and replays
                if step == 8:
                    evaluated(experiment, "test")  # other work, with noise of its own, between two replays
                experiment.train_step()
            found[name] = [
                p.detach().clone() for p in (*experiment.model.parameters(), *experiment.estimator.buffers())
            ]
            found[name].append(experiment.trainer.losses[:12].clone())
    for a, b in zip(found["eager"], found["graph"], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["eager", "graph"])
def test_replicas_on_the_gpu_are_runs_alone(name):
    whole = config("cuda", "bernoulli", "rloo", "replicas=3", f"engine={name}")
    configs = [replica(whole, number) for number in range(3)]
    group = Together(configs)
    for _ in range(12):
        group.engine.step()
    for number, chosen in enumerate(configs):
        alone = Experiment(chosen | {"engine": "eager"})
        with alone.noise():
            for _ in range(12):
                alone.train_step()
        together = group.trainer.losses[:12, number]
        torch.testing.assert_close(together, alone.trainer.losses[:12], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("engine", ["eager", "graph"])
def test_a_run_on_the_gpu_continues_where_it_was(tmp_path, monkeypatch, engine):
    chosen = config("cuda", "bernoulli", "nvil", f"engine={engine}", "sweep.checkpoint_seconds=0")
    step = Experiment.train_step

    def interrupted(self):
        if self.trainer.step_count == 10:
            raise KeyboardInterrupt
        step(self)

    assert run(chosen, tmp_path / "a").status == "done"
    monkeypatch.setattr(Experiment, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, tmp_path / "b")
    monkeypatch.undo()
    assert resume.read_state(tmp_path / "b", chosen)["step"] == 10
    assert run(chosen, tmp_path / "b").status == "done"
    elbos = [store.read(tmp_path / name)["objective"]["elbo"].to_pylist() for name in "ab"]
    assert elbos[0] == pytest.approx(elbos[1], rel=1e-4)  # sums on a GPU may come in any order


def test_a_graph_steps_without_waiting_for_the_device():
    experiment = Experiment(config("cuda", "bernoulli", "rloo", "engine=graph"))
    with experiment.noise():
        for _ in range(5):
            experiment.train_step()
        with no_waiting(experiment.device):
            for _ in range(5):
                experiment.train_step()
