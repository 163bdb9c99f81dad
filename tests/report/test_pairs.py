"""Estimators against each other, paired by seed."""

import numpy as np
import pytest
from scipy import stats

from bench.report.collection.collect import collect, find
from bench.report.collection.compare import comparison, to_arrow
from bench.report.collection.pairs import paired, pairs
from bench.tables.columns import PAIRS, QUANTITIES
from bench.tables.store import write
from tests.support.synthetic_runs import ESTIMATORS, collection, config, runs_row, tables

SOME = tuple(e for e in ESTIMATORS if e[0] in ("arm", "exact", "rloo", "straight_through"))


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    collection(root, families=("bernoulli", "vq"), estimators=SOME)
    return collect(find([root]))[0]


def test_interval_and_probability_are_those_of_the_paired_t_test():
    noise = np.random.default_rng(0)
    a, b = noise.normal(0.3, 1, (4, 6)), noise.normal(0, 1, (4, 6))
    found = paired(a - b)
    for i in range(4):
        test = stats.ttest_rel(a[i], b[i])
        interval = test.confidence_interval(0.95)
        row = [found[k][i] for k in ("ratio", "low", "high")]
        np.testing.assert_allclose(np.log(row), [(a[i] - b[i]).mean(), interval.low, interval.high], rtol=1e-10)
        below = stats.ttest_rel(a[i], b[i], alternative="greater").pvalue
        assert found["probability"][i] == pytest.approx(below, rel=1e-10)
    opposite = paired(b - a)
    np.testing.assert_allclose(found["probability"] + opposite["probability"], 1, rtol=1e-12)
    np.testing.assert_allclose(found["ratio"] * opposite["ratio"], 1, rtol=1e-12)


def test_the_probability_is_that_of_the_posterior():
    d, noise = np.array([-0.5, 0.1, -0.2, -0.4]), np.random.default_rng(1)
    n, draws = len(d), 400_000
    variance = (n - 1) * d.var(ddof=1) / noise.chisquare(n - 1, draws)  # given the data, under the flat prior
    mean = d.mean() + np.sqrt(variance / n) * noise.normal(size=draws)
    assert paired(d[None])["probability"][0] == pytest.approx((mean < 0).mean(), abs=0.004)


def test_what_the_seeds_share_is_taken_out():
    noise = np.random.default_rng(2)
    shared, own = noise.normal(0, 3, (200, 5)), noise.normal(0, 0.1, (2, 200, 5))
    found = paired(shared + own[0] + np.log(1.5) - (shared + own[1]))
    covered = (found["low"] < 1.5) & (found["high"] > 1.5)
    assert 0.91 < covered.mean() < 0.99
    assert np.median(found["high"] / found["low"]) < 2


def test_few_seeds_and_ties():
    nan = np.nan
    found = paired(np.array([[0.5, nan, nan], [nan, nan, nan], [0.2, 0.2, 0.2], [0.0, 0.0, nan], [-1.0, -1.0, -1.0]]))
    assert found["seeds"].tolist() == [1, 0, 3, 2, 3]
    np.testing.assert_allclose(found["ratio"], np.exp([0.5, nan, 0.2, 0.0, -1.0]))
    np.testing.assert_allclose(found["probability"], [nan, nan, 0, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(found["low"], np.exp([nan, nan, 0.2, 0.0, -1.0]))


def test_a_missing_seed_is_left_out():
    d = np.array([[0.5, np.nan, 0.1, -0.3]])
    for name, value in paired(d).items():
        assert value[0] == pytest.approx(paired(d[:, [0, 2, 3]])[name][0])


def test_the_rows_of_a_sweep(collected):
    table = pairs(collected)
    assert list(table.columns) == list(PAIRS)
    arrow = to_arrow(table, PAIRS)
    assert [field.type for field in arrow.schema] == [column.type for column in PAIRS.values()]
    per_family = table.groupby("family").size()
    assert per_family.to_dict() == {"bernoulli": 10, "vq": 6}  # arm was skipped on vq
    assert (table.A < table.B).all()
    gradient, units = collected.tables["gradient"].to_pandas(), collected.units
    row = table[(table.family == "bernoulli") & (table.A == "rloo k=2") & (table.B == "straight_through")].iloc[0]
    logs = []
    for label in (row.A, row.B):
        runs = units[(units.family == "bernoulli") & (units.label == label)].sort_values("seed").run
        last = gradient[(gradient.step == 1000) & (gradient.part == "encoder")].set_index("run").variance_noise
        logs.append(np.log(last[runs].to_numpy()))
    test = stats.ttest_rel(*logs)
    assert np.log(row.variance_noise_ratio) == pytest.approx(np.mean(logs[0] - logs[1]))
    assert np.log(row.variance_noise_low) == pytest.approx(test.confidence_interval(0.95).low)
    assert row.variance_noise_probability == pytest.approx(stats.t.sf(test.statistic, 2))
    assert row.variance_noise_seeds == 3
    assert row.variance_x_evaluations_ratio == pytest.approx(2 * row.variance_noise_ratio)
    seconds = comparison(collected).set_index(["family", "label"]).seconds_gradient
    expected = row.variance_noise_ratio * seconds["bernoulli", row.A] / seconds["bernoulli", row.B]
    assert row.variance_x_seconds_ratio == pytest.approx(expected, rel=0.1)  # medians there, each run's own here


def test_no_variance_has_no_ratio(collected):
    rows = pairs(collected)
    exact = rows[(rows.A == "exact") | (rows.B == "exact")]
    for name in QUANTITIES:
        assert exact[f"{name}_ratio"].isna().all()
        assert (exact[f"{name}_seeds"] == 0).all()


def test_problems_are_never_mixed(tmp_path):
    for seed in (0, 1):
        for name, variance in (("arm", 4.0), ("rloo", 2.0)):
            for data in ("digits", "mnist"):
                row = runs_row(config(name, "bernoulli", seed, data__name=data), name)
                write(tmp_path / row["run"], tables(row, variance * (1 + (data == "mnist"))))
    table = pairs(collect(find([tmp_path]))[0])
    assert list(zip(table.setting, table.A, table.B, strict=True)) == [
        ("digits", "arm", "rloo"),
        ("mnist", "arm", "rloo"),
    ]
    assert (table.variance_noise_seeds == 2).all()


def test_an_invalid_timing_leaves_the_other_ratios(tmp_path):
    for name in ("arm", "rloo"):
        for seed in (0, 1):
            row = runs_row(config(name, "bernoulli", seed), name)
            made = tables(row)
            made["cost"] = [timed | {"valid": False} for timed in made["cost"]]
            write(tmp_path / row["run"], made)
    (row,) = pairs(collect(find([tmp_path]))[0]).to_dict("records")
    assert (row["variance_noise_seeds"], row["variance_x_evaluations_seeds"], row["variance_x_seconds_seeds"]) == (
        2,
        2,
        0,
    )


def test_nothing_measured_is_an_empty_table(tmp_path):
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    write(tmp_path / "run", {"runs": [row]})
    arrow = to_arrow(pairs(collect(find([tmp_path]))[0]), PAIRS)
    assert (arrow.num_rows, arrow.column_names) == (0, list(PAIRS))
