"""VarGrad: the gradient of half the variance of the log ratio.

* L. Richter, A. Boustati, N. Nuesken, F. J. R. Ruiz, O. D. Akyildiz, VarGrad: A Low-Variance Gradient Estimator for
  Variational Inference, NeurIPS 2020, arXiv:2010.10436.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class VarGrad(Estimator):
    """Differentiate half the sample variance of the costs along log q, the samples held.

        d 1/2 Var_k(cost(z_k) + log q(z_k) - frozen log q(z_k))
            = 1/(K-1) sum_k (cost(z_k) - mean cost) d log q(z_k)

    Unbiased: draw by draw this is leave-one-out (RLOO), reached from the other side. The paper's objective is the
    variance of log q(z) - log p(x, z); any cost takes that place here, since the frozen log q cancels the live one in
    value and leaves its derivative. The decoder's gradient is that of the mean cost, not of the variance. Cost
    evaluations per estimate: k.

    Args:
        k: samples per estimate, 2 or more.
    """

    name = "vargrad"
    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = True
    evaluations = "k / 0"
    paper = "Richter et al. 2020"
    tunable = {"k": Range(2, 8)}

    def __init__(self, k: int = 4):
        super().__init__()
        if k < 2:
            raise ValueError(f"VarGrad is a variance over samples, so it needs k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c, log_q = cost(z), q.log_prob(z)  # [K, ..., B]
        ratio = c.detach() + (log_q - log_q.detach())
        return Estimate(loss=0.5 * ratio.var(0) + c.mean(0), cost=c.mean(0))  # c differentiates the decoder
