"""The figure of the bias against the temperature: what is drawn where, and that the temperature splits no panel."""

import numpy as np
import pytest

from bench.report.collection.collect import collect, find
from bench.report.command import main
from bench.report.figures import style
from bench.report.figures.catalogue import draw
from bench.report.figures.temperature import FLOOR
from bench.tables.store import write
from tests.support.synthetic_runs import STEPS, config, runs_row, tables

NAME = "bias_vs_temperature"
TEMPERATURES = (0.1, 1.0, 3.0)


def place(root, estimator, temperature, seed=0, *, bias, error=1e-4, norm=0.5, steps=STEPS, **changes):
    """One run whose encoder gradient has this squared bias, as a fraction of its reference, at every step."""
    resolved = config(estimator, "vq", seed, latent__temperature=temperature, **changes)
    row = runs_row(resolved, estimator)
    made = tables(row)
    made["gradient"] = [
        observed | {"reference_norm_sq": norm, "bias_sq": bias * norm, "bias_sq_se": error * norm}
        | {"cosine": 1 - bias / 4, "cosine_se": 1e-3}
        for observed in made["gradient"] if observed["step"] in steps
    ]  # fmt: skip
    write(root / row["run"], made)


def drawn(root, part="encoder"):
    found = collect(find([root]))[0]
    return draw(NAME, found, style.looks(found.units.label), part)


def curves(ax, estimators):
    """Estimator -> x and y of its line; they are drawn in alphabetical order, and no other line has a slope."""
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
    return {name: line.get_xydata() for name, line in zip(sorted(estimators), lines, strict=True)}


@pytest.fixture
def sweep(tmp_path):
    for i, temperature in enumerate(TEMPERATURES):
        for seed in (0, 1):
            place(tmp_path, "straight_through", temperature, seed, bias=0.1 * (i + 1) + 0.02 * seed, norm=0.5 + seed)
            place(tmp_path, "rloo", temperature, seed, bias=1e-5, error=1e-3)
    return tmp_path


def test_bias_and_cosine_at_the_first_and_at_the_last_step(sweep):
    axes = drawn(sweep).axes
    assert [ax.get_title() for ax in axes] == ["vq, step 0", "vq, step 1000"] * 2
    assert [ax.get_ylabel().split()[0] for ax in axes] == ["relative", "relative", "cosine", "cosine"]
    assert {ax.get_xscale() for ax in axes} == {"log"}
    assert [ax.get_yscale() for ax in axes] == ["log", "log", "linear", "linear"]
    assert {tuple(label.get_text() for label in ax.get_xticklabels()) for ax in axes} == {("0.1", "1", "3")}


def test_the_points_are_means_over_seeds_of_the_ratio(sweep):
    for ax, expected in zip(drawn(sweep).axes, [(0.11, 0.21, 0.31)] * 2 + [(0.9725, 0.9475, 0.9225)] * 2, strict=True):
        points = curves(ax, ["straight_through", "rloo"])["straight_through"]
        np.testing.assert_allclose(points.T, [TEMPERATURES, expected], rtol=1e-9)


def test_the_bars_are_the_error_of_the_draws(sweep):
    _, bars = drawn(sweep).axes[0].collections
    half = 1.96 * 1e-4 / 2**0.5
    expected = [[mean - half, mean + half] for mean in (0.11, 0.21, 0.31)]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], expected)


def test_a_bias_that_the_draws_cannot_see_is_a_bound(sweep):
    ax = drawn(sweep).axes[0]
    assert np.isnan(curves(ax, ["straight_through", "rloo"])["rloo"][:, 1]).all()
    assert len(ax.texts) == len(TEMPERATURES)  # an arrow each
    tops = sorted(arrow.xyann[1] for arrow in ax.texts)
    np.testing.assert_allclose(tops, [1e-5 + 1.96 * 1e-3 / 2**0.5] * 3)


def test_no_bias_and_no_noise_is_a_bound_too(tmp_path):
    for temperature in TEMPERATURES:
        place(tmp_path, "rloo", temperature, bias=0.0, error=0.0)
        place(tmp_path, "straight_through", temperature, bias=0.3, error=float("nan"))  # one draw knows no error
    ax = drawn(tmp_path).axes[0]
    assert [arrow.xyann[1] for arrow in ax.texts] == [FLOOR] * 3
    np.testing.assert_allclose(curves(ax, ["straight_through", "rloo"])["straight_through"][:, 1], 0.3)
    assert ax.get_ylim()[0] > FLOOR / 100


def test_a_bias_over_a_reference_that_is_zero_to_rounding_stretches_no_axis(sweep):
    place(sweep, "vq_straight_through", 1.0, bias=1e9, norm=1e-54)
    place(sweep, "vq_straight_through", 3.0, bias=1e63, norm=1e-54)
    figure = drawn(sweep)
    style.contents(figure)
    for ax in figure.axes[:2]:
        low, high = ax.get_ylim()
        assert low < 1e-3 < 1e9 < high < 1e12
        assert ax.get_xlabel().endswith("\n1 of 8 points outside")


def test_only_the_temperature_splits_no_panel(sweep):
    for temperature in TEMPERATURES:
        place(sweep, "rloo", temperature, bias=0.1, latent__codes=8)
        place(sweep, "rloo", temperature, bias=0.1, latent__codes=16)
    titles = [ax.get_title() for ax in drawn(sweep).axes]
    assert len(titles) == 12
    assert len(set(titles)) == 6
    assert not any("temperature" in words for words in titles)
    assert sum("codes=8," in words for words in titles) == 4
    settings = collect(find([sweep]))[0].units.setting
    assert settings.str.contains("temperature=").all()  # in every other figure it does


def test_one_step_is_one_pair(tmp_path):
    for temperature in TEMPERATURES:
        place(tmp_path, "rloo", temperature, bias=0.1, steps=(0,))
    assert [ax.get_title() for ax in drawn(tmp_path).axes] == ["vq, step 0"] * 2


def test_one_temperature_above_0_is_no_figure(tmp_path, capsys):
    for temperature in (0.0, 1.0):
        place(tmp_path, "rloo", temperature, bias=0.1)
    assert main([str(tmp_path)]) == 0
    missing = "there is no bias_sq of the part encoder at several values of latent.temperature"
    assert f"Figure {NAME} is left out: {missing}.\n" in capsys.readouterr().out
    place(tmp_path, "rloo", 2.0, bias=0.1)
    assert not isinstance(drawn(tmp_path), str)
    assert isinstance(drawn(tmp_path, "layer 7"), str)


def test_a_collection_without_temperatures_is_no_figure(tmp_path):
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    write(tmp_path / "run", tables(row))
    assert isinstance(drawn(tmp_path), str)


def test_the_figure_is_the_same_bytes_again(sweep, tmp_path):
    written = []
    for name in ("a", "b"):
        assert main([str(sweep), "--only", NAME, "--out", str(tmp_path / name)]) == 0
        written.append([(tmp_path / name / "figures" / f"{NAME}.{kind}").read_bytes() for kind in ("svg", "png")])
    assert written[0] == written[1]
