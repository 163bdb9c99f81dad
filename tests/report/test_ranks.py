"""Table `ranks`: over problems, how wide an interval must be and how often a verdict is wrong, by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.report.collection.collect import collect, find
from bench.report.collection.ranks import (
    QUANTITIES,
    TENTH,
    beats,
    compared,
    differences,
    effect,
    holm,
    interval,
    judged,
    ranks,
)
from bench.report.command import main
from tests.support.synthetic_runs import ESTIMATORS, collection

NOISE = QUANTITIES[0]


def drawn(random, problems, seeds, between, within, mu=0.0) -> list[np.ndarray]:
    """Differences of each problem."""
    return [mu + random.normal(0, between) + random.normal(0, within, seeds) for _ in range(problems)]


@pytest.mark.parametrize(("problems", "between"), [(2, 0.5), (4, 0.0), (4, 0.5), (8, 2.0), (1, 0.0)])
def test_intervals_over_problems_cover(problems, between):
    random, hits, n = np.random.default_rng(problems), 0, 2000
    for _ in range(n):
        low, high = interval(effect(drawn(random, problems, 3, between, 0.3, mu=1.0)))
        hits += low <= 1.0 <= high
    assert hits / n > 0.95 - 3 * math.sqrt(0.05 * 0.95 / n)


def test_intervals_over_seeds_alone_would_not_cover():
    """The control: problems that differ, taken for one sample of seeds."""
    random, hits, n = np.random.default_rng(0), 0, 1000
    for _ in range(n):
        low, high = interval(effect([np.concatenate(drawn(random, 4, 3, 1.0, 0.3))]))
        hits += low <= 0 <= high
    assert hits / n < 0.8


@pytest.mark.parametrize("mu", [0.0, TENTH, -TENTH, 1.5 * TENTH])
@pytest.mark.parametrize("spread", [0.02, 0.1, 1.0])
def test_false_verdicts_are_rare(mu, spread):
    """Eight estimators of one truth, against one baseline whose noise they share."""
    true = "equal" if abs(mu) <= TENTH else "better" if mu < 0 else "worse"
    random, wrong, n = np.random.default_rng(5), 0, 400
    for _ in range(n):
        base = random.normal(0, spread, (5, 3))
        found = {("p", i): {"base": np.zeros(3)} for i in range(5)}
        for j in range(8):
            own = mu + random.normal(0, spread, (5, 3)) - base
            for i in range(5):
                found["p", i][f"e{j}"] = own[i]
        words = {row["verdict"] for row in compared(found, NOISE, "base")}
        wrong += bool(words - {"undecided", true})
    assert wrong / n < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


def test_on_the_edge_of_the_region_equal_is_rare_too():
    random, wrong, n = np.random.default_rng(1), 0, 1500
    for _ in range(n):
        of = [effect(drawn(random, 6, 3, 0.02, 0.02, mu=TENTH)) for _ in range(4)]
        wrong += any(word == "equal" for _, word in judged(of, NOISE))
    assert wrong / n < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


@pytest.mark.parametrize(("mu", "word"), [(0.0, "equal"), (-1.0, "better"), (1.0, "worse")])
def test_clear_cases_are_decided(mu, word):
    random = np.random.default_rng(2)
    assert judged([effect(drawn(random, 6, 3, 0.01, 0.01, mu=mu))], NOISE)[0][1] == word
    assert judged([effect(drawn(random, 2, 3, 3.0, 0.1, mu=mu))], NOISE)[0][1] == "undecided"
    bound = QUANTITIES[2]  # of which more is better
    expected = {"better": "worse", "worse": "better", "equal": "equal"}[word]
    assert judged([effect(drawn(random, 6, 3, 0.01, 0.01, mu=2 * mu))], bound)[0][1] == expected


def test_the_probability_of_a_new_problem_is_calibrated():
    """Where it says 80 to 100 %, the estimator wins on a new problem about that often."""
    random, said, came = np.random.default_rng(3), [], []
    for _ in range(6000):
        mu = random.normal(0, 3)
        p = beats(effect(drawn(random, 4, 3, 1.0, 0.1, mu)))
        said.append(p)
        came.append(drawn(random, 1, 3, 1.0, 0.1, mu)[0].mean() < 0)
    said, came = np.array(said), np.array(came)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        chosen = (said >= low) & (said < high)
        assert abs(said[chosen].mean() - came[chosen].mean()) < 0.06


def test_holm_has_known_values():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, np.nan])), [0.03, 0.06, 0.06, np.nan])
    assert holm(np.array([])).shape == (0,)


def test_nothing_is_said_where_there_is_nothing_to_judge_by():
    assert np.isnan(interval(effect([np.array([0.3])]))).all()
    assert judged([effect([np.array([0.3])])], NOISE)[0][1] == "undecided"
    assert np.isnan(beats(effect([np.array([0.3, 0.2, 0.1])])))


SEVERAL = tuple(e for e in ESTIMATORS if e[0] in ("rloo", "disarm", "straight_through"))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    root = tmp_path_factory.mktemp("three")
    collection(root, families=("bernoulli", "categorical", "vq"), estimators=SEVERAL)
    return root


def test_the_table_is_that_of_the_rows(three):
    found = collect(find([three]))[0]
    table = ranks(found)
    assert set(table.baseline) == {"rloo k=2"}
    row = table[(table.quantity == "variance_x_evaluations") & (table.label == "disarm")].iloc[0]
    _, apart = differences(found, NOISE)
    means = [of["disarm"].mean() for of in apart.values()]
    assert (len(means), row.problems) == (3, 3)
    assert row.value == pytest.approx(math.exp(np.mean(means)))
    half = stats.t.ppf(0.975, 2) * np.std(means, ddof=1) / math.sqrt(3)
    assert math.log(row.high / row.value) >= half * (1 - 1e-9)
    assert table[table.quantity == "bound"].label.iloc[0] in {"disarm", "rloo k=4"}  # the best first


def test_the_baseline_is_settable(three, capsys):
    out = ["--only", "ratio_to_baseline", "--out", str(three / "out")]
    assert main([str(three), "--baseline", "nobody", *out]) == 2
    words = "no run is of 'nobody'; there are disarm, rloo, straight_through."
    assert capsys.readouterr().err == f"python -m bench.report: --baseline: {words}\n"
    assert main([str(three), "--baseline", "disarm", *out]) == 0
    import pyarrow.parquet as pq

    table = pq.read_table(three / "out" / "ranks.parquet").to_pandas()
    assert set(table.baseline) == {"disarm"}
    assert set(table.label) == {"rloo k=2", "rloo k=4", "straight_through"}
    assert (three / "out" / "figures" / "ratio_to_baseline.svg").is_file()
