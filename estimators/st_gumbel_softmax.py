"""Gumbel-softmax with a discrete sample in the forward pass.

* E. Jang, S. Gu, B. Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017, arXiv:1611.01144.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Discrete
from estimators.schedules import ExponentialAnnealing


class STGumbelSoftmax(Estimator[Discrete]):
    """Forward the sample, backward the relaxed sample that the same noise makes.

        1/K sum_k d cost(z_k) / dz d soft_k,   soft = softmax((logits + Gumbel noise) / temperature), z = its largest

    Biased: the slope of the cost at the sample stands in for a difference of costs, and the slope of the relaxed sample
    for the jump of the sample. The decoder's gradient is unbiased. Cost evaluations per estimate: k, each
    differentiated to z.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the relaxation at step 0, above 0.
        rate: of its exponential annealing per training step; 0 keeps it constant.
        minimum: where the annealing ends.
        interval: training steps between two changes of the temperature.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = False
    evaluations = "k / k"
    paper = "Jang, Gu & Poole 2017"
    tunable = {"temperature": Range(0.1, 2.0)}

    def __init__(
        self, k: int = 1, temperature: float = 1.0, rate: float = 0.0, minimum: float = 0.5, interval: int = 1000
    ):
        super().__init__()
        if k < 1:
            raise ValueError(f"STGumbelSoftmax averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k
        self.temperature = ExponentialAnnealing(temperature, rate, minimum, interval)

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        perturbed = q.perturbed(self.k)  # [K, ..., B, *]
        soft = q.soften(perturbed, self.temperature())
        z = q.harden(perturbed.detach()) + (soft - soft.detach())  # the bracket is exactly 0: z stays discrete
        c = cost(z).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder

    def update(self, estimate: Estimate) -> None:
        self.temperature.update()
