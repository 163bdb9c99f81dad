"""The importance-weighted bound, differentiated through the samples.

* Y. Burda, R. Grosse, R. Salakhutdinov, Importance Weighted Autoencoders, ICLR 2016, arXiv:1509.00519.
* G. Roeder, Y. Wu, D. K. Duvenaud, Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational
  Inference, NeurIPS 2017, arXiv:1703.09194: the path derivative of the bound.
* G. Tucker, D. Lawson, S. Gu, C. J. Maddison, Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives,
  ICLR 2019, arXiv:1810.04152: its bias.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.bounds import bound
from estimators.latents import Gaussian


class IWAE(Estimator[Gaussian]):
    """Reparameterise every sample of the bound.

        -d L_K,   L_K = log 1/K sum_k exp(-cost(z_k, q)),   z_k = mean + std * noise_k

    Total derivative: q's parameters live in z and in log w. Unbiased for L_K: the noise does not depend on q. The
    signal-to-noise ratio of q's gradient falls as K grows: prefer DReG for large k. Its `cost` is -L_K.
    Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples of the bound; k = 1 is plain reparameterisation of the ELBO.
    """

    latents = (Gaussian,)
    unbiased = True
    objective = "iwae"
    evaluations = "k / k"
    paper = "Burda, Grosse & Salakhutdinov 2016"

    def __init__(self, k: int = 5):
        super().__init__()
        if k < 1:
            raise ValueError(f"IWAE needs k >= 1 samples; got k={k}.")
        self.k = k

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        loss = -bound(cost(q.rsample(self.k), q))  # [..., B]
        return Estimate(loss=loss, cost=loss)


class IwaeStl(Estimator[Gaussian]):
    """Sticking the landing on the bound: a negative control.

        sum_k v_k d cost(z_k),   v = softmax(-cost),   z_k = mean + std * noise_k, q frozen in cost

    Biased for k > 1: the score of q that it drops is weighted by v_k, which depends on z_k, so its mean is not 0.
    Unbiased at k = 1, where it is STL. The decoder's gradient is unbiased. Its `cost` is -L_K.
    Cost evaluations per estimate: k, each differentiated to z. For the unbiased estimator of this idea take DReG.

    Args:
        k: samples of the bound.
    """

    latents = (Gaussian,)
    unbiased = False
    objective = "iwae"
    evaluations = "k / k"
    paper = "Roeder, Wu & Duvenaud 2017"

    def __init__(self, k: int = 5):
        super().__init__()
        if k < 1:
            raise ValueError(f"IwaeStl needs k >= 1 samples; got k={k}.")
        self.k, self.unbiased = k, k == 1

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        loss = -bound(cost(q.rsample(self.k)))  # [..., B]
        return Estimate(loss=loss, cost=loss)
