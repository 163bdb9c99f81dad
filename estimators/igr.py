"""Invertible Gaussian reparameterisation: a relaxed sample made of Gaussian noise.

* A. Potapczynski, G. Loaiza-Ganem, J. P. Cunningham, Invertible Gaussian Reparameterization: Revisiting the
  Gumbel-Softmax, NeurIPS 2020, arXiv:1912.09588.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import Categorical
from estimators.latents.base import ruled_out


class IGR(Estimator[Categorical]):
    """Replace the sample by a softmax of Gaussians, and reparameterise that.

        1/K sum_k d cost(soft_k, q),   soft_k = softmax(y_k / temperature, log delta)
        y_k = logits of the first C - 1 categories relative to the last + scale * noise_k,   noise_k ~ N(0, I)

    The last category gets what delta leaves it ("softmax++"), so that C - 1 Gaussians map one to one to the simplex;
    where its logit is -inf, the last one that is possible takes its place.
    Biased: it differentiates the mean cost of these points, for the encoder and for the decoder, and its `cost` is
    theirs. Total derivative: where the cost contains log q(z), q's parameters live in it, as in Gumbel-softmax. The
    probabilities of their largest coordinate are not q's. Cost evaluations per estimate: k, each differentiated to z.

    In the paper the encoder gives the standard deviations too, and the KL is that of the
    Gaussians; here q stays categorical, the standard deviation is a number, and the KL is q's.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the softmax, above 0.
        scale: standard deviation of the noise, above 0.
        delta: weight of the last category in the softmax, above 0.
    """

    latents = (Categorical,)
    unbiased = False
    evaluations = "k / k"
    paper = "Potapczynski, Loaiza-Ganem & Cunningham 2020"
    tunable = {"temperature": Range(0.1, 2.0), "scale": Range(0.3, 3.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0, scale: float = 1.0, delta: float = 1.0):
        super().__init__()
        if k < 1:
            raise ValueError(f"IGR averages over samples, so it needs k >= 1; got k={k}.")
        if temperature <= 0 or scale <= 0 or delta <= 0:
            raise ValueError(
                f"IGR needs temperature, scale and delta above 0; got temperature={temperature}, scale={scale}, "
                f"delta={delta}."
            )
        self.k, self.temperature, self.scale, self.delta = k, temperature, scale, delta

    def forward(self, q: Categorical, cost: Cost, x: Tensor) -> Estimate:
        logits, number = q.logits, torch.arange(q.logits.shape[-1], device=q.logits.device)
        last = (number * ~ruled_out(logits)).amax(-1, keepdim=True)  # [..., B, D, 1]
        noise = F.pad(q.normal(self.k), (0, 1))  # [K, ..., B, D, C]
        y = logits - logits.gather(-1, last) + self.scale * noise
        soft = torch.softmax(torch.where(number == last, math.log(self.delta), y / self.temperature), -1)
        c = cost(soft, q).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder
