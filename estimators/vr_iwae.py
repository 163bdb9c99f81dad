"""The VR-IWAE bound: a family of K-sample bounds from the ELBO to the importance-weighted one.

* K. Daudel, J. Benton, Y. Shi, A. Doucet, Alpha-divergence Variational Inference Meets Importance Weighted
  Auto-Encoders: Methodology and Asymptotics, JMLR 24, 2023, arXiv:2210.06226.
* Daudel et al., Learning with Importance Weighted Variational Inference, 2024, arXiv:2410.12035: both pathwise
  estimators and their signal-to-noise ratios.

    L_alpha = 1/(1 - alpha) log 1/K sum_k exp(-(1 - alpha) cost(z_k)),   cost = -log w

At alpha = 0 it is the bound of IWAE, and as alpha tends to 1 it becomes the mean of K ELBOs. The estimators here are
unbiased for it; the suite measures biases against L_0, so they call themselves unbiased at alpha = 0 alone.
"""

import math

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.bounds import bound, log_others
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class VRIWAE(Estimator[Gaussian]):
    """Reparameterise every sample of the bound.

        -d L_alpha,   z_k = mean + std * noise_k

    Total derivative: q's parameters live in z and in log w. Unbiased for L_alpha, hence biased for the importance-
    weighted bound unless alpha is 0, where this is IWAE; at alpha = 1 it is plain reparameterisation of the ELBO. Its
    `cost` is -L_alpha. Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples of the bound.
        alpha: 0 to 1.
    """

    name = "vr_iwae"
    latents = (Gaussian,)
    unbiased = False
    objective = "iwae"
    evaluations = "k / k"
    paper = "Daudel et al. 2023"

    def __init__(self, k: int = 5, alpha: float = 0.5):
        super().__init__()
        require("VRIWAE", k, 1, alpha)
        self.k, self.alpha, self.unbiased = k, alpha, alpha == 0

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        loss = -renyi_bound(cost(q.rsample(self.k), q), self.alpha)  # [..., B]
        return Estimate(loss=loss, cost=loss)


class VRDreg(Estimator[Gaussian]):
    """Reparameterise the bound twice.

        q:        sum_k (alpha v_k + (1 - alpha) v_k^2) d cost(z_k) / dz dz_k,   v = softmax(-(1 - alpha) cost)
        decoder:  sum_k v_k d cost(z_k)

    with q frozen in cost and z_k = mean + std * noise_k. Unbiased for L_alpha, hence biased for the importance-weighted
    bound unless alpha is 0, where this is DReG; at alpha = 1 it is STL with k samples. Zero variance where q is the
    posterior. Its `cost` is -L_alpha. Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples of the bound.
        alpha: 0 to 1.
    """

    latents = (Gaussian,)
    unbiased = False
    objective = "iwae"
    evaluations = "k / k"
    paper = "Daudel et al. 2023"

    def __init__(self, k: int = 5, alpha: float = 0.5):
        super().__init__()
        require("VRDreg", k, 1, alpha)
        self.k, self.alpha, self.unbiased = k, alpha, alpha == 0

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        z = q.rsample(self.k)  # [K, ..., B, D]
        c, pull_back = torch.func.vjp(cost, z.detach())  # type: ignore[misc]
        weights = torch.softmax(-(1 - self.alpha) * c.detach(), 0)
        with torch.no_grad():
            (slope,) = pull_back(self.alpha * weights + (1 - self.alpha) * weights**2)  # [K, ..., B, D]
        loss = (weights * c + (slope * z).sum(-1)).sum(0)  # c differentiates the decoder, z differentiates q
        return Estimate(loss=loss, cost=-renyi_bound(c, self.alpha))


class VRVIMCO(Estimator):
    """Score each sample by how much the bound is above what it would be without what the sample adds on average.

        q:        -sum_k (L_alpha - v_k - b_k) d log q(z_k),   v = softmax(-(1 - alpha) cost),   z_k ~ q
                  b_k = L_alpha with alpha times the mean of the others in the place of exp(-(1 - alpha) cost(z_k))
        decoder:  sum_k v_k d cost(z_k)

    To first order in 1/K, L_alpha - v_k is what the others give plus alpha / (1 - alpha) v_k, so that this b_k leaves a
    signal of mean 0. Unbiased for L_alpha, since b_k does not depend on z_k; hence biased for the importance-weighted
    bound unless alpha is 0, where this is VIMCO-*; at alpha = 1 it is RLOO on the ELBO. In between the baseline is this
    suite's: the optimal one of the paper on VIMCO-*, arXiv:2602.01412, is not here. Its `cost` is -L_alpha. Cost
    evaluations per estimate: k, none differentiated to z.

    Args:
        k: samples of the bound, 2 or more.
        alpha: 0 to 1.
    """

    name = "vr_vimco"
    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = False
    objective = "iwae"
    evaluations = "k / 0"
    paper = "Mnih & Rezende 2016; Daudel et al. 2023"

    def __init__(self, k: int = 5, alpha: float = 0.5):
        super().__init__()
        require("VRVIMCO", k, 2, alpha)
        self.k, self.alpha, self.unbiased = k, alpha, alpha == 0

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        total = renyi_bound(c, self.alpha)  # [..., B]
        score = (self._signal(c.detach()) * q.log_prob(z)).sum(0)
        return Estimate(loss=-(score + total), cost=-total)  # total differentiates the decoder alone

    def _signal(self, c: Tensor) -> Tensor:
        """L_alpha - v_k - b_k `[K, ..., B]`."""
        if self.alpha == 1:
            return ((c.sum(0) - c) / (self.k - 1) - c) / self.k
        tempered = (1 - self.alpha) * c
        above = (-tempered).logsumexp(0) - log_others(tempered) - math.log1p(self.alpha / (self.k - 1))
        return above / (1 - self.alpha) - torch.softmax(-tempered, 0)


def renyi_bound(c: Tensor, alpha: float) -> Tensor:
    """L_alpha `[..., B]` of costs `c [K, ..., B]`."""
    return -c.mean(0) if alpha == 1 else bound((1 - alpha) * c) / (1 - alpha)


def require(name: str, k: int, least: int, alpha: float) -> None:
    """Raise ValueError unless there are enough samples, and alpha is from 0 to 1."""
    if k < least:
        raise ValueError(f"{name} needs k >= {least} samples; got k={k}.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"{name} goes from IWAE at alpha = 0 to the ELBO at alpha = 1; got alpha={alpha}.")
