"""Who is ranked: no one by half of its runs, and all by the same divisor."""

import numpy as np
import pytest

from bench.report.collection.compare import comparison
from bench.report.collection.gradients import priced, relative
from bench.report.collection.pairs import paired
from bench.report.collection.statistics import log_t_interval
from bench.report.command import main
from bench.report.figures.bias import relative_bias
from bench.report.figures.catalogue import draw
from bench.report.figures.style import looks
from bench.report.page.listing import comparison_listing
from bench.report.page.numbers import bounded
from bench.report.page.statements import cell
from tests.support.ranked_runs import by_name, collected, run


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
