"""Who is ranked: no one by half of its runs, none across different training, and none by a time that is not certain."""

import numpy as np
import pytest

from bench.report.collection.collect import collect, find
from bench.report.collection.compare import comparison
from bench.report.collection.gradients import priced, relative
from bench.report.collection.pairs import paired, pairs
from bench.report.collection.statistics import log_t_interval
from bench.report.collection.times import TIME_FLOOR, repetition_error, run_error, time_interval, timings
from bench.report.command import main
from bench.report.figures.bias import relative_bias
from bench.report.figures.catalogue import draw
from bench.report.figures.style import looks
from bench.report.page.answer import rankings
from bench.report.page.listing import comparison_listing
from bench.report.page.numbers import bounded
from bench.report.page.statements import cell
from bench.tables.store import write
from tests.support.shared_runs import shared
from tests.support.synthetic_runs import config, place, runs_row, tables


def collected(root):
    return collect(find([root]))[0]


def by_name(root, **options) -> dict:
    return {r.criterion.name: r for r in rankings(collected(root), **options)}


def run(root, name, seed, *, change=lambda table, row: row, status="done", claims=True, **properties) -> None:
    """One run, each row of its tables changed."""
    row = runs_row(config(name, "bernoulli", seed), name, status=status, unbiased=claims)
    made = {table: [change(table, r) for r in rows] for table, rows in tables(row, **properties).items()}
    write(root / row["run"], made)


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


def test_page_and_figures_divide_a_bias_by_the_squared_norm_of_the_reference(tmp_path):
    """Two whose order turns around when each is divided by its own squared norm."""
    for name, bias, norm in (("st", 0.2, 2.0), ("gs", 0.1, 0.2)):

        def change(table, row, bias=bias, norm=norm):
            known = {"bias_sq": bias, "bias_sq_se": 0.001, "norm_sq": norm, "reference_norm_sq": 0.5}
            return row | known if table == "gradient" else row

        run(tmp_path, name, 0, change=change, claims=False)
    found = collected(tmp_path)
    ranking = by_name(tmp_path)["bias"]
    assert [(c.label, round(c.value.mean, 6)) for c in ranking.contenders] == [("gs", 0.2), ("st", 0.4)]
    rows = priced(found).set_index("label")
    for label, value in (("gs", 0.2), ("st", 0.4)):
        assert relative_bias(rows.loc[[label]]).mean == pytest.approx(value)
    [ax] = draw("bias", found, looks(found.units.label), "encoder").axes
    assert [t.get_text() for t in ax.get_yticklabels()][-1] in ("gs", "st")
    assert comparison(found).set_index("label").relative_bias_sq.to_dict() == pytest.approx({"gs": 0.2, "st": 0.4})


def test_without_a_reference_nothing_is_relative(tmp_path):
    run(tmp_path, "rloo", 0, reference=False)
    rows = relative(collected(tmp_path).joined("gradient"))
    assert rows.relative_bias_sq.isna().all()
    assert rows.relative_mse.isna().all()


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_an_estimator_does_not_lead_by_the_runs_that_survived(tmp_path, status):
    for seed in range(5):
        run(tmp_path, "rloo", seed, variance=10.0)
        run(tmp_path, "arm", seed, variance=0.1, status=status if seed > 2 else "done")
    for name in ("variance_x_evaluations", "mse", "bound", "seconds"):
        ranking = by_name(tmp_path)[name]
        assert [c.label for c in ranking.contenders] == ["rloo"]
        assert ranking.behind == [f"arm (2 of 5 runs {status})"]
    asked = by_name(tmp_path, survivors=True)["variance_x_evaluations"]
    assert [(c.label, c.note) for c in asked.contenders] == [("arm", f"2 of 5 runs {status}"), ("rloo", "")]
    assert cell(asked)["note"] == f"2 of 5 runs {status}"
    table = comparison(collected(tmp_path))
    assert table.label.tolist() == ["rloo", "arm"]  # though arm has the better bound
    row = comparison_listing(table).rows[1]
    assert row[1].text == f"arm (2 of 5 runs {status})"
    assert "3 of 5" in [c.text for c in row]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_variance_that_is_no_number_counts_as_none_and_is_said(tmp_path, bad):
    for seed in range(3):

        def change(table, row, seed=seed):
            broken = table == "gradient" and seed == 1 and row["part"] == "encoder"
            return row | {"variance_noise": bad, "mse": None} if broken else row

        run(tmp_path, "arm", seed, variance=0.1, change=change)
        run(tmp_path, "rloo", seed)
    ranking = by_name(tmp_path)["variance_x_evaluations"]
    assert [c.label for c in ranking.contenders] == ["rloo"]
    assert ranking.behind == ["arm (no finite number in 1 of 3 runs)"]
    table = comparison(collected(tmp_path)).set_index("label", drop=False)
    assert (table.seeds["arm"], table.variance_noise_encoder_n["arm"]) == (3, 2)
    assert np.isfinite(table.variance_noise_encoder["arm"])
    shown = {row[1].text: row for row in comparison_listing(table).rows}
    assert any("(2 of 3)" in c.text for c in shown["arm"])


def test_where_all_have_lost_runs_the_page_says_so_beside_each_name(tmp_path):
    for seed in range(4):
        for name, variance in (("rloo", 1.0), ("arm", 2.0)):
            run(tmp_path, name, seed, variance=variance, status="diverged" if seed == 0 else "done")
    ranking = by_name(tmp_path)["variance_x_evaluations"]
    assert [(c.label, c.note) for c in ranking.contenders] == [
        ("rloo", "1 of 4 runs diverged"), ("arm", "1 of 4 runs diverged"),
    ]  # fmt: skip
    assert cell(ranking)["note"]


@pytest.mark.parametrize(
    "change", [{"train__lr": 0.1}, {"train__steps": 200}, {"train__batch_size": 7}, {"threads": 4}, {"device": "cuda"}]
)
def test_unequal_training_is_never_ranked_and_its_keys_are_shown(tmp_path, change):
    for seed in range(3):
        place(tmp_path, config("rloo", "bernoulli", seed), estimator="rloo")
        place(tmp_path, config("arm", "bernoulli", seed, **change), estimator="arm")
    found = rankings(collected(tmp_path))
    assert all(len(r.contenders) == 1 for r in found if r.contenders)
    key, value = next(iter(change.items()))
    words = f"{key.rpartition('__')[2]}={value}"
    assert any(words in r.panel[2] for r in found)
    assert pairs(collected(tmp_path)).empty


def test_every_differing_key_is_shown(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0), estimator="rloo")
    changed = config("arm", "bernoulli", 0, train__lr=0.1, train__steps=50, measure__draws=9)
    place(tmp_path, changed, estimator="arm")
    units = collected(tmp_path).units.set_index("estimator")
    assert units.setting["arm"] == "lr=0.1 steps=50"
    assert units.setting["rloo"] == "lr=0.001 steps=1000"


def test_precision_that_differs_is_shown_and_ranked(tmp_path):
    for name, draws in (("rloo", 100), ("arm", 1000)):
        place(tmp_path, config(name, "bernoulli", 0, measure__draws=draws), estimator=name)
    assert set(collected(tmp_path).units.label) == {"rloo draws=100", "arm draws=1000"}
    assert set(collected(tmp_path).units.setting) == {""}


def test_what_was_varied_on_purpose_is_ranked(tmp_path):
    for name in ("rloo", "arm"):
        for lr in (0.1, 0.01):
            place(tmp_path, config(name, "bernoulli", 0, train__lr=lr), estimator=name)
    found = collected(tmp_path)
    assert set(found.units.setting) == {""}
    assert set(found.units.label) == {f"{n} lr={lr}" for n in ("rloo", "arm") for lr in (0.1, 0.01)}
    place(tmp_path, config("disarm", "bernoulli", 0, train__lr=0.1), estimator="disarm")
    assert set(collected(tmp_path).units.setting) == {"lr=0.1", "lr=0.01"}


def test_a_leader_by_bias_is_more_probably_the_better(tmp_path):
    for i, (bias, error) in enumerate([(0.1, 0.02), (-0.5, 2.0), (0.05, 0.4), (0.12, 0.001)]):

        def change(table, row, bias=bias, error=error):
            return row | {"bias_sq": bias, "bias_sq_se": error} if table == "gradient" else row

        run(tmp_path, f"e{i}", 0, change=change, claims=False)
    ranking = by_name(tmp_path)["bias"]
    assert ranking.contenders[1].probability >= 0.5
    assert ranking.contenders[0].value.mean <= min(c.value.mean for c in ranking.contenders)
    assert all(c.value.low >= 0 for c in ranking.contenders)


@pytest.mark.parametrize("values", [[1e-3, 1e18], [1e-9, 1.0, 1e15]])
def test_exploding_variances_have_too_few_seeds_for_an_interval(values):
    interval = log_t_interval(values)
    assert np.isnan([interval.low, interval.high]).all()
    assert bounded(*interval).endswith(" [too few]")
    found = paired(np.log([values]) - np.log([values[::-1]]))
    assert np.isnan([found["low"][0], found["high"][0]]).all()
    assert "[" not in bounded(*log_t_interval([2.0]))
    assert bounded(*log_t_interval([1.0, 1.1, 1.2])).count("[") == 1


def test_the_first_screen_says_too_few_of_exploding_variances(tmp_path):
    for seed, variance in enumerate((1e-4, 1.0, 1e6)):
        run(tmp_path, "rloo", seed, variance=variance)
        run(tmp_path, "arm", seed, variance=1 / variance)
    for name in ("variance_x_evaluations", "variance_x_seconds"):
        assert cell(by_name(tmp_path)[name])["value"].endswith(" [too few]")


def test_the_command_ranks_survivors_when_asked(tmp_path):
    for seed in range(3):
        run(tmp_path, "arm", seed, variance=0.1, status="diverged" if seed == 2 else "done")
        run(tmp_path, "rloo", seed)
    pages = []
    for words in ([], ["--rank-survivors"]):
        assert main([str(tmp_path), "--only", "final_elbo", *words]) == 0
        pages.append((tmp_path / "report" / "report.html").read_text())
    assert "not ranked: arm (1 of 3 runs diverged)" in pages[0]
    assert "not ranked: arm" not in pages[1]
    assert "--rank-survivors" in pages[1]
    assert "1 of 3 runs diverged" in pages[1]


def test_shared_checkpoints_with_other_tuning_are_not_ranked(tmp_path):
    shared(tmp_path, "rloo")
    shared(tmp_path, "arm", probe__tuning_steps=0)
    found = rankings(collected(tmp_path))
    assert all(len(r.contenders) == 1 for r in found if r.contenders)
