"""Problems inside the harness: measured against exact, trained, written to the same tables."""

import math

import pytest
import torch

from bench.config import plugins
from bench.config.nodes import path
from bench.config.plugins import estimator
from bench.data.batches import Batches
from bench.errors import Impossible
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from bench.problems import Known, problem
from bench.problems.logistic import breast_cancer
from bench.run.experiment import Experiment
from bench.run.rows import due
from bench.run.single import run
from tests.support.runs import config, numbers

BOUND, DRAWS = 4.5, 100_000  # standard errors
ROUNDING = 1e-25
GAUSSIAN = {"mean": 0.7, "std": 1.2}
PROBLEMS = {
    "quadratic": {"name": "gaussian_quadratic", "k": -0.4, **GAUSSIAN},
    "exp": {"name": "gaussian_exp", "k": 1.3, **GAUSSIAN},
    "cosine": {"name": "gaussian_cosine", "k": 1.7, **GAUSSIAN},
    "bit": {"name": "bernoulli_bits", "dim": 1, "t": 0.45, "power": 2.0, "logit": 0.6},
    "bits": {"name": "bernoulli_bits", "dim": 6, "t": 0.4, "power": 1.5, "logit": -0.6},
    "coupled": {"name": "bernoulli_coupled"},
}
SCORE = [("reinforce", {}), ("reinforce_constant", {"value": 0.4}), ("rloo", {"k": 3}), ("vargrad", {"k": 2})]
LINE = [
    *SCORE,
    ("reparam", {"k": 2}),
    ("antithetic", {}),
    ("measure_valued", {}),
    ("measure_valued", {"coupled": False, "k": 2}),
]
BITS = [*SCORE, ("disarm", {}), ("disarm", {"k": 4}), ("straight_through", {})]
PAIRS = [(p, *e) for p in PROBLEMS for e in (LINE if "mean" in PROBLEMS[p] else BITS)]


def measured(made, used, draws: int = DRAWS, batch: int = 1) -> dict[str, dict]:
    """Part -> its row, against what the problem knows."""
    objective, reference = (Objective(made, e, beta=0.0) for e in (used, Known(made.gradient)))
    probe = torch.zeros(1, batch, 1, dtype=torch.float64)
    rows = measure(objective, probe, draws, seed=5, layers=True, reference=reference)
    return {row["part"]: row for row in rows}


@pytest.mark.parametrize(("name", "used", "hyper"), PAIRS)
def test_measured_variances_are_the_exact_ones(name, used, hyper):
    made, used = problem(**PROBLEMS[name]), estimator(used, **hyper)
    found, exact = measured(made, used), made.variances(used, torch.zeros(1, 1, 1))
    assert found.keys() == exact.keys()
    for part, row in found.items():
        noise, error = row["variance_noise"], row["variance_noise_se"]
        if exact[part] < ROUNDING:  # the derivative of the mean of a quadratic, from mirrored pairs
            assert noise < ROUNDING, part
            continue
        assert abs(noise - exact[part]) < BOUND * error, part
        assert error < 0.1 * noise  # so that an error of one half would be seen
        assert abs(1.5 * noise - exact[part]) > BOUND * error
        assert row["reference"] == "exact"
        if used.unbiased:
            assert row["bias_sq"] < BOUND**2 * noise / DRAWS  # the squared error of the mean, in its own unit


def test_the_bias_of_straight_through_on_one_bit_is_the_known_one():
    p = 1 / (1 + math.exp(-0.6))
    known = (p * (1 - p) * (2 * p - 1)) ** 2  # its mean is 2 (p - t) v, and the gradient (1 - 2 t) v
    row = measured(problem(**PROBLEMS["bit"]), estimator("straight_through"))["encoder"]
    assert abs(row["bias_sq"] - known) < BOUND * row["bias_sq_se"]
    assert row["bias_sq"] > BOUND * row["bias_sq_se"]


def test_a_batch_of_examples_has_noise_of_its_own():
    made, used = problem(**PROBLEMS["coupled"]), estimator("rloo", k=2)
    found, exact = measured(made, used, batch=5), made.variances(used, torch.zeros(1, 5, 1))
    for part in ("latent", "encoder"):
        assert abs(found[part]["variance_noise"] - exact[part]) < BOUND * found[part]["variance_noise_se"]


def of(tmp_path, *words: str) -> dict:
    """The tables of a small run."""
    assert run(config(*words), tmp_path).status == "done"
    return numbers(tmp_path)


def test_a_toy_is_a_run_like_any_other(tmp_path):
    words = ("problem=gaussian_quadratic", "estimator=reparam", "measure.layers=true", "dtype=float64")
    words += ("train.batch_size=1", "measure.batches=1", "train.steps=40", "train.lr=0.1", "measure.draws=500")
    found = of(tmp_path / "a", *words)
    assert of(tmp_path / "b", *words) == found
    [about] = found["runs"]
    assert (about["family"], about["status"], about["objective"]) == ("gaussian", "done", "elbo")
    assert {row["part"] for row in found["gradient"]} == {"latent", "encoder", "encoder.mean", "encoder.log_std"}
    assert {row["reference"] for row in found["gradient"]} == {"exact"}
    first = [row for row in found["gradient"] if row["step"] == 0 and row["part"] == "encoder.mean"]
    assert [row["variance_exact"] for row in first] == pytest.approx([4.0])
    start, end = (row["elbo"] for row in found["objective"])
    assert start == pytest.approx(-2)  # k = 0, mean = std = 1
    assert end > -1
    assert {row["split"] for row in found["objective"]} == {"train"}
    assert [(row["evaluations_forward"], row["evaluations_backward"]) for row in found["cost"]] == [(1, 1)] * 2
    trained = [row["variance_exact"] for row in found["gradient"] if row["step"] == 40 and row["part"] == "encoder"]
    assert 0 < trained[0] < 4


def test_a_vae_claims_no_exact_variance(tmp_path):
    found = of(tmp_path, "latent=bernoulli_small")
    assert {row["variance_exact"] for row in found["gradient"]} == {None}
    assert {row["part"] for row in found["gradient"]} == {"latent", "encoder", "decoder"}


def test_bayesian_logistic_regression(tmp_path):
    words = ("problem=logistic_regression", "train.optimiser=sgd", "train.lr=1e-3", "train.momentum=0")
    words += ("estimator=reparam", "estimator.k=5", "train.steps=300", "train.schedule=cosine", "evaluate.samples=300")
    found = of(tmp_path, *words)
    [start, end] = found["objective"]
    assert start["kl"] == pytest.approx(0, abs=1e-6)
    assert end["elbo"] > -400 > -1000 > start["elbo"]
    assert end["elbo"] == pytest.approx(end["reconstruction"] - end["kl"], rel=1e-5)
    assert end["iwae"] > end["elbo"]
    parts = {row["part"]: row for row in found["gradient"] if row["step"] == 0}
    assert parts.keys() == {"latent", "encoder"}
    assert parts["encoder"]["reference"] == "reparam"
    assert parts["encoder"]["variance_data"] > 0  # which rows are in the minibatch matters
    assert parts["encoder"]["variance_exact"] is None


def test_the_rows_of_a_minibatch_share_the_weights():
    data, made = breast_cancer(dtype=torch.float64), problem("logistic_regression")
    assert data.train.shape == (569, 32)
    features, labels = data.train[:, :-1], data.train[:, -1]
    torch.testing.assert_close(features.mean(0)[:30], torch.zeros(30).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(features.std(0, correction=0)[:30], torch.ones(30).double())
    assert bool((features[:, 30] == 1).all())
    assert set(labels.tolist()) == {0.0, 1.0}
    x = next(Batches(data, 8, seed=1))
    assert x.shape == (1, 8 * 32)
    assert data.probe(3, 8, seed=1).shape == (3, 1, 8 * 32)
    weights = torch.randn(4, 2, 1, 31, dtype=torch.float64)
    rows = x.view(8, 32)
    logits = weights @ rows[:, :-1].mT  # [4, 2, 1, 8]
    by_hand = -torch.distributions.Bernoulli(logits=logits).log_prob(rows[:, -1]).sum(-1) * 569 / 8
    torch.testing.assert_close(made.cost(x, weights), by_hand)


@pytest.mark.parametrize("name", ["bernoulli_coupled", "gaussian_cosine", "logistic_regression"])
def test_every_estimator_runs_or_says_why_not(name):
    words = ("measure.draws=2", "measure.reference_draws=2", "measure.batches=1", "evaluate.samples=2")
    refused, base = {}, config(f"problem={name}", *words)
    for option, entry in plugins.registry().items():
        chosen = plugins.complete({"_target_": path(entry.cls)})
        experiment = Experiment(base | {"option": option, "estimator": chosen})
        if reason := experiment.impossible():
            refused[option] = reason
            continue
        for each in due(experiment, 0):
            each.work()
        experiment.train_step()
        assert experiment.trainer.diverged() is None, option
        assert all(math.isfinite(r["norm_sq"]) for r in experiment.rows["gradient"]), option
    assert all(reason.endswith(".") for reason in refused.values())
    assert ("disarm" in refused) == (name != "bernoulli_coupled")
    assert ("reparam" in refused) == (name == "bernoulli_coupled")
    assert "rloo" not in refused


def test_impossible_pairs_and_problems_without_a_prior_are_sentences(tmp_path):
    for words, sentence in (
        (("problem=gaussian_exp", "estimator=disarm"), "disarm does not differentiate gaussian latents"),
        (("problem=bernoulli_bit", "objective.beta=1"), "no prior, hence no KL: set objective.beta=0."),
        (("problem=logistic_regression", "estimator=exact"), "points of this gaussian latent"),
    ):
        with pytest.raises(Impossible, match=sentence):
            run(config(*words), tmp_path)
    with pytest.raises(ValueError, match=r"problem\.k is 0 or more; got -1"):
        run(config("problem=gaussian_exp", "problem.k=-1"), tmp_path)
    with pytest.raises(ValueError, match=r"breast_cancer has 569 training"):
        run(config("problem=logistic_regression", "train.batch_size=600"), tmp_path)
    assert not list(tmp_path.iterdir())
