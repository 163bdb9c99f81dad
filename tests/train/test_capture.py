"""What the host waits for or sends in a step, where operators on tensors without memory show nothing of it."""

import pytest
import torch

from bench.model.objective import Objective
from bench.model.vae import VAE
from bench.train.capture import obstacle
from bench.train.trainer import Trainer
from estimators.rloo import RLOO
from tests.support.small import TRAIN, images, vae
from tests.support.variants import MODELS, experiment

UNSEEN = {  # by operators on tensors without memory
    "tensor": lambda c: c + torch.tensor([1.0] * 4, dtype=c.dtype, device=c.device),
    "list": lambda c: c[[0, 1, 2, 3]],
    "where": lambda c: torch.where(c > 0, c, torch.tensor(0.0, dtype=c.dtype)),
    "multinomial": lambda c: c + torch.multinomial(c.detach().abs() + 1, 1),
    "eigh": lambda c: c + torch.linalg.eigh(torch.outer(c, c).detach())[0],
    "inv": lambda c: torch.linalg.inv(torch.ones_like(c).diag()) @ c,
    "solve": lambda c: torch.linalg.solve(torch.ones_like(c).diag(), c),
    "cholesky": lambda c: torch.linalg.cholesky(torch.ones_like(c).diag()) @ c,
}


@pytest.mark.parametrize("fault", UNSEEN)
def test_what_waits_or_sends_behind_the_operators_is_found(fault, monkeypatch):
    trainer = Trainer(Objective(vae("bernoulli"), RLOO()), iter([]), TRAIN)
    assert obstacle(trainer, images(4)) is None
    plain = VAE.log_likelihood
    monkeypatch.setattr(VAE, "log_likelihood", lambda self, x, z: plain(self, x, z) + 0 * UNSEEN[fault](x[:, 0]))
    found = obstacle(trainer, images(4))
    assert found is not None
    assert ("sends a tensor" if fault in ("tensor", "list", "where") else "waits for the device") in found


def test_a_graph_would_not_round_the_momenta_of_radam_and_nadam_like_eager():
    objective, x = Objective(vae("bernoulli"), RLOO()), images(4)
    names = ("adam", "adamw", "sgd", "radam", "nadam")
    said = [obstacle(Trainer(objective, iter([]), TRAIN | {"optimiser": o, "clip_norm": 1.0}), x) for o in names]
    assert said[:3] == [None] * 3
    assert said[3].startswith("train.optimiser=radam")
    assert said[4].startswith("train.optimiser=nadam")


@pytest.mark.parametrize("name", MODELS)
def test_a_graph_records_every_model_and_problem(name):
    made = experiment(name, "cpu")
    assert obstacle(made.trainer, made.example()) is None
