"""`bench.train`: the suite's own training on anyone's module."""

import copy

import pytest
import torch

import bench
from bench.data.batches import Batches
from bench.data.datasets import Data
from bench.errors import BadInput
from bench.model.objective import Objective
from bench.own.defaults import train_group
from bench.streams import TRAINING, own_stream
from bench.train.trainer import Trainer
from estimators.rloo import RLOO
from tests.support.own_models import Adopted, Ours, Sentences
from tests.support.small import images, vae

SHORT = {"steps": 6, "batch_size": 4, "at": [0, 0.5, 1], "samples": 3, "progress": False}


@pytest.fixture(scope="module")
def data():
    torch.manual_seed(2)
    return images(20).unflatten(-1, (1, 4, 4))


@pytest.mark.parametrize("settings", [{}, {"optimiser": "sgd", "lr": 0.1, "schedule": "cosine"}], ids=["adam", "sgd"])
def test_the_training_is_that_of_our_own_model(data, settings):
    torch.manual_seed(1)
    theirs = vae("bernoulli")
    ours = copy.deepcopy(theirs)
    held = Data("data", "none", (1, 4, 4), data.flatten(1), None, None, data.new_zeros(0))
    group = train_group(steps=6, batch_size=4, **settings)
    trainer = Trainer(Objective(ours, RLOO(2)), Batches(held, 4, 5), group)
    with own_stream(5, TRAINING):
        for _ in range(6):
            trainer.step()
    given = bench.train(Ours(theirs), data, RLOO(2), seed=5, **SHORT, **settings)
    for mine, other in zip(ours.parameters(), given.model.inner.parameters(), strict=True):
        torch.testing.assert_close(other, mine, rtol=1e-9, atol=1e-11)
    assert given.table[["step", "split", "seed"]].to_numpy().tolist() == [[s, "train", 5] for s in (0, 3, 6)]


def test_replicas_are_trained_as_each_alone(data):
    torch.manual_seed(1)
    together = [Adopted().double() for _ in range(3)]
    alone = copy.deepcopy(together)
    found = bench.train(together, data, "rloo", test=data[:5], seed=7, **SHORT)
    assert found.model is together
    rows = found.table.groupby(["seed", "split"]).size().to_dict()
    assert rows == {(s, split): 3 for s in (7, 8, 9) for split in ("test", "train")}
    for number, model in enumerate(alone):
        one = bench.train(model, data, "rloo", seed=7 + number, **SHORT)
        for a, b in zip(model.parameters(), together[number].parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
        mine = found.table[(found.table.seed == 7 + number) & (found.table.split == "train")]
        assert mine.elbo.tolist() == pytest.approx(one.table.elbo.tolist(), rel=1e-9)


def test_it_learns_and_what_is_no_image_is_trained_too():
    torch.manual_seed(0)
    tokens = torch.arange(4).expand(12, 4).contiguous()  # the same sentence twelve times
    made = bench.train(
        Sentences().eval(), tokens, "rloo", steps=40, batch_size=12, at=[0, 1], samples=5, lr=0.02, prior_samples=10,
        progress=False,
    )  # fmt: skip
    first, last = made.table.elbo
    assert last > first + 1
    assert made.table.bits_per_dim.iloc[-1] == pytest.approx(-last / (4 * torch.log(torch.tensor(2.0)).item()))
    assert made.table.log_prior_sampling.notna().all()


def test_a_loss_that_is_not_finite_ends_the_training(data):
    with pytest.warns(UserWarning, match=r"^The loss was not finite at step \d+: its training ended\.$"):
        made = bench.train(Adopted().double(), data, "rloo", **SHORT | {"steps": 20}, optimiser="sgd", lr=1e200)
    assert made.table.step.tolist() == [0]


def test_a_compiled_training_is_the_same(data, monkeypatch):
    monkeypatch.setattr("bench.train.engine.BACKEND", "eager")  # captured as it is for any backend
    torch.manual_seed(1)
    models = [Adopted().double() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model, engine in zip(models, ("eager", "compile"), strict=True):
        bench.train(model, data, "rloo", engine=engine, **SHORT)
    for a, b in zip(*(m.parameters() for m in models), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_a_model_that_does_not_survive_vmap_is_told(data):
    class Branches(Adopted):
        def encode(self, x):
            return super().encode(x) if float(x.sum()) >= 0 else super().encode(-x)

    with pytest.raises(BadInput, match="cannot be trained as replicas"):
        bench.train([Branches().double(), Branches().double()], data, "rloo", **SHORT)
