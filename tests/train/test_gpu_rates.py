"""The trainings that are compared on a GPU have numbers to compare."""

import pytest

from bench.run.experiment import Experiment
from tests.support.gpu_runs import ENGINES, config, words


@pytest.mark.parametrize(("family", "estimator"), ENGINES)
def test_the_trainings_that_a_gpu_compares_stay_finite(family, estimator):
    experiment = Experiment(config("cpu", family, estimator, *words(family, "sgd")))
    with experiment.noise():
        for _ in range(12):
            experiment.train_step()
    losses = experiment.trainer.losses[:12]
    assert losses.isfinite().all()
    assert losses.unique().numel() == 12  # they move
