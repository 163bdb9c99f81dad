"""Estimators and configurations of SimVQ, finite scalar and lookup-free quantisation."""

import re

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from bench.config.plugins import VERSION_BASE, register, registry
from bench.config.prepare import prepare
from bench.errors import BadInput
from bench.files import CONF
from bench.model.codebook import Codebook
from bench.model.objective import Objective
from bench.train.trainer import Trainer
from estimators import VQ
from estimators.exact import Exact
from estimators.local_expectation import LocalExpectation
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from tests.support.codebooks import codebook
from tests.support.enumerate import assert_exactly_unbiased
from tests.support.planted import SelfBaseline
from tests.support.small import TRAIN, images, vae

TINY = {  # 2 positions of 4 codes
    "simvq": {"codebook": "simvq", "dim": 2},
    "fsq": {"codebook": "fsq", "levels": [2, 2], "dim": 2},
    "lfq": {"codebook": "lfq", "dim": 2},
}


class OfCodes(nn.Module):
    """A nonlinear cost of the chosen codes, in which every pair of positions interacts; the codebook is held."""

    def __init__(self, book: Codebook):
        super().__init__()
        self.read = book.forward
        self.weight = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def forward(self, z, q=None):
        flat = self.read(z).detach().flatten(-2) * self.weight
        return flat.prod(-1) + (flat.sum(-1) - 0.4) ** 2 + (0.5 * flat[..., 0] - 0.3 * flat[..., -1]).exp()


@pytest.mark.parametrize("rule", TINY)
@pytest.mark.parametrize(
    ("estimator", "draws"), [(RLOO(2), 2), (Reinforce(1), 1), (LocalExpectation(), 1), (Exact(), 1)]
)
def test_discrete_estimators_are_exactly_unbiased_on_every_quantiser(rule, estimator, draws):
    model = vae("vq", TINY[rule])
    q, cost = model.encode(images(1)), OfCodes(model.codebook)
    q = q.with_params(2 * q.params.detach())
    moments = assert_exactly_unbiased(estimator, q, cost, images(1), draws)
    assert moments.mean.abs().max() > 1e-3
    with pytest.raises(AssertionError):
        assert_exactly_unbiased(SelfBaseline(2), q, cost, images(1), 2)


@pytest.mark.parametrize("rule", TINY)
@pytest.mark.parametrize("name", [name for name, entry in registry().items() if VQ in entry.cls.latents])
def test_every_estimator_of_vq_trains_on_every_quantiser(rule, name):
    model, estimator = vae("vq", TINY[rule]), registry()[name].cls().double()
    kl = "sampled" if "sampled" in (estimator.kl, "sampled" * (estimator.objective == "iwae")) else "analytic"
    trainer = Trainer(Objective(model, estimator, kl), iter(lambda: images(3), None), TRAIN)
    assert trainer.objective.impossible(model.encode(images(1))) is None
    for _ in range(2):
        trainer.step()
    assert trainer.diverged() is None
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert any(p.grad.any() for p in model.decoder.parameters())


CONTRADICTIONS = {
    "latent.levels=[4,3] makes 12 codes of width 2: set latent.codes=12 latent.dim=2": ("fsq", {"codes": 9}),
    "makes 2 codes of width 1: set latent.codes=2 latent.dim=1": ("fsq", {"levels": [2]}),
    "latent.codebook=lfq latent.dim=5 makes 32 codes of width 5: set latent.codes=32": ("lfq", {"dim": 5}),
    "codebook=fsq do not move one by one, so none restarts: set latent.restart=0": ("fsq", {"restart": 0.5}),
    "codebook=simvq do not move one by one": ("simvq", {"restart": 0.5}),
}


@pytest.mark.parametrize("sentence", CONTRADICTIONS)
def test_values_that_contradict_each_other_are_refused(sentence):
    rule, changes = CONTRADICTIONS[sentence]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        codebook(rule, **changes)


def composed(*overrides):
    register()
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        return prepare(OmegaConf.to_container(compose("config", list(overrides)), resolve=True) | {"option": None})


@pytest.mark.parametrize("preset", ["vq", "vq_small", "vq_ema", "vq_deterministic", "simvq", "fsq", "lfq"])
def test_presets_compose_and_build(preset):
    latent = composed(f"latent={preset}")["latent"]
    book = Codebook(latent)
    assert book.codes.shape == (latent["codes"], latent["dim"])
    assert (latent["temperature"] == 0) == (preset == "vq_deterministic")


def test_levels_belong_to_fsq_alone():
    with pytest.raises(BadInput, match=r"latent\.levels belongs to latent\.codebook=fsq"):
        composed("latent=vq", "+latent.levels=[4,4]")
    with pytest.raises(BadInput, match=r"latent\.levels is missing"):
        composed("latent=vq", "latent.codebook=fsq")
    with pytest.raises(BadInput, match=r"latent\.levels needs a list, each a whole number from 2 to 16777216"):
        composed("latent=fsq", "latent.levels=[4,1]")
