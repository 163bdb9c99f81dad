"""Which model a configuration asks for, and which objective a model has."""

from torch import Tensor

from bench.model.experts import Experts
from bench.model.hierarchy import STRUCTURED, Hierarchy
from bench.model.layered import Layered
from bench.model.objective import Objective
from bench.model.residual import Residual
from bench.model.rssm import RSSM, SEQUENCE
from bench.model.staged import Staged
from bench.model.steps import Stepped
from bench.model.vae import VAE, Model
from bench.settings import LatentGroup, ModelGroup
from estimators import VQ, Estimator


def vae(latent: LatentGroup, model: ModelGroup, shape: tuple[int, int, int], mean: Tensor) -> VAE:
    """The model that the `latent` and the `model` group ask for; arguments as of `VAE`. Raises ValueError where they
    contradict each other."""
    if model["task"] == STRUCTURED and latent["family"] == VQ.family:
        raise ValueError(
            "model.task=structured has no codebook: take latent=gaussian, bernoulli or categorical, not vq."
        )
    if "_target_" in latent:
        if (task := model["task"]) != "generative" or model["decoder"] == "experts":
            what = f"task={task}" if task != "generative" else "decoder=experts"
            raise ValueError(f"model.{what} is for the latents of the suite.")
        return VAE(latent, model, shape, mean)
    cls: type[VAE] = VAE
    if model["decoder"] == "experts":
        cls = Experts
    elif model["task"] == SEQUENCE:
        cls = RSSM
    elif len(latent.get("layers") or []) > 1 or model["task"] == STRUCTURED:
        cls = Hierarchy
    elif latent.get("stages", 1) > 1:
        cls = Residual
    return cls(latent, model, shape, mean)


def objective(model: Model, estimator: Estimator, kl: str = "analytic", beta: float = 1.0) -> Objective:
    """The objective of any model, with this estimator."""
    if isinstance(model, Residual):
        return Staged(model, estimator, kl, beta)
    if isinstance(model, RSSM):
        return Stepped(model, estimator, kl, beta)
    return (Layered if isinstance(model, Hierarchy) else Objective)(model, estimator, kl, beta)  # type: ignore[arg-type]
