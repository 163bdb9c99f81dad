"""What a job returns to a sweeper that maximises: the validation bound, never that of the test split."""

import math

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from bench import cli
from bench.run.ending import Ending
from bench.sweep.job import Endings
from bench.sweep.launchers import make_known
from bench.tables.result import result_of
from tests.support.tuned_runs import DISAGREE, Tuned

PLACE = "hydra_plugins.planted"
OF = []


class Maximiser(Sweeper):
    """Keeps the learning rate whose job returned the largest number, as Optuna's sweeper would."""

    def setup(self, *, hydra_context, task_function, config):
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments):
        jobs = [[*arguments, f"train.lr={lr}"] for lr in (1e-4, 1e-3, 1e-2)]
        self.validate_batch_is_legal(jobs)
        returned = self.launcher.launch(jobs, initial_job_idx=0)
        OF.append(max(returned, key=lambda one: float(one.return_value)).overrides[-1])


@pytest.fixture
def tune(tmp_path, monkeypatch):
    return Tuned(tmp_path / "out", monkeypatch)


def test_a_sweeper_that_maximises_takes_the_endings_for_a_number(tune, monkeypatch):
    make_known(PLACE, Maximiser)
    node, options = {"_target_": f"{PLACE}.Maximiser"}, ConfigStore.instance().repo["hydra"]
    monkeypatch.setitem(options, "sweeper", dict(options["sweeper"]))  # which other tests list
    ConfigStore.instance().store(group="hydra/sweeper", name="planted", node=node, provider="tests")
    small = ["device=cpu", "train.steps=10", f"output={tune.output}", "latent=gaussian_small", "estimator=reparam"]
    assert cli.main(["-m", "hydra/sweeper=planted", *small]) == 0
    assert OF.pop() == "train.lr=0.001"


def test_a_run_that_ended_badly_is_the_worst(tune):
    tune.ends = lambda config: Ending("diverged", "It went.", step=3)
    cli.main(["device=cpu", "train.steps=10", f"output={tune.output}", "latent=gaussian_small", "estimator=reparam"])
    [place] = [path for path in (tune.output / "runs").iterdir() if path.is_dir()]
    for status in ("failed", "diverged", "skipped"):
        assert float(Endings([Ending(status, "It broke.", place)])) == -math.inf
    assert float(Endings()) == float(Endings([Ending("failed", "No directory.")])) == -math.inf
    assert math.isnan(result_of(place, "validation").bound)


def test_what_a_run_says_of_its_bounds(tune):
    tune.wobble = lambda lr: 1.0
    words = ["device=cpu", "train.steps=10", "train.lr=1e-2", "latent=gaussian_small", "estimator=reparam"]
    assert cli.main([*words, f"output={tune.output}"]) == 0
    [place] = [path for path in (tune.output / "runs").iterdir() if path.is_dir()]
    for split, bound in (("validation", -101.0), ("train", 0.0)):
        found = result_of(place, split)
        assert (found.status, found.bound, found.error) == ("done", pytest.approx(bound), 0.1)
        assert found.spread == pytest.approx(1.0)  # of +1, -1 and 0, not of the start
        assert found.test == pytest.approx(DISAGREE["test"](1e-2))
