"""Straight-through Gumbel-softmax with one temperature for the sample and one for its gradient.

* R. Shah, M. Yan, M. C. Mozer, D. Liu, Improving Discrete Optimisation Via Decoupled Straight-Through Gumbel-Softmax,
  2024, arXiv:2410.13331.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Categorical, OneHot


class DecoupledSTGumbel(Estimator[OneHot]):
    """Forward a sharper or flatter sample, backward a smoother or steeper softmax of the same noise.

        1/K sum_k d cost(z_k) / dz d soft_k
        z_k = largest of logits / forward_temperature + Gumbel noise,   soft_k = softmax(logits / temperature + noise)

    Both temperatures divide the logits and not the noise, so the samples are those of softmax(logits /
    forward_temperature): they are q's own only at forward_temperature 1, and an analytic KL remains q's. Biased: the
    slope of the cost at the sample stands in for a difference of costs. The decoder's gradient is unbiased where the
    samples are q's. Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples per estimate, 1 or more.
        forward_temperature: of the distribution that is sampled, above 0.
        temperature: of the softmax that is differentiated, above 0.
    """

    latents = (Categorical, VQ)
    unbiased = False
    evaluations = "k / k"
    paper = "Shah, Yan, Mozer & Liu 2024"
    tunable = {"temperature": Range(0.5, 8.0)}

    def __init__(self, k: int = 1, forward_temperature: float = 1.0, temperature: float = 2.0):
        super().__init__()
        if k < 1:
            raise ValueError(f"DecoupledSTGumbel averages over samples, so it needs k >= 1; got k={k}.")
        if forward_temperature <= 0 or temperature <= 0:
            raise ValueError(
                f"Both temperatures need to be above 0; got forward_temperature={forward_temperature}, "
                f"temperature={temperature}."
            )
        self.k, self.forward_temperature, self.temperature = k, forward_temperature, temperature

    def forward(self, q: OneHot, cost: Cost, x: Tensor) -> Estimate:
        noise = q.gumbel(self.k)  # [K, ..., B, D, C]
        soft = q.soften(q.logits / self.temperature + noise, 1.0)
        z = q.harden(q.logits.detach() / self.forward_temperature + noise)
        c = cost(z + (soft - soft.detach())).mean(0)  # the bracket is exactly 0: the point stays discrete
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder
