"""The list of points, and what becomes of it for each estimator."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.stats import qmc

from bench.check.subject import subject
from bench.check.tags import untunable
from bench.config import plugins
from bench.config.preset import set_by_preset
from bench.errors import BadInput
from bench.files import CONF
from bench.tune.command import settings_of
from bench.tune.points import checked, coordinates, points_of
from bench.tune.show import besides
from estimators import Estimate, Range
from tests.support.right import Right

NAMES = ("lr", "temperature", "k", "scale")


def points(name, *words, fixed=()):
    config = plugins.complete(plugins.composed(name))
    return points_of(plugins.target(config["_target_"]), config, set(fixed), settings_of(list(words)))


def test_the_list_is_that_of_halton():
    written = OmegaConf.load(CONF / "tune" / "quasi_random.yaml").points
    expected = qmc.Halton(len(NAMES), scramble=False).random(65)[1:]
    assert list(written) == list(NAMES)
    np.testing.assert_allclose(np.array([list(written[name]) for name in NAMES]).T, expected, rtol=5e-4)


def test_every_estimator_is_given_as_many_points_at_the_same_learning_rates():
    found = {name: points(name, "budget=7") for name in ("reparam", "gumbel_softmax", "rloo", "rebar")}
    rates = [[point["train.lr"] for point in of] for of in found.values()]
    assert all(of == rates[0] for of in rates)
    assert len(set(rates[0])) == 7
    assert {name: sorted(of[0]) for name, of in found.items()} == {
        "reparam": ["train.lr"],
        "gumbel_softmax": ["estimator.temperature", "train.lr"],
        "rloo": ["estimator.k", "train.lr"],
        "rebar": ["estimator.scale", "estimator.temperature", "train.lr"],
    }


def test_a_larger_budget_has_the_points_of_the_smaller_one():
    assert points("rebar", "budget=7")[:4] == points("rebar", "budget=4")


def test_points_lie_in_their_ranges_and_whole_numbers_are_whole():
    for point in points("rloo", "budget=64", "tune.lr=[1e-5,1]"):
        assert 1e-5 <= point["train.lr"] <= 1
        assert isinstance(point["estimator.k"], int)
        assert 2 <= point["estimator.k"] <= 8
    temperatures = [point["estimator.temperature"] for point in points("mve", "budget=64")]
    assert 0.1 <= min(temperatures) < 0.13
    assert 8 < max(temperatures) <= 10
    assert np.log(temperatures).mean() == pytest.approx(0.0, abs=0.1)  # evenly on a log scale, whose middle is 1


def test_what_a_preset_or_the_command_sets_stays():
    assert all(list(point) == ["train.lr"] for point in points_of_preset("zgr"))
    assert all(list(point) == ["train.lr"] for point in points("rloo", fixed=["estimator.k"]))
    assert all("estimator.k" not in point for point in points("rloo", "tune.points.k=null"))


def points_of_preset(name):
    return points(name, fixed=[f"estimator.{key}" for key in set_by_preset(name)])


def test_a_grid_has_the_ends_and_the_half_decades_and_equal_points_are_one():
    rates = [1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2]
    both = points("reinmax", "tune=grid", "budget=15")
    assert [(p["train.lr"], p["estimator.temperature"]) for p in both] == [(a, t) for a in rates for t in (0.5, 1, 2)]
    assert [point["train.lr"] for point in points("reinforce", "tune=grid", "budget=15")] == rates


def test_the_ends_of_a_range_are_exact():
    assert (Range(0.1, 10).at(0), Range(0.1, 10).at(1), Range(0.1, 10).at(0.5)) == (0.1, 10, pytest.approx(1))
    assert (Range(0, 3, log=False).at(0), Range(0, 3, log=False).at(1 / 3)) == (0, pytest.approx(1))


@pytest.mark.parametrize("name", sorted(plugins.registry()))
def test_every_range_holds_what_the_constructor_takes(name):
    assert untunable(subject(name)) is None
    assert {*plugins.registry()[name].cls.tunable} <= {*NAMES} - {"lr"}, "conf/tune/quasi_random.yaml has no such key"


@pytest.mark.parametrize(
    ("tunable", "said"),
    [
        ({"q": Range(1, 2)}, "names q, which is not an argument"),
        ({"k": Range(3, 2)}, "needs low < high"),
        ({"k": Range(0, 2)}, "low > 0 where log"),
        ({"k": Range(1, 4)}, "it refuses k=1, an end of its range"),
        ({"k": Range(2, 4)}, None),
    ],
)
def test_a_wrong_range_is_found(tunable, said):
    class Refusing(Right):
        """It needs two samples.

        Args:
            k: samples per estimate, 2 or more.
        """

        def __init__(self, k: int = 2):
            if k < 2:
                raise ValueError(f"It needs k >= 2; got k={k}.")
            super().__init__(k)

        def forward(self, q, cost, x) -> Estimate:
            return super().forward(q, cost, x)

    Refusing.tunable = tunable
    found = untunable(subject(Refusing))
    assert found is None if said is None else said in found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["budget=65"], "budget=65 is more than the 64 points"),
        (["budget=1,2"], "budget=1,2 has several values"),
        (["tune.lr=[1e-2,1e-3]"], "the lower one first"),
        (["tune.split=test"], "tune.split=test does not exist"),
        (["tune.halving=[0.5,0.5]"], "rising fractions"),
        (["tune.halving=[1]"], "rising fractions"),
        (["tune.points.k=[0.5]"], "64 of lr, 64 of temperature, 1 of k"),
        (["tune.points.lr=null"], "tune.points.lr needs"),
    ],
)
def test_wrong_settings_are_refused(words, said):
    with pytest.raises(BadInput, match=said.replace("[", r"\[")):
        settings_of(words)


def test_help_says_what_the_command_takes_besides():
    said = besides(settings_of(["budget=7"]))
    assert "budget: 7" in said
    assert "halving: []" in said


def test_settings_as_they_are_composed_are_checked_again():
    found = settings_of([])
    assert checked(found) == found
    assert {len(shares) for shares in coordinates(found).values()} == {64}
