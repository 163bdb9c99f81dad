"""What was measured at shared checkpoints is never mixed with what was measured along own trajectories."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.report.collection.collect import OWN_TRAJECTORY, collect, find
from bench.report.collection.compare import comparison, to_arrow
from bench.report.command import main
from bench.report.figures.catalogue import AT_CHECKPOINTS, draw
from bench.report.figures.style import looks
from bench.tables.columns import COMPARISON
from bench.tables.schema import OWN_TRAINING
from bench.tables.store import write
from tests.support.shared_runs import ESTIMATORS, shared
from tests.support.synthetic_runs import OF_ONE, config, runs_row, tables


def trajectory(root, seed=0, **changes):
    """An ordinary run of RLOO."""
    row = runs_row(config("rloo", "bernoulli", seed, **changes), "rloo")
    write(root / row["run"], tables(row))


@pytest.fixture
def both(tmp_path):
    """A trajectory, and three estimators at its checkpoint: three seeds."""
    for seed in range(3):
        trajectory(tmp_path / "both", seed)
        for name in ESTIMATORS:
            shared(tmp_path / "both", name, seed)
    return tmp_path / "both"


def collected(root):
    found, problems = collect(find([root]))
    assert problems == []
    return found


def titles(figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes]


def drawn(name, root):
    found = collected(root)
    return draw(name, found, looks(found.units.label), "encoder")


def test_a_row_of_the_comparison_is_of_one_kind(both):
    rows = comparison(collected(both))
    kinds = list(zip(rows.trained_with, rows.checkpoint, rows.label, rows.seeds, strict=True))
    assert sorted(kinds) == [
        (OWN_TRAINING, OWN_TRAJECTORY, "rloo", 3),
        *(("rloo", 1000, name, 3) for name in sorted(ESTIMATORS)),
    ]
    at = rows[rows.trained_with == "rloo"].set_index("label")
    assert at.elbo_test.isna().all()
    gradient = collected(both).tables["gradient"].to_pandas()
    assert at.seconds_gradient.notna().all()
    for name in ESTIMATORS:
        of = gradient[(gradient.trained_with == "rloo") & (gradient.estimator == name) & (gradient.part == "encoder")]
        assert at.variance_noise_encoder[name] == pytest.approx(np.exp(np.log(of.variance_noise).mean()))
    written = to_arrow(rows, COMPARISON)
    assert sorted(written["checkpoint"].to_pylist(), key=str) == [1000, 1000, 1000, None]


@pytest.mark.parametrize("name", [*AT_CHECKPOINTS, *OF_ONE])
def test_no_figure_holds_both(both, name):
    found = titles(drawn(name, both))
    wanted = "bernoulli\nshared checkpoint of rloo, step 1000" if name in AT_CHECKPOINTS else "bernoulli"
    assert set(found) == {wanted}


def test_names_and_points_are_those_of_the_checkpoint(both):
    figure = drawn("shared_variance_vs_seconds", both)
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(name in words for name in ESTIMATORS)
    assert "bars: 95 % by the draws" in figure.axes[0].get_xlabel()
    assert "bars: 95 % over seeds" in drawn("variance_vs_seconds", both).axes[0].get_xlabel()
    assert [t.get_text() for t in drawn("bias", both).axes[0].get_yticklabels()] == ["rloo"]


def test_bars_at_a_checkpoint_are_the_draws_own_error(tmp_path):
    shared(tmp_path, "rloo")
    row = collected(tmp_path).tables["gradient"].to_pandas().set_index("part").loc["encoder"]
    [bar] = drawn("shared_variance_vs_evaluations", tmp_path).axes[0].collections
    [(_, low), (_, high)] = bar.get_segments()[0]
    half = 1.96 * row.variance_noise_se
    assert (low, high) == pytest.approx((row.variance_noise - half, row.variance_noise + half))


def test_checkpoints_are_told_apart_by_their_step_and_trajectory(tmp_path):
    for step in (200, 1000):
        shared(tmp_path, "arm", step=step)
    shared(tmp_path, "arm", trained_with="arm")
    other = {"probe__trajectory__train": {"lr": 0.01}}
    shared(tmp_path, "arm", **other)
    found = titles(drawn("shared_bias", tmp_path))
    assert sorted(found) == [
        "bernoulli, lr=0.001\nshared checkpoint of arm, step 1000",
        "bernoulli, lr=0.001\nshared checkpoint of rloo, step 1000",
        "bernoulli, lr=0.001\nshared checkpoint of rloo, step 200",
        "bernoulli, lr=0.01\nshared checkpoint of rloo, step 1000",
    ]
    assert set(collected(tmp_path).units.label) == {"arm"}


def test_the_steps_of_tuning_are_told_where_they_differ(tmp_path):
    shared(tmp_path, "rloo")
    shared(tmp_path, "rloo", probe__tuning_steps=0)
    assert set(collected(tmp_path).units.label) == {"rloo tuning_steps=0", "rloo tuning_steps=100"}


def test_a_checkpoint_that_an_estimator_cannot_use_is_counted_and_not_drawn(both, capsys):
    shared(both, "arm", seed=3, status="skipped")
    row = comparison(collected(both)).set_index(["trained_with", "label"]).loc["rloo", "arm"]
    assert (row.done, row.skipped, row.seeds) == (3, 1, 3)


def test_the_command_draws_what_there_is_and_no_more(tmp_path, both, capsys):
    only = tmp_path / "only"
    shared(only, "arm")
    shared(only, "rloo")
    for root, wanted in ((only, set(AT_CHECKPOINTS)), (both, set(AT_CHECKPOINTS) | set(OF_ONE))):
        assert main([str(root), "--out", str(tmp_path / "out" / root.name)]) == 0
        out = capsys.readouterr().out
        assert "shared checkpoint of rloo, step 1000" in out
        assert {f.stem for f in (tmp_path / "out" / root.name / "figures").iterdir()} == wanted
        table = pq.read_table(tmp_path / "out" / root.name / "comparison.parquet")
        assert "checkpoint" in table.column_names
    assert main([str(only), "--only", "bias"]) == 0
    assert "Figure bias is left out" in capsys.readouterr().out
