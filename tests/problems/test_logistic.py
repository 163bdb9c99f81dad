"""Bayesian logistic regression against integrals: a row's logit is Gaussian under q, so the ELBO needs no sample."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.problems import problem
from bench.problems.logistic import breast_cancer
from bench.run.experiment import Experiment
from tests.support.runs import config

OPTIMUM = -67.463  # nats, told in docs/problems.md
NODES = 24


def integrated(mean: torch.Tensor, log_std: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """E log p(labels | w) - KL(q || N(0, I)) over all rows `[N, 32]`, by Gauss-Hermite sums over each row's logit."""
    noise, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(NODES))
    features, labels = rows[:, :-1], rows[:, -1:]
    spread = (features**2 @ (2 * log_std).exp()).sqrt()
    logits = (features @ mean)[:, None] + spread[:, None] * noise  # [N, NODES]
    likelihood = ((labels * logits - F.softplus(logits)) @ (weights / weights.sum())).sum()
    return likelihood - 0.5 * (mean**2 + (2 * log_std).exp() - 2 * log_std - 1).sum()


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return breast_cancer(dtype=torch.float64).train


@pytest.fixture(scope="module")
def best(rows) -> torch.Tensor:
    """q.params `[62]` of the largest ELBO."""
    params = torch.zeros(62, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([params], max_iter=70, history_size=30, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = -integrated(*params.chunk(2), rows)
        value.backward()
        return value

    optimiser.step(loss)
    assert params.grad.norm() < 0.01
    return params.detach()


def test_the_largest_elbo_is_the_documented_one_and_the_cost_agrees(rows, best):
    assert float(integrated(*best.chunk(2), rows)) == pytest.approx(OPTIMUM, abs=0.0005)
    made, x = problem("logistic_regression"), rows.flatten()[None]
    for params in (best, torch.zeros_like(best)):
        q = made.encode(x).with_params(params[None])
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            costs = made.cost(x, q.sample(4000)).squeeze(-1)
        found, error = -costs.mean() - q.kl().squeeze(), costs.std() / len(costs) ** 0.5
        assert abs(found - integrated(*params.chunk(2), rows)) < 4.5 * error


def test_the_measured_gradient_is_that_of_the_integrals(rows):
    words = ("problem=logistic_regression", "estimator=reparam", "dtype=float64", "measure.batches=1")
    experiment = Experiment(config(*words, "train.batch_size=569", "measure.batch_size=569", "estimator.k=300"))
    params = torch.zeros(62, dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(-integrated(*params.chunk(2), rows), params)
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        found = torch.stack([torch.cat(gradient(experiment)) for _ in range(20)])
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() < 5.5 * error + 1e-9).all()  # t of 19, 62 coordinates
    assert (exact.abs() > 5.5 * error).sum() > 30  # so that a wrong factor would be seen


def gradient(experiment: Experiment) -> list[torch.Tensor]:
    """Of the mean loss over all rows, with respect to mean and log std."""
    model, objective, x = experiment.model, experiment.objective, experiment.probe[0]
    q = model.encode(x)
    loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
    return [g.flatten() for g in torch.autograd.grad(loss, list(model.encoder.parameters()))]
