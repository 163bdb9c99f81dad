"""Latent families: the kinds of q(z|x), each constructed from one tensor, the raw output of an encoder.

`sample(k)` never carries gradient; `rsample` and `relaxed` do: the name says whether gradient flows. Every family
broadcasts over any batch shape, written `...`, whose last axis is B. Log-probabilities and divergences are in nats.
"""

from estimators.latents.base import Discrete, Enumerable, Latent
from estimators.latents.bernoulli import Bernoulli
from estimators.latents.categorical import Categorical, OneHot
from estimators.latents.gaussian import Gaussian
from estimators.latents.sequence import Sequence
from estimators.latents.vq import VQ

FAMILIES: dict[str, type[Latent]] = {f.family: f for f in (Gaussian, Bernoulli, Categorical, VQ, Sequence)}

__all__ = [
    "FAMILIES",
    "VQ",
    "Bernoulli",
    "Categorical",
    "Discrete",
    "Enumerable",
    "Gaussian",
    "Latent",
    "OneHot",
    "Sequence",
]
