"""Straight-through past the quantisation of a vector.

* A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural Discrete Representation Learning, NeurIPS 2017, arXiv:1711.00937.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import VQ


class VQStraightThrough(Estimator[VQ]):
    """Forward the code, backward the identity to the encoder's vector.

        1/K sum_k d cost(v_k) / dv d vector,   v_k = code_k, code_k ~ q (the nearest code where q's temperature is 0)

    Biased: the slope of the cost at the code stands in for a difference of costs between codes. The codebook gets no
    gradient here: it learns from the codebook loss of the objective. Cost evaluations per estimate: k, each
    differentiated to the decoder's input.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (VQ,)
    unbiased = False
    evaluations = "k / k"
    paper = "van den Oord, Vinyals & Kavukcuoglu 2017"
    kl = "analytic"
    deterministic = True

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"VQStraightThrough averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: VQ, cost: Cost, x: Tensor) -> Estimate:
        codes = q.quantised(q.sample(self.k)).detach()  # [K, ..., B, N, d]
        vectors = codes + (q.params - q.params.detach())  # the bracket is exactly 0: the decoder sees codes
        c = cost(q.place(vectors)).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates the vectors and the decoder
