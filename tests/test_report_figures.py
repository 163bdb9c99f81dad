"""The figures of the report: looks that differ, names that do not overlap, and few data."""

from itertools import combinations

import pytest

from bench.report import style
from bench.report.collect import collect, find
from bench.report.figures import draw
from tests.synthetic_runs import DRAWN, SOME, collection


def test_no_two_estimators_look_alike_and_none_changes_its_look():
    names = [f"estimator {i:02d}" for i in range(88)]
    looks = style.looks(names)
    assert len({(look.colour, look.marker) for look in looks.values()}) == 88
    assert style.looks(reversed(names)) == looks


def test_names_in_a_crowd_do_not_overlap(tmp_path):
    crowd = tuple((f"estimator_{i}", {}, 1 + 0.02 * i, 0.0, 1 + i % 2, 1.0 + 0.01 * i) for i in range(14))
    collection(tmp_path, families=("bernoulli",), estimators=crowd, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    figure = draw("variance_vs_evaluations", found, style.looks(found.units.label), "encoder")
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.axes[0].texts]
    assert len(boxes) == 15  # the names and the note
    overlaps = [
        1
        for a, b in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    assert not overlaps


@pytest.mark.parametrize("name", DRAWN)
def test_all_figures_survive_one_seed_and_another_part(tmp_path, name):
    collection(tmp_path, families=("bernoulli",), estimators=SOME, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    assert not isinstance(draw(name, found, style.looks(found.units.label), "latent"), str)
    assert isinstance(draw("bias", found, style.looks(found.units.label), "layer 7"), str)
