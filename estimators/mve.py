"""MVE: straight-through of least variance, under a limit on its bias.

* Hooper, Shekhovtsov, Generalized and Optimal Straight-Through Estimators, AISTATS 2026.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Categorical, OneHot

RIDGE = 1e-14  # of the diagonal; see `solved`


class MVE(Estimator[OneHot]):
    """Forward the sample, backward the slope of the cost through a matrix that depends on the category drawn.

        1/K sum_k S_x' d cost(z_k) / dz,   x the category of z_k, for each coordinate
        S_x,i = ((1 + t p_i) v_i - t p_i v_x + t [i = x] J_x) / n_ix,   n_ij = 1 + t (p_i + p_j),   J = diag p - p p'

    with t the temperature, S_x,i and J_i rows i, and rows v_i that solve A v = B, which makes the mean of S_x over x
    the Jacobian J of softmax:

        A_ij = -t p_i p_j / n_ij,   A_ii = (1 + t p_i) sum_j p_j / n_ij - t p_i^2 / n_ii
        B_i = (1 + t p_i) / (1 + 2 t p_i) J_i

    Biased; exact where the cost is linear in each coordinate's z, at every temperature. As t falls to 0 it becomes
    straight-through; as t grows the bias for quadratic costs vanishes and the variance rises. The decoder's gradient
    is unbiased. Cost evaluations per estimate: k, each differentiated to z; each estimate factorises one C x C
    matrix for each example and coordinate, in float64.

    When not to use it: many categories, whose matrices cost C^3.

    Args:
        k: samples per estimate, 1 or more.
        temperature: t, above 0.
    """

    latents = (Categorical, VQ)
    unbiased = False
    evaluations = "k / k"
    paper = "Hooper & Shekhovtsov 2026"
    tunable = {"temperature": Range(0.1, 10.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0):
        super().__init__()
        if k < 1:
            raise ValueError(f"MVE averages over samples, so it needs k >= 1; got k={k}.")
        if not 0 < temperature < float("inf"):
            raise ValueError(f"MVE needs a finite temperature above 0; got temperature={temperature}.")
        self.k, self.temperature = k, temperature

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        z, t = q.sample(self.k), self.temperature  # [K, ..., B, D, C]
        probs = q.logits.detach().double().softmax(-1)  # [..., B, D, C]
        softmax = q.logits.double() - q.logits.detach()  # zero, with the identity to the logits
        softmax = probs * (softmax - (probs * softmax).sum(-1, keepdim=True))  # zero, with the Jacobian J
        v = solved(probs, t, (1 + t * probs) / (1 + 2 * t * probs) * softmax)  # zero, with the Jacobian v
        chosen = z.double()

        def at(values: Tensor) -> Tensor:
            return (chosen * values).sum(-1, keepdim=True)

        tangent = (1 + t * probs) * v - t * probs * at(v) + t * chosen * softmax
        tangent = tangent / (1 + t * (probs + at(probs)))  # [K, ..., B, D, C]
        c = cost(z + tangent.to(z.dtype)).mean(0)
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder


def solved(probs: Tensor, t: float, right: Tensor) -> Tensor:
    """The solution v of A v = right, `[..., C]` each, in float64, with gradient to `right`.

    A is symmetric with a positive diagonal that dominates, and becomes singular as t grows, along the vector of ones
    and where p vanishes: in directions whose share in S_x is divided by t. So a ridge that rounding would not notice
    stands in for least squares.
    """
    inverse = (1 + t * (probs.unsqueeze(-1) + probs.unsqueeze(-2))).reciprocal_()  # 1 / n [..., C, C]
    diagonal = (1 + t * probs) * (inverse @ probs.unsqueeze(-1)).squeeze(-1)
    matrix = inverse.mul_(probs.unsqueeze(-1)).mul_(-t * probs.unsqueeze(-2))  # in place: the largest tensor here
    matrix.diagonal(dim1=-2, dim2=-1).add_((1 + RIDGE) * diagonal)
    factor, _ = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
