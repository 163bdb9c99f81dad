"""The learning rate along the training."""

import math

import pytest

from bench.train.optimise import factor
from estimators.rloo import RLOO
from tests.support.small import TRAIN
from tests.support.trainers import trainer_of


def test_the_cosine_schedule_is_a_quarter_of_a_wave():
    rates = {"constant": [], "cosine": []}
    for schedule, seen in rates.items():
        trainer = trainer_of(RLOO(2), optimiser="sgd", steps=4, schedule=schedule)
        for _ in range(6):
            trainer.step()
            seen.append(trainer.optimisers[0].param_groups[0]["lr"])
    assert rates["constant"] == [0.01] * 6
    quarter = [0.01 * math.cos(math.pi / 2 * i / 4) for i in range(4)]
    assert rates["cosine"] == pytest.approx([*quarter, 0, 0], abs=1e-12)  # a copy that is timed goes on at 0


def test_the_tripling_schedule_has_stages_of_1_3_9_passes():
    config = TRAIN | {"steps": 26, "schedule": "tripling", "decay_steps": 2, "decay_factor": 0.5}
    assert [factor(step, config) for step in range(28)] == [1] * 2 + [0.5] * 6 + [0.25] * 18 + [0.125] * 2
