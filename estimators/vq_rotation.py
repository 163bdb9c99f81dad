"""The rotation trick: past the quantisation of a vector by the rotation that takes it to its code.

* C. Fifty, R. G. Junkins, D. Duan, A. Iyengar, J. W. Liu, E. Amid, S. Thrun, C. Re, Restructuring Vector Quantization
  with the Rotation Trick, ICLR 2025, arXiv:2410.06424.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.geometry import unit
from estimators.latents import VQ


class VQRotation(Estimator[VQ]):
    """Forward the code, backward the rotation and rescaling that take the encoder's vector to it, held constant.

        1/K sum_k d cost(v_k) / dv J_k d vector,   v_k = code_k = J_k vector,   J_k = (|code_k| / |vector|) R_k
        R_k = H(unit code_k) H(unit (unit vector + unit code_k)),   H(u) = I - 2 u u'

    with code_k ~ q, the nearest code where q's temperature is 0. R_k is the rotation in the plane of vector and code,
    so the gradient has the angle to the vector that it had to the code; where the code is parallel to the vector and as
    long, this is straight-through. Biased, as straight-through is. The codebook learns from the codebook loss of the
    objective. Cost evaluations per estimate: k, each differentiated to the decoder's input.

    Differs from the paper in the corner cases alone, which all stay finite: opposite to its code no plane is singled
    out, and R_k is the reflection that takes the vector to it; a vector of length 0 gets straight-through's gradient.
    Do not use it where vectors come near 0: the Jacobian grows as 1 / |vector|.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (VQ,)
    unbiased = False
    evaluations = "k / k"
    paper = "Fifty et al. 2025"
    kl = "analytic"
    deterministic = True

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"VQRotation averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: VQ, cost: Cost, x: Tensor) -> Estimate:
        codes = q.quantised(q.sample(self.k)).detach()  # [K, ..., B, N, d]
        zero = q.params - q.params.detach()  # turned, it stays exactly 0: the decoder sees codes
        c = cost(q.place(codes + turned(zero, q.params.detach(), codes))).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates the vectors and the decoder


def turned(vectors: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """`vectors` under the rotation and rescaling that take `start` to `end`; all `[..., d]`."""
    after, before = (torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in (end, start))
    scale = torch.where(before > 0, after / before, 1)
    target = unit(end)
    return scale * reflected(reflected(vectors, unit(unit(start) + target)), target)


def reflected(vectors: Tensor, normal: Tensor) -> Tensor:
    """`vectors [..., d]` mirrored in the hyperplanes with these unit normals; a normal of 0 mirrors nothing."""
    return vectors - 2 * (vectors * normal).sum(-1, keepdim=True) * normal
