"""A training is a plain loop of `torch.optim`, its schedule and its clipping, to the bit; at once as alone."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import lr_scheduler

from bench.model.objective import Objective
from bench.streams import TRAINING, own_stream
from bench.train.optimise import factor, scaled
from bench.train.replicas import Replicas
from bench.train.trainer import Trainer
from estimators.rebar import Rebar
from tests.support.small import TRAIN, images, vae
from tests.support.trainers import Tangled

STEPS, W, END = 12, 4, 0.1
BETAS: dict[str, Any] = {"betas": (0.8, 0.9), "eps": 1e-6}
KEYS = {"betas": [0.8, 0.9], "eps": 1e-6}
OPTIMISERS: dict[str, tuple[dict[str, Any], Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (KEYS, torch.optim.Adam, BETAS | {"fused": True}),
    "adamw": (KEYS, torch.optim.AdamW, BETAS | {"fused": True}),
    "nadam": (KEYS | {"momentum_decay": 0.01}, torch.optim.NAdam, BETAS | {"momentum_decay": 0.01}),
    "radam": (KEYS, torch.optim.RAdam, BETAS),
    "sgd": (
        {"momentum": 0.7, "nesterov": True},
        torch.optim.SGD,
        {"momentum": 0.7, "nesterov": True, "fused": True},
    ),
}
SCHEDULES = {  # what each is in torch, after a warm-up of W steps
    "constant": lambda o: lr_scheduler.LambdaLR(o, lambda s: 1.0),
    "cosine": lambda o: lr_scheduler.LambdaLR(o, lambda s: math.cos(math.pi / 2 * s / (STEPS - W))),
    "warmup_cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - W, END * o.param_groups[0]["initial_lr"]),
    "linear": lambda o: lr_scheduler.LinearLR(o, 1, END, STEPS - W),
    "step": lambda o: lr_scheduler.StepLR(o, 3, 0.3),
}
SCHEDULED = {"steps": STEPS, "warmup": W, "end_factor": END, "decay_steps": 3, "decay_factor": 0.3}


def test_the_formulas_are_those_of_torch():
    for schedule, make in SCHEDULES.items():
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.2)
        rising = lr_scheduler.LinearLR(optimiser, 1 / (W + 1), 1, W)
        theirs = lr_scheduler.SequentialLR(optimiser, [rising, make(optimiser)], [W])
        seen = []
        for _ in range(STEPS):
            seen.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            theirs.step()
        config = TRAIN | SCHEDULED | {"schedule": schedule}
        ours = [0.2 * factor(step, config) for step in range(STEPS + 5)]
        assert ours[:STEPS] == pytest.approx(seen, abs=1e-12), schedule
        assert len(set(ours[STEPS:])) == 1 or schedule == "step"


def plain(
    trainer: Trainer, batches: list[Tensor], make: Callable[..., Any], keywords: dict[str, Any], decay: float
) -> None:
    """Train by hand, with the schedule and the clipping of torch."""
    (model, estimator), config = (trainer.model, trainer.estimator), trainer.config
    learned, tuned = ([p for p in part.parameters() if p.requires_grad] for part in (model, estimator))
    rates = ((learned, config["lr"], decay), (tuned, config["tuning_lr"], 0.0))
    both = [make(parameters, lr, weight_decay=decays, **keywords) for parameters, lr, decays in rates]
    schedulers = [lr_scheduler.LambdaLR(o, lambda step: factor(step, config)) for o in both]
    for x in batches:
        q = model.encode(x)
        estimate = trainer.objective.estimate(q, x)
        assert estimate.tuning is not None
        grads = torch.autograd.grad((estimate.loss + q.kl()).mean(), learned, retain_graph=True)
        own = torch.autograd.grad(estimate.tuning.mean(), tuned)
        for p, grad in zip([*learned, *tuned], [*grads, *own], strict=True):
            p.grad = grad
        if config["clip_norm"]:
            clip_grad_norm_(learned, config["clip_norm"])
        for optimiser, scheduler in zip(both, schedulers, strict=True):
            optimiser.step()
            scheduler.step()
        estimator.update(estimate)


@pytest.mark.parametrize("schedule", ["constant", "warmup_cosine"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_training_is_a_plain_loop_to_the_bit(name, schedule):
    keys, make, keywords = OPTIMISERS[name]
    config = TRAIN | SCHEDULED | keys
    config |= {"optimiser": name, "schedule": schedule, "weight_decay": 0.2, "clip_norm": 0.8, "tuning_lr": 0.03}
    torch.manual_seed(1)
    batches = [images(4) for _ in range(STEPS)]
    trainer = Trainer(Objective(vae("bernoulli"), Tangled()), iter(batches), config)
    by_hand = copy.deepcopy(trainer, {id(trainer.batches): iter(())})
    with own_stream(3, TRAINING):
        plain(by_hand, batches, make, keywords, decay=0.2)
    norms = []
    with own_stream(3, TRAINING):
        for _ in range(STEPS):
            trainer.step()
            norms.append(float(torch.cat([p.grad.flatten() for p in trainer.learned]).norm()))
    for ours, theirs in zip((trainer.model, trainer.estimator), (by_hand.model, by_hand.estimator), strict=True):
        for (key, value), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(value, other), key
    assert max(norms) > 0.8  # some were clipped, and `.grad` is what the estimator gave


@pytest.mark.parametrize("name", OPTIMISERS)
def test_seeds_at_once_are_those_alone_with_every_optimiser(name):
    config = TRAIN | SCHEDULED | OPTIMISERS[name][0]
    config |= {"optimiser": name, "schedule": "linear", "weight_decay": 0.2, "clip_norm": 0.5}

    def made() -> list[Trainer]:
        found = []
        for seed in (5, 6):
            torch.manual_seed(seed)
            x = [images(4) * (1 if seed == 5 else 7) for _ in range(6)]  # one of the two has far larger gradients
            objective = Objective(vae("bernoulli"), Rebar().double())
            objective.estimate(objective.model.encode(x[0]), x[0])
            found.append(Trainer(objective, iter(x), config))
        return found

    alone, stacked = made(), made()
    replicas = Replicas(stacked, [5, 6], config, images(4))
    for _ in range(6):
        replicas.step()
    for one, other, seed in zip(alone, stacked, (5, 6), strict=True):
        with own_stream(seed, TRAINING):
            for _ in range(6):
                one.step()
        for part, same in ((one.model, other.model), (one.estimator, other.estimator)):
            torch.testing.assert_close(part.state_dict(), same.state_dict(), rtol=1e-9, atol=1e-9)


def test_each_replica_is_cut_by_its_own_norm():
    torch.manual_seed(0)
    grads = [torch.randn(3, 4, 2), torch.randn(3), torch.randn(3, 5)]  # three replicas; one parameter is a number
    for grad in grads:
        grad *= torch.tensor([100.0, 0.01, math.nan]).reshape(3, *(1,) * (grad.ndim - 1))
    found = scaled(grads, 1.0, lead=1)
    for r in range(2):
        alone = [torch.nn.Parameter(grad[r]) for grad in grads]
        for p, grad in zip(alone, grads, strict=True):
            p.grad = grad[r].clone()
        clip_grad_norm_(alone, 1.0)
        torch.testing.assert_close([each[r] for each in found], [p.grad for p in alone])
    assert all(bool(each[2].isnan().all()) for each in found)
    assert all(torch.equal(each[1], grad[1]) for each, grad in zip(found, grads, strict=True))
    joint = scaled([grad[:2] for grad in grads], 1.0, lead=0)  # as if they were one model
    assert float((joint[0][1] - found[0][1]).abs().max()) > 1e-3


def test_what_the_estimator_learns_is_neither_decayed_nor_clipped():
    after = []
    for keys in ({}, {"weight_decay": 0.5, "clip_norm": 1e-4}):
        torch.manual_seed(2)
        trainer = Trainer(
            Objective(vae("bernoulli"), Tangled()), iter([images(4)]), TRAIN | {"optimiser": "sgd"} | keys
        )
        trainer.step()
        after.append((trainer.estimator.state_dict(), trainer.model.state_dict()))
    torch.testing.assert_close(after[0][0], after[1][0], rtol=0, atol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(after[0][1], after[1][1])
