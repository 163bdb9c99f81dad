"""Gradient estimators for expectations over latent variables, and the latent families they differentiate."""

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import FAMILIES, VQ, Bernoulli, Categorical, Discrete, Gaussian, Latent, OneHot

__all__ = [
    "FAMILIES",
    "VQ",
    "Bernoulli",
    "Categorical",
    "Cost",
    "Discrete",
    "Estimate",
    "Estimator",
    "Gaussian",
    "Latent",
    "OneHot",
    "as_loss",
]
