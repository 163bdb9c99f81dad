"""Moving averages of the gradient along the training, as papers report them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench.measure.moving import DECAY, MovingMoments
from tests.support.small import run_config
from tests.support.trainers import trained

RLOO = {"_target_": "estimators.rloo.RLOO", "k": 2}


class Model(nn.Module):
    """Three parameters in the encoder, two outside, one of which learns nothing."""

    def __init__(self):
        super().__init__()
        self.decoder = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.encoder = nn.Linear(3, 1, bias=False).double()
        self.frozen = nn.Parameter(torch.zeros(7), requires_grad=False)


def moved(steps: int) -> tuple[MovingMoments, np.ndarray]:
    """After some steps with known gradients `[steps, 5]`, the encoder's first."""
    model = Model()
    moments, gradients = MovingMoments(model, 50), np.random.default_rng(0).normal(1, 2, (steps, 5))
    for g in gradients:
        model.encoder.weight.grad, model.decoder.grad = torch.tensor(g[None, :3]), torch.tensor(g[3:])
        moments.update()
    return moments, gradients


@pytest.mark.parametrize("steps", [2, 300])
def test_the_columns_are_bias_corrected_weighted_means(steps):
    moments, g = moved(steps)
    weights = DECAY ** np.arange(steps)[::-1]
    weights /= weights.sum()
    variance = weights @ g**2 - (weights @ g) ** 2  # [5]
    encoder, decoder = moments.columns("encoder"), moments.columns("decoder")
    assert encoder["ema_variance"] == pytest.approx(variance[:3].mean(), rel=1e-9)
    assert decoder["ema_variance"] == pytest.approx(variance[3:].mean(), rel=1e-9)
    for row in (encoder, decoder):
        assert row["ema_variance_log"] == pytest.approx(math.log(row["ema_variance"]))
        assert row["ema_variance_sum"] == pytest.approx(2500 * row["ema_variance"])
        assert row["ema_variance_all"] == pytest.approx(variance.mean(), rel=1e-9)


def test_after_few_steps_it_is_too_small_by_the_sum_of_the_squared_weights():
    steps = 20
    weights = DECAY ** np.arange(steps) / (DECAY ** np.arange(steps)).sum()
    noise = torch.Generator().manual_seed(1)
    model = nn.ModuleDict({"encoder": nn.Linear(40_000, 1, bias=False)})
    moments = MovingMoments(model, 1)
    for _ in range(steps):
        model["encoder"].weight.grad = 3 * torch.randn(1, 40_000, generator=noise)
        moments.update()
    found = moments.columns("encoder")["ema_variance"]
    assert found == pytest.approx(9 * (1 - (weights**2).sum()), rel=0.01)
    assert found != pytest.approx(9, rel=0.03)


def test_there_is_nothing_before_the_first_step_nor_for_other_parts():
    assert moved(0)[0].columns("encoder") == {}
    assert moved(3)[0].columns("latent") == moved(3)[0].columns("encoder.net.0") == {}


def test_a_parameter_without_gradient_had_a_gradient_of_zero():
    moments, _ = moved(5)
    moments.parameters[0].grad = None
    mean = moments.means[0].clone()
    moments.update()
    torch.testing.assert_close(moments.means[0], DECAY * mean)


def test_a_run_has_the_columns_where_asked_and_trains_as_without():
    rows, states = {}, {}
    for averaged in (True, False):
        experiment, states[averaged] = trained(run_config("bernoulli", RLOO, measure={"papers": averaged}))
        rows[averaged] = experiment.rows["gradient"]
    torch.testing.assert_close(states[True], states[False], rtol=0, atol=0)
    having = {(row["step"], row["part"]) for row in rows[True] if "ema_variance" in row}
    assert having == {(step, part) for step in (6, 12) for part in ("encoder", "decoder")}
    of_papers = ("ema", "snr_parameters")
    assert not any(key.startswith(of_papers) for row in rows[False] for key in row)
    without = [{k: v for k, v in row.items() if not k.startswith(of_papers)} for row in rows[True]]
    assert repr(without) == repr(rows[False])


def test_the_gradient_taken_in_is_that_of_the_step():
    """At a learning rate of zero the parameters stay, so the average estimates the variance of one gradient."""
    train = {"lr": 1e-12, "tuning_lr": 1e-12, "steps": 400}
    measure = {"at": [1], "draws": 400, "batches": 60, "batch_size": 8, "papers": True, "reference": "none"}
    experiment, _ = trained(run_config("bernoulli", RLOO, train=train, measure=measure, evaluate={"at": []}))
    (row,) = (row for row in experiment.rows["gradient"] if row["part"] == "encoder")
    size = sum(p.numel() for p in experiment.model.encoder.parameters())
    weights = DECAY ** np.arange(400) / (DECAY ** np.arange(400)).sum()
    assert size * row["ema_variance"] / (1 - (weights**2).sum()) == pytest.approx(row["variance"], rel=0.15)
