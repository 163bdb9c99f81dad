"""Differentiable vector quantisation by directional noise.

* M. H. Vali, T. Backstrom, A. Solin, DiVeQ: Differentiable Vector Quantization Using the Reparameterization Trick,
  ICLR 2026, arXiv:2509.26469.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.geometry import unit
from estimators.latents import VQ


class DiVeQ(Estimator[VQ]):
    """Step from the vector to its code, in a direction that is held constant and by a length that is differentiated.

        1/K sum_k d cost(v_k),   v_k = vector + |code_k - vector| u_k
        u_k = unit (code_k - vector + std * noise_k), held constant,   noise_k ~ N(0, I)
        d v_k = d vector + u_k (unit (code_k - vector))' (d code_k - d vector)

    with code_k ~ q, the nearest code where q's temperature is 0. At std = 0 the decoder sees the codes, up to rounding,
    and of the slope of the cost the code gets the component along the error and the vector gets the rest. Biased, as
    straight-through is; std > 0 adds noise, also where q is a point mass. Vectors and codebook both learn from the
    cost, so the paper has neither codebook nor commitment loss: latent.codebook_weight=0 latent.commitment_weight=0.
    Cost evaluations per estimate: k, each differentiated to the decoder's input.

    The space-filling variant of the paper (SF-DiVeQ), which quantises to the segments between codes, is not here.

    Args:
        k: samples per estimate, 1 or more.
        std: of the noise on the direction, 0 or more. The default is what the authors' package passes as the standard
            deviation, under the name of a variance.
    """

    name = "diveq"
    latents = (VQ,)
    unbiased = False
    evaluations = "k / k"
    paper = "Vali, Backstrom & Solin 2026"
    kl = "analytic"
    deterministic = True
    own_noise = True

    def __init__(self, k: int = 1, std: float = 0.001):
        super().__init__()
        if k < 1:
            raise ValueError(f"DiVeQ averages over samples, so it needs k >= 1; got k={k}.")
        if std < 0:
            raise ValueError(f"DiVeQ needs noise of std 0 or more; got std={std}.")
        self.k, self.std = k, std

    def forward(self, q: VQ, cost: Cost, x: Tensor) -> Estimate:
        error = q.quantised(q.sample(self.k)) - q.params  # [K, ..., B, N, d]
        length = torch.linalg.vector_norm(error, dim=-1, keepdim=True)  # its gradient at 0 is 0
        direction = unit(error + self.std * q.normal(self.k))
        c = cost(q.place(q.params + length * direction)).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates the vectors, the codebook and the decoder
