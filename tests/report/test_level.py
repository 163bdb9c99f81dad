"""Time to a bound: when a curve passes a level, what a run counts as that never does, and which level that is."""

import numpy as np
import pandas as pd
import pytest

from bench.report.collection.collect import collect, find
from bench.report.collection.compare import comparison
from bench.report.collection.level import median, passage, passages
from bench.report.figures.catalogue import draw
from bench.report.figures.style import looks
from bench.report.page.listing import comparison_listing
from bench.tables.store import write
from tests.support.synthetic_runs import config, runs_row, tables

SECONDS = np.array([0.0, 2.0, 4.0, 8.0])
CURVE = np.stack([[-100.0, -90.0, -92.0, -80.0], SECONDS, 10 * SECONDS], 1)  # bound, seconds, evaluations
COLUMNS = ["level", "level_split", "passed", "seconds_to_level", "evaluations_to_level"]


@pytest.mark.parametrize(
    ("level", "passed", "seconds"),
    [
        (-120.0, True, 0.0),  # before the first step
        (-100.0, True, 0.0),
        (-95.0, True, 1.0),
        (-90.0, True, 2.0),
        (-91.0, True, 1.8),  # the first time, though it falls below again
        (-86.0, True, 6.0),
        (-80.0, True, 8.0),
        (-79.9, False, 8.0),
    ],
)
def test_a_curve_passes_where_it_first_is_at_the_level(level, passed, seconds):
    found = passage(CURVE, level)
    assert found == (passed, pytest.approx({"seconds": seconds, "evaluations": 10 * seconds}))


def test_what_has_no_curve_does_not_pass():
    passed, prices = passage(None, 0.0)
    assert not passed
    assert all(np.isnan(list(prices.values())))


@pytest.mark.parametrize(
    ("values", "passed", "middle"),
    [
        ([1, 2, 3], [1, 1, 1], 2),
        ([1, 2, 9], [1, 1, 0], 2),
        ([9, 2, 1], [1, 1, 0], 9),  # a censored run is later than all that passed, however soon it ended
        ([1, 2, 3], [1, 0, 0], None),
        ([1, 2], [1, 0], None),
        ([1, np.nan], [1, 0], None),
        ([1, 2, np.nan], [1, 1, 1], 1.5),  # a time that is not known
        ([np.nan], [1], None),
    ],
)
def test_a_censored_run_is_later_than_all_that_passed(values, passed, middle):
    found = median(pd.Series(values, dtype=float), pd.Series(passed).astype(bool))
    assert found == middle if middle else np.isnan(found)


def curve(root, name, seed, bounds, split="test", status="done", seconds=1.0, **changes):
    """A run whose bound at the steps 0, 100, ... is this, at so many seconds a hundred steps; 2 evaluations a step."""
    row = runs_row(config(name, "bernoulli", seed, **changes), name, status=status)
    made = tables(row, evaluations=2.0)
    made["objective"] = [
        {"run": row["run"], "seed": seed, "step": 100 * i, "seconds": i * seconds, "split": of, "elbo": bound - shift}
        for i, bound in enumerate(bounds)
        for of, shift in ((split, 0.0), ("train", 300.0))
    ]
    write(root / row["run"], made if status == "done" else {"runs": [row]})


@pytest.fixture
def root(tmp_path):
    """Of rloo both runs pass -90.5, of disarm two of three, of arm one that diverged and one of two."""
    curve(tmp_path, "rloo", 0, [-110, -100, -90])
    curve(tmp_path, "rloo", 1, [-110, -91, -90])
    for seed, final in enumerate((-80, -90, -95)):
        curve(tmp_path, "disarm", seed, [-110, -100, final], seconds=3.0)
    curve(tmp_path, "arm", 0, [-110, -81])
    curve(tmp_path, "arm", 1, [], status="diverged")
    return tmp_path


def compared(root) -> pd.DataFrame:
    return comparison(collect(find([root]))[0]).set_index("label")[COLUMNS]


def test_the_comparison_has_the_medians(root):
    assert len(passages(collect(find([root]))[0])) == 7
    table = compared(root)
    assert set(table.level) == {-90.5}
    assert set(table.level_split) == {"test"}
    assert table.loc["rloo", COLUMNS[2:]].tolist() == pytest.approx([2, (1.95 + 1.5) / 2, 2 * (195 + 150) / 2])
    assert table.loc["disarm", COLUMNS[2:]].tolist() == pytest.approx([2, 3 * 1.95, 2 * 195])
    assert table.loc["arm", "passed"] == 1
    assert np.isnan(table.loc["arm", COLUMNS[3:]].astype(float)).all()


def test_without_the_baseline_the_level_is_of_the_median_configuration(tmp_path):
    for name, final in (("disarm", -70), ("arm", -80), ("rebar", -100)):
        curve(tmp_path, name, 0, [-110, final])
    assert set(compared(tmp_path).level) == {-80.5}


def test_a_validation_split_decides_where_there_is_one(tmp_path):
    for name in ("rloo", "disarm"):
        curve(tmp_path, name, 0, [-110, -90], split="validation")
    table = compared(tmp_path)
    assert set(table.level_split) == {"validation"}
    assert set(table.level) == {-90.5}


def test_the_page_and_the_figure_count_censored_runs(root):
    found = collect(find([root]))[0]
    listing = comparison_listing(comparison(found))
    at = listing.columns.index("s to the level")
    cells = {row[1].text.partition(" ")[0]: (row[at].text, row[at].value) for row in listing.rows}
    assert cells["disarm"] == ("5.85 (2 of 3)", pytest.approx(5.85))
    assert cells["arm"] == ("not reached (1 of 2)", None)
    figure = draw("time_to_level", found, looks(found.units.label), "encoder")
    seconds, evaluations = figure.axes
    assert [t.get_text() for t in seconds.get_yticklabels()] == ["arm (1 of 2)", "disarm (2 of 3)", "rloo"]
    arrows = [line.get_xdata().tolist() for line in seconds.lines if "arrow" in str(line.get_marker())]
    assert [x for x in arrows if x] == [[6.0]]
    assert evaluations.get_xlabel().endswith("until the test bound is -90.5")


def test_a_higher_level_is_never_reached_sooner():
    random = np.random.default_rng(0)
    for _ in range(50):
        walk = np.stack([random.normal(size=9).cumsum(), np.arange(9.0), np.arange(9.0)], 1)
        found = [passage(walk, level) for level in np.linspace(-4, 4, 41)]
        taken = [prices["seconds"] for passed, prices in found if passed]
        assert taken == sorted(taken)
        assert [passed for passed, _ in found] == sorted((p for p, _ in found), reverse=True)
