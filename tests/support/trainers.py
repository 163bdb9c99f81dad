"""Trainers of small models, and estimators that have a state."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.model.objective import Objective
from bench.run.experiment import Experiment
from bench.run.rows import add_cost, due
from bench.train.trainer import Trainer
from estimators import Bernoulli, Estimate, Estimator
from tests.support.small import TRAIN, images, vae

STATEFUL = {
    "rloo": ("bernoulli", {"_target_": "estimators.rloo.RLOO", "k": 2}, {}),
    "rebar": ("categorical", {"_target_": "estimators.rebar.Rebar"}, {}),
    "network": ("bernoulli", {"_target_": "estimators.reinforce.Reinforce", "baseline": "network", "hidden": 3}, {}),
    "annealed": (
        "bernoulli",
        {"_target_": "estimators.gumbel_softmax.GumbelSoftmax", "rate": 0.1, "interval": 2},
        {"model": {"prior": "learned", "likelihood": "gaussian", "learn_std": True}},
    ),
    "scheduled": (
        "bernoulli",
        {"_target_": "estimators.rebar.Rebar"},
        {
            "train": {
                "optimiser": "nadam", "weight_decay": 0.1, "clip_norm": 0.5, "schedule": "warmup_cosine", "warmup": 3,
            },
        },
    ),
    "ema": (
        "vq",
        {"_target_": "estimators.vq_straight_through.VQStraightThrough"},
        {"latent": {"codebook": "ema", "restart": 0.5}, "train": {"optimiser": "radam"}},
    ),
}  # fmt: skip


class Tangled(Estimator):
    """Its loss depends on its own parameter, and its tuning on the model."""

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "1 / 0"

    def __init__(self):
        super().__init__()
        self.own = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, q, cost, x):
        c = cost(q.sample(1)).squeeze(0)
        return Estimate(c * self.own + q.params.sum(-1), c.detach(), (c * q.params.sum(-1) - self.own) ** 2)


def trainer_of(estimator: Estimator, batches: Iterator[Tensor] | None = None, **train) -> Trainer:
    objective = Objective(vae("bernoulli"), estimator)
    return Trainer(objective, iter([images(4) for _ in range(9)]) if batches is None else batches, TRAIN | train)


def trained(config: dict, look: bool = True) -> tuple[Experiment, dict]:
    """The experiment at its end, and everything that training moves."""
    if not look:
        config = config | {kind: config[kind] | {"at": []} for kind in ("measure", "evaluate")}
    experiment = Experiment(config)
    with experiment.noise():
        for step in range(config["train"]["steps"] + 1):
            for each in due(experiment, step):
                each.work()
            if step < config["train"]["steps"]:
                experiment.train_step()
        if look:
            add_cost(experiment)
        noise = torch.get_rng_state()
    trainer = experiment.trainer
    state = {"model": trainer.model.state_dict(), "estimator": trainer.estimator.state_dict(), "noise": noise}
    state |= {"optimisers": [o.state_dict() for o in trainer.optimisers], "losses": trainer.losses}
    return experiment, state | {"batches": trainer.batches.state_dict(), "next": next(trainer.batches)}
