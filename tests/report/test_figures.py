"""The figures of the report: looks that differ, names that do not overlap, and few data."""

import re
from itertools import combinations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bench.config.plugins import presets, registry
from bench.report.collection.collect import collect, find
from bench.report.figures import style
from bench.report.figures.catalogue import draw
from bench.report.figures.curves import LEAVES, limits
from bench.report.figures.marks import marks, series_of
from tests.support.synthetic_runs import OF_ONE, SOME, collection, config, place


def test_no_two_estimators_look_alike_whatever_their_order():
    names = [f"estimator_{i:02d}" for i in range(88)]
    looks = style.looks(names)
    assert len({(looks[name].colour, looks[name].marker) for name in names}) == 88
    assert style.looks(reversed(names)) == looks
    many = [*style.KNOWN, *names, *(f"rloo k={k}" for k in range(40))]
    looks = style.looks(many)
    assert len({(looks[name].colour, looks[name].marker) for name in many}) == len(many)  # more than there are pairs
    assert style.looks(reversed(many)) == looks


@pytest.mark.parametrize("name", ["rloo", "zgr", "vimco"])
@pytest.mark.parametrize("others", [(), ("arm", "disarm"), ("a_plugin", "rloo_own", "zz k=2"), style.KNOWN])
def test_an_estimator_looks_the_same_in_every_report(name, others):
    alone = style.looks([name])[name]
    assert style.looks([name, *others])[name] == alone
    varied = style.looks([f"{name} k=2", f"{name} k=4", *(o for o in others if o != name)])
    assert varied[f"{name} k=2"] == alone
    if len(others) < 4:
        assert varied[f"{name} k=4"].colour == alone.colour
        assert varied[f"{name} k=4"].marker != alone.marker


def test_a_plugin_looks_the_same_unless_another_has_its_look():
    [of_known] = [i for i in range(10_000) if style.home(f"own_{i}") == style.home("rloo")][:1]
    clash = f"own_{of_known}"
    assert style.looks([clash])[clash] == style.looks(["arm", clash])[clash] == style.looks(["rloo"])["rloo"]
    together = style.looks([clash, "rloo"])
    assert together["rloo"] == style.looks(["rloo"])["rloo"]
    assert together[clash] != together["rloo"]


def test_those_compared_most_differ_in_colour_and_in_marker():
    looks = style.looks(style.KNOWN[:8])
    for at in ("colour", "marker"):
        assert len({getattr(looks[name], at) for name in style.KNOWN[:8]}) == 8


def test_the_names_of_the_order_are_options():
    assert set(style.KNOWN) <= {*registry(), *presets()}
    assert len(set(style.KNOWN)) == len(style.KNOWN) <= style.PAIRS


def test_names_in_a_crowd_do_not_overlap(tmp_path):
    crowd = tuple((f"estimator_{i}", {}, 1 + 0.02 * i, 0.0, 1 + i % 2, 1.0 + 0.01 * i) for i in range(14))
    collection(tmp_path, families=("bernoulli",), estimators=crowd, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    figure = draw("variance_vs_evaluations", found, style.looks(found.units.label), "encoder")
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.axes[0].texts]
    assert len(boxes) == 14
    overlaps = [
        1
        for a, b in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    assert not overlaps


def curves(**of: list[float]) -> pd.DataFrame:
    """Means at steps 0, 1, ... of each label."""
    return pd.DataFrame(
        [(n, i, y) for n, ys in of.items() for i, y in enumerate(ys)], columns=["label", "step", "mean"]
    )


def test_a_curve_that_diverges_does_not_flatten_the_others():
    low, high = limits(curves(good=[-200, -120], idle=[-200, -199], lost=[-200, -900]))
    assert -250 < low < -200 < -120 < high < -100
    assert limits(curves(good=[-200, -120], idle=[-200, -199]))[0] > -210  # no empty half
    assert -112 < limits(curves(a=[-900, -100, -95], b=[-900, -110, -105]))[0] < -105  # nor a far start
    assert limits(curves(a=[-168], b=[-200], c=[-230]))[0] < -230  # a single step has no start


@pytest.mark.parametrize("name", ["elbo_vs_step", "elbo_vs_seconds"])
def test_where_a_curve_leaves_the_axes_there_is_an_arrow(tmp_path, name):
    for estimator, properties in {"rloo": {}, "arm": {}, "disarm": {"bias": 400.0}}.items():
        place(tmp_path, config(estimator, "bernoulli", 0), estimator=estimator, **properties)
    found = collect(find([tmp_path]))[0]
    looks = style.looks(found.units.label)
    figure = draw(name, found, looks, "encoder")
    [ax] = figure.axes
    marks = [line for line in ax.lines if line.get_marker() == LEAVES and len(line.get_xdata()) == 1]
    assert [mark.get_color() for mark in marks] == [looks["disarm"].colour]
    assert float(marks[0].get_ydata()[0]) == pytest.approx(ax.get_ylim()[0])
    assert ax.get_xlim()[0] < float(marks[0].get_xdata()[0]) <= ax.get_xlim()[1]


def test_a_name_with_dollars_is_no_formula(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0, estimator__mode="$\\bad{"), estimator="$\\wrong{$")
    found = collect(find([tmp_path]))[0]
    figure = draw("final_elbo", found, style.looks(found.units.label), "encoder")
    style.write_figure(figure, tmp_path, "figure")
    assert "$\\wrong{$" in (tmp_path / "figure.svg").read_text()


def test_a_heat_map_says_why_a_cell_has_no_number(tmp_path):
    collection(tmp_path, families=("bernoulli", "vq"), estimators=SOME, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    figure = draw("ratio_to_baseline", found, style.looks(found.units.label), "encoder")
    said = {(p.label, p.x): p.words for p in marks(figure).points}
    assert said["arm", 1] == "skipped: arm does not differentiate vq latents; it is made for bernoulli. vq"
    assert said["rloo k=2", 0] == "1.00 times the noise of rloo k=2; bernoulli"
    assert ("exact", 0) not in said  # no noise has no ratio


def test_points_that_leave_the_axes_are_counted(tmp_path):
    for estimator, properties in {"rloo": {}, "arm": {}, "disarm": {"bias": 400.0}}.items():
        place(tmp_path, config(estimator, "bernoulli", 0), estimator=estimator, **properties)
    found = collect(find([tmp_path]))[0]
    figure = draw("elbo_vs_step", found, style.looks(found.units.label), "encoder")
    svg = style.contents(figure)["svg"].decode()
    [outside] = re.findall(r"(\d+) of 15 points outside", svg)
    assert int(outside) == 15 - svg.count("<circle ")
    assert int(outside) >= 5  # all of the one that diverged
    [ax] = figure.axes
    figure.canvas.draw()
    said = ax.xaxis.label
    assert said.get_text() == f"training steps\n{outside} of 15 points outside"
    assert said.get_window_extent().y1 < ax.get_window_extent().y0  # below the axes, where it covers nothing


@pytest.mark.parametrize(
    ("name", "far"),
    [("bias_vs_variance", 1e63), ("variance_vs_evaluations", 1e63), ("variance_vs_step", 1e-40)],
)
def test_a_point_that_is_far_from_all_others_stretches_no_log_axis(tmp_path, name, far):
    for estimator, variance in {"rloo": 1.0, "arm": 3.0, "disarm": far, "rebar": 1e3}.items():
        place(tmp_path, config(estimator, "bernoulli", 0), estimator=estimator, variance=variance)
    found = collect(find([tmp_path]))[0]
    figure = draw(name, found, style.looks(found.units.label), "encoder")
    svg = style.contents(figure)["svg"].decode()
    assert re.search(r"\d of \d+ points outside", svg)
    for ax in figure.axes:
        ends = [
            ends
            for ends, scale in ((ax.get_xlim(), ax.get_xscale()), (ax.get_ylim(), ax.get_yscale()))
            if scale == "log"
        ]
        assert all(high / low < 1e14 for low, high in ends)
        assert all(ax.get_window_extent().overlaps(text.get_window_extent()) for text in ax.texts if text.get_text())
    for label in ("rloo", "arm", "rebar"):
        assert f'data-s="{label}"' in svg


@pytest.mark.parametrize("name", ["elbo_vs_step", "variance_vs_seconds"])
def test_a_figure_is_drawn_once_for_each_file(tmp_path, monkeypatch, name):
    """The second is arranged before its names are placed."""
    place(tmp_path, config("rloo", "bernoulli", 0))
    found = collect(find([tmp_path]))[0]
    plain, drawn = Figure.draw, []
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: drawn.append(renderer) or plain(self, renderer))
    figure = draw(name, found, style.looks(found.units.label), "encoder")
    assert style.contents(figure).keys() == {"svg", "pdf", "png"}
    assert len(drawn) == 3


@pytest.mark.parametrize("name", OF_ONE)
def test_all_figures_survive_one_seed_and_another_part(tmp_path, name):
    collection(tmp_path, families=("bernoulli",), estimators=SOME, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    figure = draw(name, found, style.looks(found.units.label), "latent")
    style.contents(figure)
    inside = [text for ax in figure.axes for text in ax.texts if series_of(text.get_gid() or "") is None]
    assert not inside  # no note covers data
    assert isinstance(draw("bias", found, style.looks(found.units.label), "layer 7"), str)
