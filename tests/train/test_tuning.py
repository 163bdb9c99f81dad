"""An estimator tunes itself to a frozen model: its own state moves as in training, and the model does not."""

import pytest
import torch

from bench.run.experiment import Experiment
from tests.support.small import images, run_config
from tests.support.trainers import STATEFUL, Tangled, trainer_of


@pytest.mark.parametrize("case", [case for case in STATEFUL if case not in ("rloo", "ema")])
def test_tuning_moves_the_estimator_and_no_bit_of_the_model(case):
    family, estimator, changes = STATEFUL[case]
    trainer = Experiment(run_config(family, estimator, **changes)).trainer

    def state(module) -> dict:
        return {name: tensor.clone() for name, tensor in module.state_dict().items()}

    model, own = state(trainer.model), state(trainer.estimator)
    for _ in range(5):
        trainer.tune()
    torch.testing.assert_close(state(trainer.model), model, rtol=0, atol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(state(trainer.estimator), own, rtol=0, atol=0)
    trainer.step()
    with pytest.raises(AssertionError):  # what a step of training would have done
        torch.testing.assert_close(state(trainer.model), model, rtol=0, atol=0)


def test_tuning_leaves_a_moving_codebook_alone():
    family, estimator, changes = STATEFUL["ema"]
    trainer = Experiment(run_config(family, estimator, **changes)).trainer
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.tune()
    torch.testing.assert_close(trainer.model.state_dict(), before, rtol=0, atol=0)


def test_a_step_of_tuning_has_the_gradient_of_a_training_step():
    x = images(4)
    found = []
    for work in ("gradient", "tune"):
        torch.manual_seed(2)
        trainer = trainer_of(Tangled(), iter([x]))
        trainer.gradient(x) if work == "gradient" else trainer.tune()
        found.append(trainer.estimator.own.grad.clone())
    assert torch.equal(*found)
