"""The diagram of critical differences: its ranks, its width, and that it waits for six problems."""

import numpy as np
import pytest
from scipy import stats

from bench.report.collection.collect import collect, find
from bench.report.figures import style
from bench.report.figures.catalogue import draw
from bench.report.figures.critical import groups, mean_ranks
from bench.report.figures.marks import marks
from tests.support.synthetic_runs import config, place


def test_the_width_is_nemenyis():
    """Demsar 2006, table 5: 2.343 standard errors for three classifiers, 2.728 for five."""
    for k, critical in ((3, 2.343), (5, 2.728)):
        width = mean_ranks(np.random.default_rng(0).normal(size=(10, k)))[1]
        assert width == pytest.approx(critical * np.sqrt(k * (k + 1) / 60), rel=1e-3)


def test_equals_are_seldom_told_apart():
    random, wrong, n = np.random.default_rng(0), 0, 1000
    for _ in range(n):
        mean, width = mean_ranks(random.normal(size=(8, 6)))
        wrong += np.ptp(mean) > width
    assert wrong / n < stats.binom.ppf(0.999, n, 0.05) / n


def test_groups_are_the_longest_stretches():
    assert groups(np.array([1.0, 1.5, 2.0, 4.0, 4.2]), 0.6) == [(0, 1), (1, 2), (3, 4)]
    assert groups(np.array([1.0, 3.0]), 0.5) == []


@pytest.mark.parametrize("problems", [5, 6])
def test_it_waits_for_six_problems(tmp_path, problems):
    for problem in range(problems):
        for name, variance in (("rloo", 1.0), ("arm", 9.0), ("disarm", 3.0)):
            resolved = config(name, "bernoulli", 0, latent__dim=10 + problem)
            place(tmp_path, resolved, estimator=name, variance=variance)
    found = collect(find([tmp_path]))[0]
    figure = draw("critical_difference", found, style.looks(found.units.label), "encoder")
    if problems < 6:
        assert figure == "there is no noise of rloo on 6 problems or more"
    else:
        ranks = {p.label: p.x for p in marks(figure).points}
        assert sorted(ranks, key=ranks.__getitem__) == ["rloo", "disarm", "arm"]
