"""What is timed of a module of anyone's own is what is timed of the suite's model."""

import pytest

import bench
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from bench.speed.own import Theirs
from estimators.rloo import RLOO
from tests.support.small import images, vae


def test_what_is_timed_of_a_module_has_the_numbers_of_the_model():
    objective, x = Objective(vae("vq"), RLOO(2)), images(3)
    ours = bench.measure(
        Theirs(objective.model), x[None], {"rloo": objective.estimator}, draws=9, reference="none", repetitions=0
    )
    wanted = {row["part"]: row["variance_noise"] for row in measure(objective, x[None], 9, seed=0)}
    assert dict(zip(ours.part, ours.variance_noise, strict=True)) == pytest.approx(wanted, rel=1e-9)
