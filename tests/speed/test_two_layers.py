"""The loop of two layers that is written by hand takes the steps of the trainer."""

from itertools import repeat

import pytest
import torch

from bench.speed.handwritten import FUNCTIONS
from bench.speed.plain import BareLayers
from bench.speed.problems import LAYERED, TRAIN, two_layers
from bench.train.trainer import Trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("option", LAYERED, ids=lambda option: option.name)
def test_a_step_of_two_layers_is_the_step_of_the_loop_written_by_hand(option):
    (objective, x), (twin, _) = two_layers(CPU, option), two_layers(CPU, option)
    bare = BareLayers(twin.model, FUNCTIONS[option.name][1], repeat(x), TRAIN["lr"])
    for step in (Trainer(objective, repeat(x), TRAIN).step, bare.step):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            step()
    for (name, ours), theirs in zip(objective.model.named_parameters(), twin.model.parameters(), strict=True):
        if ours.requires_grad:
            assert ours.grad.abs().max() > 0, name
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
