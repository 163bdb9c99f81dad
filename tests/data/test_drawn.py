"""Images that are drawn from a seed: the same on every machine, and what they are said to show."""

import hashlib

import numpy as np
import pytest
import torch

from bench.config.identity import identity
from bench.config.prepare import prepare
from bench.data.datasets import load_dataset
from bench.data.drawn import balls, pusher
from tests.support.composed import resolved

BALLS = {"frames": 5, "size": 12, "objects": 2, "examples": 40, "draw_seed": 0}
PUSHER = {"size": 24, "examples": 60, "draw_seed": 0}


def load(name, own, **more):
    return load_dataset(
        name, "nowhere", **({"binarisation": "none", "train_size": None, "download": False} | own | more)
    )


@pytest.mark.parametrize(("name", "own", "shape"), [("balls", BALLS, (5, 12, 12)), ("pusher", PUSHER, (3, 24, 24))])
def test_they_are_split_and_the_same_again(name, own, shape):
    data, again, other = load(name, own), load(name, own, seed=3), load(name, own | {"draw_seed": 1})
    assert data.shape == shape
    assert data.levels == 255
    assert [len(x) for x in data.splits.values()] == [own["examples"], own["examples"] // 10, own["examples"] // 10]
    assert torch.equal(data.train, again.train)  # whose seeds are those of a run
    assert not torch.equal(data.train, other.train)
    assert len(data.train.unique(dim=0)) == len(data.train)
    assert not any((row == data.train).all(1).any() for row in data.test)
    assert set(load(name, own, binarisation="threshold").train.unique().tolist()) == {0.0, 1.0}


def test_the_drawings_never_change():
    found = [hashlib.sha256(x.tobytes()).hexdigest()[:16] for x in (balls(4, 8, 1, 50, 0), pusher(48, 60, 0))]
    assert found == ["c4e3ce9b9cd06a8c", "cbf47b06c66aea02"]


def test_a_ball_keeps_its_speed_and_stays_in_the_box():
    size, frames = 24, 12
    x = balls(frames, size, 1, 30, 0) / 255
    ink = x.sum((2, 3))
    assert ink.max() / ink.min() < 1.1  # nothing of it leaves the box
    pixels = np.arange(size) + 0.5
    rows, columns = (x.sum(axis) @ pixels / ink for axis in (3, 2))
    moves = np.hypot(np.diff(rows), np.diff(columns))
    assert moves.max() < 0.15 * size + 0.1
    straight = np.isclose(moves, 0.15 * size, atol=0.1)
    assert 0.5 < straight.mean() < 1  # otherwise it met a wall in between
    assert {len(np.unique(np.sign(np.diff(r)))) for r in rows} >= {2}  # and came back


def test_the_robot_lies_on_top_and_never_inside_the_puck():
    x = pusher(48, 200, 0).astype(float) / 255
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    robot, puck = (1 - blue), (1 - red)
    assert np.all(green <= np.minimum(red, blue) + 1e-9)
    pixels = np.arange(48) + 0.5

    def centre(ink):
        return np.stack([ink.sum(axis) @ pixels for axis in (2, 1)], 1) / ink.sum((1, 2))[:, None]

    apart = np.hypot(*(centre(robot) - centre(puck)).T)
    touching = 48 / 12 + 48 / 10
    assert np.mean(apart > touching - 0.5) > 0.9  # less only where a wall holds the puck
    assert np.isclose(apart, touching, atol=0.3).mean() > 0.05  # it is pushed


def test_what_is_drawn_is_part_of_the_identity():
    plain, other = (prepare(resolved("data=balls", *more)) for more in ([], ["data.draw_seed=1"]))
    assert identity(plain) != identity(other)
