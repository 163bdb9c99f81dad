"""The relaxed sample: Gumbel-softmax, also called concrete.

* E. Jang, S. Gu, B. Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017, arXiv:1611.01144.
* C. J. Maddison, A. Mnih, Y. W. Teh, The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables,
  ICLR 2017, arXiv:1611.00712.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Discrete
from estimators.schedules import ExponentialAnnealing


class GumbelSoftmax(Estimator[Discrete]):
    """Replace the sample by one on the simplex (for a bit: in the unit interval), and reparameterise that.

        1/K sum_k d cost(soft_k, q),   soft = softmax((logits + Gumbel noise) / temperature)

    Biased: it differentiates the mean cost of the relaxed samples, for the encoder and for the decoder, and its `cost`
    is theirs too. The bias falls and the variance rises as the temperature falls.
    Cost evaluations per estimate: k, each differentiated to z.

    Total derivative: where the cost contains log q(z), that is the log-probability of the discrete q, continued to
    soft_k by its linear form, and q's parameters live in it. To freeze them would drop a term whose mean, soft - probs,
    is 0 for discrete samples only. Of the three objectives that Maddison et al. compare, this is the one with the
    discrete masses (objective.kl=sampled), as in the authors' code for Tucker et al. 2017; Jang et al. have the KL of
    the discrete q in closed form (objective.kl=analytic, where nothing is to freeze). The one with the Concrete
    densities is not here.

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
    paper = "Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017"
    tunable = {"temperature": Range(0.1, 2.0)}

    def __init__(
        self, k: int = 1, temperature: float = 1.0, rate: float = 0.0, minimum: float = 0.5, interval: int = 1000
    ):
        super().__init__()
        if k < 1:
            raise ValueError(f"GumbelSoftmax averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k
        self.temperature = ExponentialAnnealing(temperature, rate, minimum, interval)

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        c = cost(q.relaxed(self.k, self.temperature()), q).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder

    def update(self, estimate: Estimate) -> None:
        self.temperature.update()
