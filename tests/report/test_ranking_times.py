"""Times are ranked by no more than their error allows: that of repetitions, that of runs, and a floor."""

import numpy as np
import pytest

from bench.report.collection.compare import comparison
from bench.report.collection.pairs import pairs
from bench.report.collection.times import TIME_FLOOR, repetition_error, run_error, time_interval, timings
from bench.report.figures.catalogue import draw
from bench.report.figures.style import looks
from bench.tables.store import write
from tests.support.ranked_runs import by_name, collected, run
from tests.support.synthetic_runs import config, runs_row, tables


def timed(factor: float, quartiles: float = 0.01):
    """The same gradient and the same work, timed a factor slower, with narrow quartiles."""

    def change(table, row):
        if table == "gradient":
            return row | {"variance_noise": 1.0, "variance_noise_se": 1e-4}
        if table == "cost":
            seconds = 1e-3 * factor
            about = {"seconds_q1": seconds * (1 - quartiles), "seconds_q3": seconds * (1 + quartiles)}
            return row | {"seconds": seconds, "repetitions": 100} | about
        return row

    return change


@pytest.mark.parametrize("factor", [1.0, 1.05, 1.2])
def test_identical_work_ties_at_a_shared_checkpoint(tmp_path, factor):
    for name, times in (("arm", 1.0), ("rloo", factor)):
        origin = {"trained_with": "rloo", "step": 1000, "digest": "0", "trajectory": {"seeds": {"model": 0}}}
        row = runs_row(config(name, "bernoulli", 0, probe=origin), name)
        change = timed(times)
        made = {table: [change(table, r) for r in rows] for table, rows in tables(row).items() if table != "objective"}
        made["gradient"] = [g | {"trained_with": "rloo"} for g in made["gradient"] if g["step"] == 1000]
        write(tmp_path / row["run"], made)
    found = by_name(tmp_path)
    for criterion in ("variance_x_seconds", "seconds"):
        assert found[criterion].by_draws
        assert len(found[criterion].ties) == 1
        assert found[criterion].contenders[1].probability < 0.975


@pytest.mark.parametrize(("factor", "ties"), [(1.1, 1), (3.0, 0)])
def test_times_are_told_apart_by_more_than_another_process_changes(tmp_path, factor, ties):
    """Along own trajectories, three seeds whose times agree to a thousandth."""
    for seed in range(3):
        for name, times in (("arm", 1.0), ("rloo", factor)):
            run(tmp_path, name, seed, change=timed(times * (1 + 1e-3 * seed)))
    found = by_name(tmp_path)
    for criterion in ("variance_x_seconds", "seconds"):
        assert len(found[criterion].ties) == ties
    [row] = pairs(collected(tmp_path)).to_dict("records")
    assert (row["variance_x_seconds_separated"] is True) == (not ties)
    assert (row["variance_x_seconds_low"] <= 1 <= row["variance_x_seconds_high"]) == bool(ties)


def test_the_error_of_a_time_is_that_of_its_repetitions_of_its_runs_and_a_floor(tmp_path):
    for seed, factor in enumerate((1.0, 1.5)):
        run(tmp_path, "rloo", seed, change=timed(factor, quartiles=0.2))
    run(tmp_path, "arm", 0, change=timed(1.0, quartiles=0.9))
    cost = timings(collected(tmp_path))
    cost = cost[cost.what == "gradient"].sort_values(["label", "seconds"]).reset_index(drop=True)  # arm, rloo, rloo
    within = 1.2533 * 2 * np.array([0.9, 0.2, 0.2]) / 1.349 / np.sqrt(100)
    between = np.std(np.log([1.0, 1.5]), ddof=1)
    np.testing.assert_allclose(repetition_error(cost), within, rtol=1e-3)
    np.testing.assert_allclose(run_error(cost), between)
    np.testing.assert_allclose(cost.seconds_error, np.fmax(within, between), rtol=1e-3)
    given = cost.assign(seconds_se=[0.5e-3, np.nan, np.nan])  # a table that has the error itself
    np.testing.assert_allclose(repetition_error(given), [0.5, *within[1:]], rtol=1e-3)
    alone = time_interval(cost.iloc[:1].assign(seconds_error=0.0))
    assert np.log(alone.high / alone.mean) == pytest.approx(1.96 * TIME_FLOOR)
    row = comparison(collected(tmp_path)).set_index("label").loc["rloo"]
    assert row.seconds_gradient_low < row.seconds_gradient < row.seconds_gradient_high
    half = np.log(row.variance_x_seconds_high / row.variance_x_seconds)
    assert half > np.log(row.seconds_gradient_high / row.seconds_gradient) - 1e-12


def test_the_figure_of_time_has_bars_both_ways(tmp_path):
    for seed in range(3):
        run(tmp_path, "rloo", seed, change=timed(1.0))
    found = collected(tmp_path)
    [ax] = draw("variance_vs_seconds", found, looks(found.units.label), "encoder").axes
    assert len(ax.collections) == 2
