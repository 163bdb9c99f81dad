"""Data, models, latents and problems that are classes: typed, checked, identified, run and refused like the suite's."""

import pickle

import pytest
import torch

from bench.config import code
from bench.config.identity import identity
from bench.config.nodes import node
from bench.config.prepare import prepare
from bench.errors import BadInput, DataError
from bench.run.experiment import Experiment
from bench.sweep.payload import packed
from estimators.rloo import RLOO
from tests.support import brought
from tests.support.composed import resolved

HERE = "tests.support.brought"
DATA = {"_target_": f"{HERE}.Coins"}
TARGET = ("problem=bernoulli_bit",)  # whose groups latent, model and data are off
SMALL = ("device=cpu", "threads=1", "train.batch_size=8", "measure.batches=1", "latent=bernoulli_small")


def config(*overrides, **groups):
    """A configuration whose groups are replaced by these."""
    return prepare(resolved(*SMALL, *overrides) | groups)


def targeted(**keys):
    """One of the problem, without the groups of a VAE."""
    made = resolved("device=cpu", "threads=1", *TARGET)
    return prepare(made | {"problem": {"_target_": f"{HERE}.Target", **keys}})


def test_what_is_left_out_has_the_default_of_its_class_and_its_type():
    held = config(data=DATA | {"side": 3})["data"]
    assert held == DATA | {
        "name": "coins", "side": 3, "n": 60, "binarisation": "none", "dequantise": False, "train_size": None
    }  # fmt: skip
    problem = targeted(t=1)["problem"]
    assert problem == {"_target_": f"{HERE}.Target", "name": "target", "dim": 3, "t": 1.0}
    assert isinstance(problem["t"], float)
    model = config(model={"_target_": f"{HERE}.Bits"})["model"]
    assert model == {"_target_": f"{HERE}.Bits", "name": "bits", "width": 4}  # a name, which the report shows
    latent = config(latent={"_target_": f"{HERE}.Die"})["latent"]
    assert latent == {"_target_": f"{HERE}.Die", "family": "die", "faces": 6, "temperature": 0.5}


@pytest.mark.parametrize(
    ("group", "held", "said"),
    [
        ("data", DATA | {"sides": 3}, r"Coins has no argument sides: did you mean side\?"),
        ("data", DATA | {"side": "x"}, r"data\.side of Coins: .*'x'"),
        ("data", DATA | {"side": 2**60}, r"data\.side needs a finite number below"),
        ("data", DATA | {"binarisation": "x"}, r"data\.binarisation=x does not exist"),
        ("data", DATA | {"train_size": 0}, r"data\.train_size needs a whole number"),
        ("data", {"_target_": f"{HERE}.Target"}, "is not a concrete subclass of bench.Dataset"),
        ("data", {"_target_": "os.system"}, "_target_ os.system is not a concrete subclass of bench.Dataset"),
        ("model", {"_target_": f"{HERE}.Coins"}, r"is not a torch\.nn\.Module with encode\(x\) and log_likelihood"),
        ("model", {"_target_": f"{HERE}.Bits", "shape": 3}, "Bits has no argument shape"),
        ("latent", {"_target_": "estimators.Gaussian"}, "with a family and a classmethod sizes"),
        ("latent", {"_target_": f"{HERE}.Die", "family": "vq"}, "latent.family=vq is not that of Die, which is die"),
    ],
)
def test_what_cannot_be_is_one_sentence(group, held, said):
    with pytest.raises(BadInput, match=said) as refused:
        config(**{group: held})
    assert str(refused.value).count(". ") == 0


def test_a_problem_of_a_class_has_no_model_latents_or_data():
    made = resolved(*SMALL) | {"problem": {"_target_": f"{HERE}.Target"}}
    with pytest.raises(BadInput, match=r"belongs to problem\.name=vae, not target"):
        prepare(made)
    made = resolved(*TARGET) | {"problem": {"_target_": f"{HERE}.Target"}, "model": {"_target_": f"{HERE}.Bits"}}
    with pytest.raises(BadInput, match=r"model\._target_ belongs to problem\.name=vae, not target"):
        prepare(made)


def test_a_family_with_the_name_of_the_suites_is_refused(monkeypatch):
    monkeypatch.setattr(brought.Laplace, "family", "gaussian")
    with pytest.raises(BadInput, match="the suite has a family gaussian; give another name"):
        config(latent={"_target_": f"{HERE}.Laplace", "dim": 1})


def test_every_value_of_a_class_is_a_part_of_the_identity_and_of_the_code():
    one = config(data=DATA)
    others = [config(data=DATA | {"side": 5}), config(data={"_target_": f"{HERE}.Noisy"}), config()]
    assert len({identity(each) for each in (one, *others)}) == 4
    assert identity(one) == identity(config(data=DATA | {"n": 60, "name": "coins"}))
    assert len({identity(one), *(identity(one | {"data": one["data"] | {"path": path}}) for path in "ab")}) == 3
    assert identity(one) == identity(one | {"data": one["data"] | {"root": "elsewhere"}})
    before = code.made_by(one)
    assert before != code.made_by(config())


def test_data_of_a_class_are_split_and_binarised_as_those_of_a_file():
    data = Experiment(config(data=DATA)).data
    assert (len(data.train), data.valid, len(data.test), data.shape) == (54, None, 6, (1, 4, 4))
    images = brought.Coins().arrays()["train"].flatten(1).float()
    rows = {tuple(row) for row in images.tolist()}
    assert {tuple(row) for row in torch.cat([data.train, data.test]).tolist()} == rows
    fewer = Experiment(config(data=DATA | {"train_size": 40})).data
    assert torch.equal(fewer.train, data.train[:40])
    assert [*fewer.splits] == ["train", "test"]  # and no empty validation
    with pytest.raises(DataError, match=r"Noisy \(train\) holds a NaN"):
        Experiment(config(data={"_target_": f"{HERE}.Noisy"}))
    with pytest.raises(DataError, match="has to give train, and may give test and validation; it gives a list"):
        Experiment(config(data={"_target_": f"{HERE}.Listed"}))


def test_a_value_that_a_constructor_refuses_is_its_sentence():
    with pytest.raises(BadInput, match="Coins needs side >= 1; got side=0"):
        Experiment(config(data=DATA | {"side": 0}))


@pytest.mark.parametrize("latent", ["bernoulli_small", "gaussian_small", "categorical_small"])
def test_a_model_of_a_class_takes_images_and_any_latents(latent):
    made = config(f"latent={latent}", data=DATA, model={"_target_": f"{HERE}.Bits", "width": 5})
    experiment = Experiment(made)
    q = experiment.model.encode(experiment.probe[0])
    assert q.family == made["latent"]["family"]
    z = q.sample(3)
    found = experiment.model.log_likelihood(experiment.probe[0], z)
    module = experiment.model.module
    images = experiment.probe[0].reshape(-1, 1, 4, 4)
    assert torch.equal(found, module.log_likelihood(images, z))
    assert torch.equal(q.params, module.encode(images).params)


def test_a_model_whose_latents_are_others_than_the_group_says_is_refused():
    model = {"_target_": f"{HERE}.Fixed"}
    Experiment(config("latent.dim=3", data=DATA, model=model))
    with pytest.raises(BadInput, match=r"gives bernoulli latents with params \[B, 3\], and .* with \[B, 10\]"):
        Experiment(config("latent.dim=10", data=DATA, model=model))
    with pytest.raises(BadInput, match="and the group latent says gaussian"):
        Experiment(config("latent=gaussian_small", data=DATA, model=model))
    with pytest.raises(BadInput, match="latent=vq has a codebook"):
        Experiment(config("latent=vq_small", data=DATA, model={"_target_": f"{HERE}.Bits"}))


@pytest.mark.parametrize("model", [{}, {"model": {"_target_": f"{HERE}.Bits"}}])
def test_latents_of_a_class_are_those_of_every_model(model):
    made = config(data=DATA, latent={"_target_": f"{HERE}.Die", "temperature": 0.7}, **model)
    q = Experiment(made).model.encode(torch.zeros(2, 16))
    assert (q.family, q.params.shape, q.temperature) == ("die", (2, 6), 0.7)


@pytest.mark.parametrize(("group", "cls"), [("data", brought.Coins), ("latent", brought.Die), ("estimator", RLOO)])
def test_a_typed_node_travels_as_the_class_that_it_is_made_from(group, cls):
    made = node(cls, group)
    [found] = pickle.loads(packed(made))
    assert found is made
    assert node(RLOO) is node(RLOO, "estimator")
