"""The signal-to-noise ratio of single parameters, against all gradients held at once and against known ones."""

import math

import numpy as np
import pytest
import torch

from bench.measure.parameters import parameter_snr
from bench.run.experiment import Experiment
from bench.run.rows import due
from bench.streams import own_stream
from estimators import Estimate
from tests.support.small import run_config

RLOO = {"_target_": "estimators.rloo.RLOO", "k": 2}


def test_it_is_the_mean_of_every_noisy_parameters_ratio():
    experiment = Experiment(run_config("bernoulli", RLOO, measure={"reference": "none"}) | {"dtype": "float64"})
    objective, x = experiment.objective, experiment.probe[0]
    x[:, 0] = 0.0  # a pixel that is never there: its weights have no gradient
    found = parameter_snr(objective, x, 30, seed=3)
    gradients: dict[str, list] = {"encoder": [], "decoder": []}
    named = {n: p for n, p in objective.model.named_parameters() if p.requires_grad}
    with own_stream(3, "gradients of parameters"):
        for _ in range(30):
            q = objective.model.encode(x)
            loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
            grads = torch.autograd.grad(loss, list(named.values()))
            for part, held in gradients.items():
                own = [(n[:8] == "encoder.") == (part == "encoder") for n in named]
                inside = [g.flatten() for g, its in zip(grads, own, strict=True) if its]
                held.append(torch.cat(inside).numpy())
    for part, held in gradients.items():
        mean, std = np.mean(held, 0), np.std(held, 0, ddof=1)
        noisy = std > 1e-7
        assert part == "decoder" or 0 < noisy.sum() < len(noisy)
        assert found[part]["snr_parameters"] == pytest.approx((abs(mean[noisy]) / std[noisy]).mean(), rel=1e-9)


class Known:
    """An objective whose encoder's gradient is 1 or 0 plus noise of deviation 2; the decoder's has no noise."""

    def __init__(self, size: int, signal: float):
        self.model = torch.nn.ModuleDict(
            {"encoder": torch.nn.Linear(size, 1, bias=False), "decoder": torch.nn.Linear(2, 1)}
        )
        self.model.encode = lambda x: self.model["encoder"].weight
        self.signal = signal

    def estimate(self, q, x):
        loss = (q * (self.signal + 2 * torch.randn(q.shape))).sum() + self.model["decoder"].weight.sum()
        return Estimate(loss=loss, cost=loss)

    def fixed(self, q):
        return 0.0


@pytest.mark.parametrize(("signal", "expected"), [(1.0, 0.5), (0.0, math.sqrt(2 / (math.pi * 400)))])
def test_known_gradients_have_their_ratio_and_none_without_noise(signal, expected):
    found = parameter_snr(Known(20_000, signal), torch.zeros(1), 400, seed=1)
    assert found.keys() == {"encoder"}
    assert found["encoder"]["snr_parameters"] == pytest.approx(expected, rel=0.02)


def test_it_is_a_column_of_encoder_and_decoder_with_measure_papers_and_moves_nothing():
    for papers in (True, False):
        config = run_config("bernoulli", RLOO, measure={"papers": papers, "reference": "none", "layers": False})
        experiment = Experiment(config)
        before = torch.get_rng_state()
        for one in due(experiment, 0):
            one.work()
        assert torch.equal(before, torch.get_rng_state())
        having = {row["part"] for row in experiment.rows["gradient"] if row.get("snr_parameters") is not None}
        assert having == ({"encoder", "decoder"} if papers else set())
