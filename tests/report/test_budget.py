"""The error of an average of M draws: what the figure computes against averages that were really taken."""

import numpy as np
import pandas as pd
import pytest
import torch

from bench.measure.gradient.draws import take
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from bench.report.collection.collect import collect, find
from bench.report.figures import style
from bench.report.figures.budget import DRAWS, budget
from bench.report.figures.catalogue import FIGURES, draw
from estimators.exact import Exact
from estimators.rloo import RLOO
from estimators.straight_through import StraightThrough
from tests.support.loop import one_gradient
from tests.support.small import images, vae
from tests.support.synthetic_runs import config, place

SIZE = 400  # coordinates


def row(**known: float) -> pd.DataFrame:
    """One run with exactly known moments, as a row of `gradient`."""
    return pd.DataFrame([{"bias_sq_se": 0.0} | known])


@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_averages_of_gaussian_gradients(bias):
    noise = np.random.default_rng(0)
    reference = noise.normal(size=SIZE)
    mean, scale = reference + bias * noise.normal(size=SIZE), noise.uniform(0.2, 3, SIZE)
    moments = {"variance_noise": scale @ scale, "norm_sq": mean @ mean, "reference_norm_sq": reference @ reference}
    shift = mean - reference
    known, error, cosine = budget(row(bias_sq=shift @ shift, **moments))
    assert known == len(DRAWS)
    for m in (1, 4, 16):
        average = mean + scale * noise.normal(size=(m, 2000, SIZE)).mean(0)
        distance = np.square(average - reference).sum(1).mean() / (reference @ reference)
        assert error[DRAWS.tolist().index(m)] ** 2 == pytest.approx(distance, rel=0.01)
        angle = average @ reference / np.linalg.norm(average, axis=1) / np.linalg.norm(reference)
        assert cosine[DRAWS.tolist().index(m)] == pytest.approx(angle.mean(), rel=0.01)
    if bias:
        assert error[-1] ** 2 == pytest.approx(shift @ shift / (reference @ reference), rel=0.5)
    else:
        np.testing.assert_allclose(error * np.sqrt(DRAWS), error[0])


@pytest.mark.parametrize("estimator", [RLOO(2), StraightThrough()])
def test_averages_of_draws_of_a_model(estimator):
    """Means of 16 draws, of which there are 32: their squared distance from the exact gradient."""
    torch.manual_seed(0)
    model, x = vae("bernoulli"), images(3)
    objective, m = Objective(model, estimator), 16
    rows = measure(objective, x[None], 32 * 512, seed=1, reference=Objective(model, Exact()))
    (measured,) = (r for r in rows if r["part"] == "encoder")
    exact = one_gradient(Objective(model, Exact()), x)
    tallies = take(objective, x, 32 * m)
    distances, size = np.zeros(32), 0.0
    for name, tally in tallies.items():
        if name.startswith("encoder."):
            vectors = tally.vectors()
            means = vectors[:-1] / tally.counts[:, None] + vectors[-1]
            distances += np.square((means - exact[name]).numpy()).sum(1)
            size += float(exact[name].square().sum())
    _, error, _ = budget(pd.DataFrame([measured]))
    found = distances.mean() / size
    assert abs(error[DRAWS.tolist().index(m)] ** 2 - found) < 4 * distances.std(ddof=1) / np.sqrt(32) / size
    assert measured["reference_norm_sq"] == pytest.approx(size)


def test_a_bias_that_may_be_none_counts_as_none_and_says_from_where():
    moments = {"variance_noise": 100.0, "norm_sq": 1.3, "reference_norm_sq": 1.0}
    known, error, cosine = budget(row(bias_sq=0.5, bias_sq_se=0.3, **moments))
    assert known == 7  # 100 / 64 > 0.5 + 1.96 * 0.3 > 100 / 128
    np.testing.assert_allclose(error, np.sqrt(100 / DRAWS))
    np.testing.assert_allclose(cosine, 1 / np.sqrt(1 + 100 / DRAWS))
    known, error, _ = budget(row(bias_sq=0.7, bias_sq_se=0.3, **moments))
    assert known == len(DRAWS)
    np.testing.assert_allclose(error, np.sqrt(0.7 + 100 / DRAWS))


def test_an_exact_gradient_has_no_error():
    _, error, cosine = budget(row(bias_sq=1e-14, variance_noise=0.0, norm_sq=1.0, reference_norm_sq=1.0))
    np.testing.assert_array_equal(error, 0)
    np.testing.assert_array_equal(cosine, 1)


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_fails_where_all_gradients_are_exact(tmp_path, name):
    """It is drawn, or says what there is none of."""
    place(tmp_path, config("exact", "bernoulli", 0), estimator="exact", variance=0.0, bias=0.0)
    found = collect(find([tmp_path]))[0]
    figure = draw(name, found, style.looks(found.units.label), "encoder")
    assert not str(figure).startswith("it cannot be drawn")
    if name == "error_vs_budget":
        assert figure == "there is no error of the part encoder: noise and bias are 0"
