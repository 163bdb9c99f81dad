"""Straight-through: differentiate a sample as if it were something smooth.

* Y. Bengio, N. Leonard, A. Courville, Estimating or Propagating Gradients Through Stochastic Neurons for Conditional
  Computation, 2013, arXiv:1308.3432.
* I. Hubara, M. Courbariaux, D. Soudry, R. El-Yaniv, Y. Bengio, Binarized Neural Networks, NeurIPS 2016: the clipping.
* J. Chung, S. Ahn, Y. Bengio, Hierarchical Multiscale Recurrent Neural Networks, ICLR 2017, arXiv:1609.01704: the
  annealed slope.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ, Bernoulli, Categorical, Discrete, Latent
from estimators.schedules import ExponentialAnnealing

JACOBIANS = ("probs", "identity", "clipped")


class StraightThrough(Estimator[Discrete]):
    """Forward a sample, backward a smooth function of the logits.

        1/K sum_k d cost(z_k) / dz d surrogate,   z_k ~ q,   with a = logits / temperature
        surrogate = softmax(a) or sigmoid(a)    "probs"
                    a                           "identity"
                    a clipped to [-1, 1]        "clipped": the gradient passes where |a| <= 1 (bits only)

    Biased: the slope of the cost at the sample stands in for a difference of costs; "probs" at temperature 1 is exact
    where the cost is linear in z. The decoder's gradient is unbiased. Annealing the temperature is slope annealing, as
    1 / temperature is the slope of the surrogate; the samples are q's own at every slope.
    Cost evaluations per estimate: k, each differentiated to z.

    Args:
        k: samples per estimate, 1 or more.
        jacobian: "probs", "identity" or "clipped".
        temperature: 1 / slope of the surrogate at step 0, above 0.
        rate: of its exponential annealing per training step; 0 keeps it constant.
        minimum: where the annealing ends.
        interval: training steps between two changes of the temperature.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = False
    evaluations = "k / k"
    paper = "Bengio, Leonard & Courville 2013"
    tunable = {"temperature": Range(0.5, 2.0)}

    def __init__(
        self,
        k: int = 1,
        jacobian: str = "probs",
        temperature: float = 1.0,
        rate: float = 0.0,
        minimum: float = 0.5,
        interval: int = 1000,
    ):
        super().__init__()
        if k < 1:
            raise ValueError(f"StraightThrough averages over samples, so it needs k >= 1; got k={k}.")
        if jacobian not in JACOBIANS:
            raise ValueError(f"StraightThrough knows the Jacobians {', '.join(JACOBIANS)}; got jacobian={jacobian}.")
        self.k, self.jacobian = k, jacobian
        self.temperature = ExponentialAnnealing(temperature, rate, minimum, interval)

    def refuses(self, q: Latent) -> str | None:
        if self.jacobian == "clipped" and not isinstance(q, Bernoulli):
            return f"{self.name} clips the logits of bits, not of {q.family} latents; set jacobian=probs or identity."
        return super().refuses(q)

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        surrogate = self._surrogate(q)  # [..., B, *]
        z = q.sample(self.k) + (surrogate - surrogate.detach())  # the bracket is exactly 0: z stays discrete
        c = cost(z).mean(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder

    def update(self, estimate: Estimate) -> None:
        self.temperature.update()

    def _surrogate(self, q: Discrete) -> Tensor:
        if self.jacobian == "probs":
            return q.soften(q.logits, self.temperature())
        scaled = q.logits / self.temperature()
        return scaled.clamp(-1, 1) if self.jacobian == "clipped" else scaled
