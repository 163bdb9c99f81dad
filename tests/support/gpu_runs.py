"""The small runs on the digits that are compared on a GPU."""

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench.config import plugins
from bench.config.prepare import prepare
from bench.files import CONF

SMALL = ["train.steps=20", "train.batch_size=50", "measure.draws=64", "measure.batches=2", "evaluate.samples=5"]
ENGINES = [("gaussian", "reparam"), ("bernoulli", "nvil"), ("categorical", "rebar"), ("vq", "vq_straight_through")]


def config(device: str, family: str, estimator: str, *more: str) -> dict:
    """A small run on the digits."""
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        overrides = [f"device={device}", f"latent={family}_small", f"estimator={estimator}", *SMALL, *more]
        composed = compose("config", overrides)
    return prepare(OmegaConf.to_container(composed, resolve=True) | {"option": estimator})


def words(family: str, optimiser: str) -> list[str]:
    """At ten times this rate SGD with momentum runs away in the first steps of REBAR, and no number equals a NaN."""
    rate = ["train.lr=1e-4"] if optimiser == "sgd" else []
    return [f"train.optimiser={optimiser}", *rate, *(["latent.codebook=ema"] if family == "vq" else [])]
