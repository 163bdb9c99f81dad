"""Noise substitution in vector quantisation.

* M. H. Vali, T. Backstrom, NSVQ: Noise Substitution in Vector Quantization for Machine Learning, IEEE Access 10, 2022.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.geometry import unit
from estimators.latents import VQ


class NSVQ(Estimator[VQ]):
    """Put noise as long as the quantisation error in its place, and differentiate that length.

        1/K sum_k d cost(v_k),   v_k = vector + |code_k - vector| u_k,   u_k uniform on the unit sphere, held constant
        d v_k = d vector + u_k (unit (code_k - vector))' (d code_k - d vector)

    with code_k ~ q, the nearest code where q's temperature is 0. Biased: the decoder is trained at points around the
    vector that are as far from it as the code is, and never at the code; `cost` is that of these points. Vectors and
    codebook both learn from the cost, so the paper has neither codebook nor commitment loss:
    latent.codebook_weight=0 latent.commitment_weight=0. Noisy also where q is a point mass. Cost evaluations per
    estimate: k, each differentiated to the decoder's input.

    Differs from the paper in leaving out its epsilon and its replacement of unused codes (see latent.restart).

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (VQ,)
    unbiased = False
    evaluations = "k / k"
    paper = "Vali & Backstrom 2022"
    kl = "analytic"
    deterministic = True
    own_noise = True

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"NSVQ averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: VQ, cost: Cost, x: Tensor) -> Estimate:
        error = q.quantised(q.sample(self.k)) - q.params  # [K, ..., B, N, d]
        length = torch.linalg.vector_norm(error, dim=-1, keepdim=True)  # its gradient at 0 is 0
        c = cost(q.place(q.params + length * unit(q.normal(self.k)))).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates the vectors, the codebook and the decoder
