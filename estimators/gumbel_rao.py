"""Gumbel-Rao: straight-through Gumbel-softmax with the noise integrated out, given the sample.

* M. B. Paulus, C. J. Maddison, A. Krause, Rao-Blackwellizing the Straight-Through Gumbel-Softmax Gradient Estimator,
  ICLR 2021, arXiv:2010.04838.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Discrete


class GumbelRao(Estimator[Discrete]):
    """Forward the sample, backward the mean of relaxed samples that could have made it.

        1/K sum_k d cost(z_k) / dz mean_m d soft_km,   soft_km = softmax(perturbed logits given z_k / temperature)

    where the noise is held: perturbed logits move with the logits one to one, as in straight-through Gumbel-softmax.
    Biased exactly as that is: both have the same mean. With one draw both have the same distribution; the variance
    falls with the number of draws, down to the part that the sample has. The decoder's gradient is unbiased. Cost
    evaluations per estimate: k, each differentiated to z; the draws need none, but each costs a softmax.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the relaxation, above 0.
        draws: conditional draws of the noise for each sample, 1 or more.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = False
    evaluations = "k / k"
    paper = "Paulus, Maddison & Krause 2021"
    tunable = {"temperature": Range(0.1, 2.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0, draws: int = 10):
        super().__init__()
        if k < 1 or draws < 1:
            raise ValueError(f"GumbelRao needs k >= 1 samples and draws >= 1 for each; got k={k}, draws={draws}.")
        if temperature <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={temperature}.")
        self.k, self.temperature, self.draws = k, temperature, draws

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        z, logits = q.sample(self.k), q.logits  # [K, ..., B, *], [..., B, *]
        perturbed = q.conditional(z.repeat(self.draws, *[1] * logits.ndim)).detach()  # [M K, ..., B, *]
        soft = q.soften(perturbed + (logits - logits.detach()), self.temperature)  # the noise is held
        soft = soft.unflatten(0, (self.draws, self.k)).mean(0)  # [K, ..., B, *]
        c = cost(z + (soft - soft.detach())).mean(0)  # the bracket is exactly 0: the point stays discrete
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder
