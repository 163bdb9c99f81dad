"""The figure of the variance against a problem's parameter: points measured, lines exact."""

import numpy as np
import pytest

from bench.report.collection.collect import collect, find
from bench.report.command import main
from bench.report.figures import style
from bench.report.figures.catalogue import draw
from bench.report.figures.panels import MOST_PANELS
from bench.tables.store import write
from tests.support.synthetic_runs import runs_row, tables

NAME = "variance_vs_parameter"
KS = (0.1, 1.0, 10.0)


def config(estimator, seed, **parameters):
    return {
        "estimator": {"_target_": f"estimators.{estimator}"}, "problem": parameters, "train": {"steps": 0},
        "objective": {"beta": 0.0}, "seed": seed, "name": "toys", "output": "outputs",
    }  # fmt: skip


def place(root, estimator, seed=0, *, noise=2.0, exact=1.9, steps=(0, 100), **parameters):
    """One run of a problem whose encoder gradient has this noise, twice as much at each later step."""
    resolved = config(estimator, seed, **parameters)
    row = runs_row(resolved | {"latent": {"family": "gaussian"}}, estimator)
    made = tables(row)
    made["gradient"] = [
        r | {"variance_noise": noise * 2 ** steps.index(r["step"]), "variance_noise_se": 0.1, "variance_exact": exact}
        for r in made["gradient"] if r["step"] in steps
    ]  # fmt: skip
    write(root / row["run"], made)


def drawn(root, part="encoder"):
    found = collect(find([root]))[0]
    return draw(NAME, found, style.looks(found.units.label), part)


@pytest.fixture
def sweep(tmp_path):
    for k in KS:
        for seed in (0, 1):
            place(tmp_path, "reparam", seed, noise=k + seed, exact=k + 0.5, name="gaussian_exp", k=k)
        place(tmp_path, "rebar", noise=3.0, exact=None, name="gaussian_exp", k=k)
        place(tmp_path, "exact", noise=0.0, exact=0.0, name="gaussian_exp", k=k)
        place(tmp_path, "antithetic", noise=1e-30, exact=1e-31, name="gaussian_exp", k=k)
        place(tmp_path, "reparam", noise=3.0, exact=3.1, name="gaussian_cosine", k=k)
    return tmp_path


def test_points_are_measured_and_lines_exact_at_the_first_step(sweep):
    cosine, exponential = drawn(sweep).axes
    assert [ax.get_title() for ax in (cosine, exponential)] == ["gaussian, gaussian_cosine", "gaussian, gaussian_exp"]
    assert {ax.get_xlabel() for ax in (cosine, exponential)} == {"k"}
    assert {(ax.get_xscale(), ax.get_yscale()) for ax in (cosine, exponential)} == {("log", "log")}
    *silent, rebar, reparam, line = exponential.lines
    assert [len(points.get_xdata()) for points in silent] == [0, 0]  # no noise, or that of the arithmetic
    np.testing.assert_allclose(rebar.get_xydata().T, [KS, (3, 3, 3)])
    np.testing.assert_allclose(reparam.get_xydata().T, [KS, np.array(KS) + 0.5])  # the mean of two seeds
    np.testing.assert_allclose(line.get_xydata().T, [KS, np.array(KS) + 0.5])
    assert (reparam.get_linestyle(), line.get_marker()) == ("None", "None")
    look = style.looks(["antithetic", "exact", "rebar", "reparam"])["reparam"]
    assert (line.get_color(), line.is_dashed()) == (look.colour, bool(look.dashes)) == ("#D55E00", True)
    bars = exponential.collections[-1].get_segments()
    half = 1.96 * 0.1 / 2**0.5
    np.testing.assert_allclose([s[:, 1] for s in bars], [[k + 0.5 - half, k + 0.5 + half] for k in KS])


def test_the_parameter_with_the_most_values_is_the_axis_and_the_others_split(tmp_path):
    for t in (0.45, 0.49, 0.499):
        for dim in (1, 10):
            place(tmp_path, "rloo", name="bernoulli_bits", t=t, dim=dim)
    axes = drawn(tmp_path).axes
    assert [ax.get_title() for ax in axes] == [f"gaussian, bernoulli_bits dim={dim}" for dim in (1, 10)]
    assert {ax.get_xlabel() for ax in axes} == {"t"}
    assert {ax.get_xscale() for ax in axes} == {"linear"}


def test_of_two_with_as_many_values_that_which_leaves_fewer_settings(tmp_path):
    for t in (0.45, 0.49, 0.499):
        for dim, power in ((1, 2.0), (10, 2.0), (128, 3.0)):
            place(tmp_path, "rloo", name="bernoulli_bits", t=t, dim=dim, power=power)
    axes = drawn(tmp_path).axes
    assert {ax.get_xlabel() for ax in axes} == {"t"}
    assert len(axes) == 3  # against dim, the power would leave no line for the third


def test_one_value_is_no_figure_and_neither_is_a_vae(tmp_path, capsys):
    place(tmp_path, "rloo", name="gaussian_exp", k=1.0)
    assert main([str(tmp_path)]) == 0
    missing = "there is no variance of the part encoder at several values of a parameter"
    assert f"Figure {NAME} is left out: {missing}.\n" in capsys.readouterr().out
    place(tmp_path, "rloo", name="vae")
    assert drawn(tmp_path) == missing
    place(tmp_path, "rloo", name="gaussian_exp", k=2.0)
    assert not isinstance(drawn(tmp_path), str)
    assert isinstance(drawn(tmp_path, "decoder"), str)


def test_more_panels_than_anyone_looks_at_are_left_out(tmp_path):
    for k in range(MOST_PANELS + 1):
        place(tmp_path, "rloo", name="gaussian_exp", k=float(k))
    found = collect(find([tmp_path]))[0]
    looks = style.looks(found.units.label)
    assert draw("bias", found, looks, "encoder") == f"it would have {MOST_PANELS + 1} panels, more than {MOST_PANELS}"
    assert len(drawn(tmp_path).axes) == 1
