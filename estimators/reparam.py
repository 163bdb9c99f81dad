"""The pathwise gradient of a Gaussian, by reparameterisation.

* D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114.
* D. J. Rezende, S. Mohamed, D. Wierstra, Stochastic Backpropagation and Approximate Inference in Deep Generative
  Models, ICML 2014, arXiv:1401.4082.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import Enumerable, Gaussian, Latent


class Reparam(Estimator[Gaussian]):
    """Move the noise out of q and differentiate through the sample.

        1/K sum_k d cost(z_k, q),   z_k = mean + std * noise_k

    Total derivative: q's parameters live in z and, where the cost contains log q(z), there too.
    Unbiased: the noise does not depend on q. Cost evaluations per estimate: k, with as many backward passes to z.

    Args:
        k: samples per estimate.
    """

    latents = (Gaussian,)
    unbiased = True
    evaluations = "k / k"
    paper = "Kingma & Welling 2014"

    def __init__(self, k: int = 1):
        super().__init__()
        if k < 1:
            raise ValueError(f"Reparam needs k >= 1 samples; got k={k}.")
        self.k = k

    def takes(self, q: Latent) -> bool:
        """A Gaussian, or a family from elsewhere with `rsample(k)`, whose samples have a gradient to the parameters."""
        return super().takes(q) or (callable(getattr(q, "rsample", None)) and not isinstance(q, Enumerable))

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.rsample(self.k), q)  # [K, ..., B]
        return Estimate(loss=c.mean(0), cost=c.mean(0))
