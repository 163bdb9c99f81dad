"""Tunings in the report: order statistics, the rows `tuned`, what is no row, and the figures."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.report import command
from bench.report.collection.collect import collect, find
from bench.report.collection.compare import comparison
from bench.report.collection.orders import expected_best
from bench.report.figures import style
from bench.report.figures.catalogue import FIGURES, draw
from bench.report.figures.tuning import best_of, lowest, tried
from bench.tables import tuning
from tests.support.synthetic_runs import TUNED, config, place
from tests.support.tuned_runs import rows

RATES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
TEMPERATURES = (0.5, 2.0, 1.0, 0.3, 0.7)
BOUNDS = (-120.0, -100.0, -101.0, -103.0, None)


# What a smaller budget would have found


@pytest.mark.parametrize(
    "bounds", [[1.0], [3.0, 1.0, 2.0], [0.0, 0.0, -5.0, 7.5, 2.0], list(np.linspace(-3, 8, 7) ** 2)]
)
def test_the_expected_best_is_the_mean_over_all_choices(bounds):
    budgets, means = expected_best(bounds)
    assert list(budgets) == list(range(1, len(bounds) + 1))
    for n, mean in zip(budgets, means, strict=True):
        assert mean == pytest.approx(np.mean([max(chosen) for chosen in combinations(bounds, int(n))]))


def test_a_point_without_a_bound_is_worse_than_all_others():
    nan, bounds = float("nan"), [2.0, 5.0, 3.0]
    budgets, means = expected_best([2.0, nan, 5.0, nan, 3.0])
    assert list(budgets) == [3, 4, 5]  # two points may both be without one
    everything = [-np.inf, -np.inf, *bounds]
    assert means == pytest.approx([np.mean([max(c) for c in combinations(everything, n)]) for n in (3, 4, 5)])
    assert [len(part) for part in expected_best([nan, nan])] == [0, 0]


def test_the_expected_best_is_unbiased_for_points_drawn_independently():
    """E max of n uniform numbers is n / (n + 1), whatever N they were picked from; z-test over 4,000 tunings. Choosing
    with replacement is biased, which the same test sees."""
    random, total, tunings = np.random.default_rng(0), 8, 4000
    drawn = random.uniform(size=(tunings, total))
    estimates = np.array([expected_best(points)[1] for points in drawn])
    for n in (1, 2, 4, 8):
        found = estimates[:, n - 1]
        z = (found.mean() - n / (n + 1)) / (found.std(ddof=1) / tunings**0.5)
        assert abs(z) < 4
    ranks = np.arange(1, total + 1) / total
    biased = np.sort(drawn) @ (ranks**4 - (ranks - 1 / total) ** 4)
    assert abs(biased.mean() - 4 / 5) > 4 * biased.std(ddof=1) / tunings**0.5


# Runs of a tuning among others


def tuned(root: Path, name="gumbel_softmax", seeds=(1, 2, 3)) -> dict[float, str]:
    """Points of one seed, of which the second is chosen, and its runs with fresh seeds; the run at each rate."""
    points, again = {}, {}
    for rate, temperature, bound in zip(RATES, TEMPERATURES, BOUNDS, strict=True):
        hyper = {"train__lr": rate, "train__tuning_lr": rate, "estimator__temperature": temperature}
        about = {"lr": rate, "temperature": temperature, "bound": bound, "chosen": rate == 1e-3}
        about["values"] = f"train.lr={rate} estimator.temperature={temperature}"
        run = place(root, config(name, "bernoulli", 0, **hyper), estimator=name)
        points[run] = about | {"status": "done" if bound else "diverged"}
        for seed in seeds if rate == 1e-3 else ():
            fresh = place(root, config(name, "bernoulli", seed, **hyper), estimator=name)
            again[fresh] = about | {"seed": seed, "role": "fresh", "point": 1}
    tuning.write(root / f"tuning_{name}.parquet", [*rows(name, points), *rows(name, again)])
    return {about["lr"]: run for run, about in points.items()}


@pytest.fixture
def two(tmp_path):
    """A folder with two tuned estimators, whose rates differ, and an untuned one."""
    tuned(tmp_path, "gumbel_softmax")
    tuned(tmp_path, "reinmax")
    for seed in (0, 1, 2):
        place(tmp_path, config("arm", "bernoulli", seed), estimator="arm")
    return tmp_path


def test_the_comparison_has_the_fresh_runs_and_no_point(two):
    found, problems = collect(find([two]))
    compared = comparison(found).set_index("label")
    assert problems == []
    assert {name: (row.tuned, row.seeds) for name, row in compared.iterrows()} == {
        "gumbel_softmax tuned": (True, 3), "reinmax tuned": (True, 3), "arm": (False, 3)
    }  # fmt: skip
    assert found.tables["runs"].num_rows == 19  # the tables have every run
    assert compared.setting["gumbel_softmax tuned"] == compared.setting["reinmax tuned"]  # ranked against each other


def test_an_estimator_at_another_rate_is_not_ranked_against_tuned_ones(two):
    place(two, config("rloo", "bernoulli", 0, train__lr=0.5, train__tuning_lr=0.5))
    settings = comparison(collect(find([two]))[0]).set_index("label").setting
    assert settings["rloo"] != settings["reinmax tuned"]


def test_a_tuning_that_is_not_at_its_end_is_a_sweep_like_any_other(tmp_path):
    tuned(tmp_path, seeds=())
    found = collect(find([tmp_path]))[0]
    assert len(found.units) == 5
    assert not found.units.tuned.any()
    assert (
        draw("bound_vs_lr", found, style.looks(found.units.label), "encoder") == "there is no tuning that is at its end"
    )


def test_every_point_has_its_bound_and_the_chosen_one_is_marked(two):
    points = tried(collect(find([two]))[0])
    assert len(points) == 10
    of = points[points.label == "reinmax tuned"].set_index("lr")
    assert of.bound.to_dict() == pytest.approx(
        dict(zip(RATES, [-120.0, -100.0, -101.0, -103.0, np.nan], strict=True)), nan_ok=True
    )
    assert list(of.index[of.chosen]) == [1e-3]


def test_a_point_that_lost_a_seed_has_no_bound(tmp_path):
    runs = tuned(tmp_path)
    other = rows("gumbel_softmax", {runs[1e-3]: {"lr": 1e-3, "bound": None, "point": 1, "seed": 9}}, status="failed")
    [file] = tmp_path.glob(tuning.PATTERN)
    again = [row | {"seed": 9, "run": runs[1e-2]} if row["point"] == 2 else row for row in tuning.read(file)]
    tuning.write(file, [row for row in again if row["role"] == "fresh" or row["point"] != 1] + other)
    points = tried(collect(find([tmp_path]))[0]).set_index("point")
    assert np.isnan(points.bound[1])
    assert points.bound[0] == -120


@pytest.mark.parametrize("name", TUNED)
def test_the_figures_are_drawn(two, name):
    found = collect(find([two]))[0]
    figure = draw(name, found, style.looks(found.units.label), "encoder")
    assert name in FIGURES
    assert not isinstance(figure, str), figure
    words = " ".join(ax.get_xlabel() for ax in figure.axes)
    assert ("2 points without a bound" in words) == (name == "bound_vs_lr")
    if name == "best_vs_budget":
        [line] = [
            line
            for line in figure.axes[0].lines
            if line.get_color() == style.looks(found.units.label)["reinmax tuned"].colour
        ]
        assert list(line.get_xdata()) == [2, 3, 4, 5]
        assert line.get_ydata()[-1] == -100


def test_a_curve_is_the_hull_of_points_that_each_have_a_rate_of_their_own():
    two = pd.DataFrame({"lr": [1e-4, 1e-3, 1e-2, 1e-1, 1.0], "bound": [-9.0, -8.0, -1.0, np.nan, -4.0]})
    rates, bounds = best_of(two.assign(values="train.lr=1 estimator.k=2"))
    assert (rates.tolist(), bounds.tolist()) == ([1e-4, 1e-2, 1.0], [-9, -1, -4])
    assert best_of(two.assign(values="train.lr=1"))[1].tolist() == [-9, -8, -1, -4]
    grid = pd.concat([two, two - [0, 5]]).assign(values="train.lr=1 estimator.k=2")
    assert best_of(grid)[1].tolist() == [-9, -8, -1, -4]


def test_hopeless_points_do_not_press_the_others_together(two):
    points = tried(collect(find([two]))[0])
    assert lowest(points) == pytest.approx(-102 - 1.5 * 2)
    assert lowest(points.assign(bound=np.nan)) == 0


def test_a_report_keeps_the_tuning_and_is_read_again(two, tmp_path_factory, capsys):
    out, again = (tmp_path_factory.mktemp("report") / name for name in ("first", "second"))
    assert command.main([str(two), "--out", str(out), "--only", "bound_vs_lr"]) == 0
    assert command.main([str(out), "--out", str(again), "--only", "bound_vs_lr"]) == 0
    first, second = (tuning.read(folder / tuning.IN_REPORT) for folder in (out, again))
    assert first == second
    assert len(first) == 16
    assert (again / "figures" / "bound_vs_lr.svg").is_file()
    assert "reinmax tuned" in capsys.readouterr().out


def test_a_damaged_tuning_is_one_line_and_its_runs_are_as_without_it(two):
    (two / "tuning_reinmax.parquet").write_bytes(b"PAR1")
    found, problems = collect(find([two]))
    assert len(problems) == 1
    assert "tuning_reinmax.parquet is damaged" in problems[0]
    assert set(found.units.label[found.units.tuned]) == {"gumbel_softmax tuned"}
