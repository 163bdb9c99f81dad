"""Gradient estimators for expectations over latent variables, and the latent families they differentiate."""

from estimators.base import Cost, Estimate, Estimator, Range, as_loss
from estimators.latents import (
    FAMILIES,
    VQ,
    Bernoulli,
    Categorical,
    Discrete,
    Enumerable,
    Gaussian,
    Latent,
    OneHot,
    Sequence,
)

__all__ = [
    "FAMILIES",
    "VQ",
    "Bernoulli",
    "Categorical",
    "Cost",
    "Discrete",
    "Enumerable",
    "Estimate",
    "Estimator",
    "Gaussian",
    "Latent",
    "OneHot",
    "Range",
    "Sequence",
    "as_loss",
]
