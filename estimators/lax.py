"""LAX: the score function with a learned control variate that is reparameterised.

* W. Grathwohl, D. Choi, Y. Wu, G. Roeder, D. Duvenaud, Backpropagation through the Void: Optimizing control variates
  for black-box gradient estimation, ICLR 2018, arXiv:1711.00123.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, as_loss
from estimators.latents import Gaussian
from estimators.surrogates import Surrogate


class Lax(Estimator[Gaussian]):
    """Score each sample by how much it costs beyond a surrogate, and add the surrogate back reparameterised.

        1/K sum_k (cost(z_k) - network(z_k, x)) d log q(z_k) + d network(z_k, x),   z_k = mean + std * noise

    z_k is held in the score term and differentiated in the last one. Unbiased for every network that the current
    samples do not enter: both of its terms have the same mean, the gradient of E network(z, x). REINFORCE where the
    network is 0; the pathwise gradient where it is the cost. `tuning` is the squared norm of the estimate with respect
    to mean and log std; the mean is fixed, so its expectation is the variance up to a constant. Cost evaluations per
    estimate: k; the cost may be a black box.

    The paper's networks have two hidden layers; here one. Where the cost is differentiable, reparameterise it instead:
    until the network has learned the cost, this is REINFORCE without a baseline, and noisier than that.

    Args:
        k: samples per estimate, 1 or more.
        hidden: units of the network's hidden layer. It learns by `tuning`, from past steps only.
    """

    latents = (Gaussian,)
    unbiased = True
    evaluations = "k / 0"
    paper = "Grathwohl et al. 2018"

    def __init__(self, k: int = 1, hidden: int = 100):
        super().__init__()
        if k < 1:
            raise ValueError(f"Lax averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k
        self.network = Surrogate(hidden)

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        self.network.take_sizes(q.mean.detach(), x)

        def control(params: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            posterior = q.with_params(params)
            z = posterior.rsample(self.k)  # [K, ..., B, D]
            return (self.network(z, x), posterior.log_prob(z.detach())), z.detach()

        pulled = torch.func.vjp(control, q.params.detach(), has_aux=True)
        (surrogate, _), pull_back, z = pulled  # type: ignore[misc]
        c = cost(z)  # [K, ..., B]
        (total,) = pull_back((torch.ones_like(surrogate), c.detach() - surrogate))  # [..., B, 2D], summed over K
        gradient = total / self.k
        tuning = (gradient**2).sum(-1)  # [..., B]
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0), tuning)  # c differentiates the decoder
