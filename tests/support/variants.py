"""Small configurations of every model and problem of the suite other than a VAE of one latent layer."""

from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.config import plugins
from bench.config.prepare import prepare
from bench.files import CONF
from bench.run.experiment import Experiment

SMALL = [
    "threads=1", "train.batch_size=4", "measure.batches=1", "measure.batch_size=3", "measure.at=[]",
    "measure.reference=none", "evaluate.at=[]", "evaluate.examples=5", "model.hidden=[6]",
]  # fmt: skip
PROBLEM = [word for word in SMALL if not word.startswith("model")]
STRUCTURED = ["model.task=structured", "objective.beta=0"]
VQ = ["latent=vq_small", "latent.positions=2", "estimator=rloo"]
STAGES = [*VQ, "latent.stages=2"]
MODELS: dict[str, list[str]] = {
    "layers": ["latent=bernoulli_small", "latent.layers=[5,4]", "objective.kl=sampled"],
    "gaussian layers": ["latent=gaussian_small", "latent.layers=[5,4]", "objective.kl=sampled", "estimator=reparam"],
    "structured": ["latent=bernoulli_small", *STRUCTURED, "latent.layers=[5,4]"],
    "experts": [
        "latent=categorical_small", "latent.dim=1", "latent.categories=4", *STRUCTURED, "model.decoder=experts"
    ],
    "stages": STAGES,
    "stages, not detached": [*STAGES, "latent.residual_detach=false"],
    "stages, ema": [*STAGES, "latent.codebook=ema"],
    "simvq": ["latent=simvq", "latent.positions=2", "latent.codes=8"],
    "lfq": ["latent=lfq", "latent.positions=2", "latent.codes=8", "latent.dim=3"],
    "fsq": ["latent=fsq", "latent.positions=2", "latent.levels=[3,3]", "latent.codes=9"],
    "rssm": [
        "data=balls", "data.frames=2", "data.train_size=40", "latent=categorical_small", "latent.dim=2", "model=rssm",
        "model.steps=2", "model.state=5", "model.balance=[1,0.5]"
    ],
    "convolutions": ["latent=bernoulli_small", "model=conv", "model.hidden=[2,3]"],
    "tokens": ["problem=tokens", "problem.length=2"],
    "shared tokens": ["problem=tokens", "problem.length=2", "problem.policy=shared", "objective.beta=0.1"],
    "bits": ["problem=bernoulli_bits", "problem.dim=3"],
    "coupled bits": ["problem=bernoulli_coupled"],
    "quadratic": ["problem=gaussian_quadratic", "estimator=reparam"],
    "exponential": ["problem=gaussian_exp", "estimator=reparam"],
    "regression": ["problem=logistic_regression", "estimator=reparam"],
}  # fmt: skip


@cache
def experiment(name: str, device: str) -> Experiment:
    """Of a model, with an estimator that goes with it."""
    plugins.register()
    words = MODELS[name]
    problem = any(word.startswith("problem") for word in words)
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        composed = compose("config", [f"device={device}", *(PROBLEM if problem else SMALL), *words])
    config: Any = OmegaConf.to_container(composed, resolve=True)
    return Experiment(prepare(config | {"option": "first"}))
