"""The score function with a baseline that does not look at the sample.

* R. J. Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, Machine
  Learning 8, 1992.
* A. Mnih, K. Gregor, Neural Variational Inference and Learning in Belief Networks, ICML 2014, arXiv:1402.0030 (the
  network baseline; with the running mean and the normalisation: NVIL).
"""

from collections.abc import Callable

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.baselines import Baseline, Constant, MovingAverage, Network
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class Reinforce(Estimator):
    """Score each sample by how much it costs beyond the baseline.

        1/K sum_k (cost(z_k) - b) d log q(z_k),   b = 0 | value | running mean | running mean + network(x)

    Unbiased: b depends on the past and on x, never on z_k. Cost evaluations per estimate: k.

    With `normalise` the score is divided by max(1, s), s the running root mean square of cost - b: q's gradient is
    then scaled, hence biased, and the instance says so. What is not part of the cost is not scaled with it: an analytic
    KL then outweighs the likelihood, so normalise with the sampled KL. NVIL moves its running statistics before it uses
    them; here `update` moves them afterwards, so that they never contain the current sample.

    Args:
        k: samples per estimate; all of an example's samples have the same baseline.
        baseline: none, constant, moving_average or network.
        value: of the constant baseline, in nats.
        decay: of the running statistics, per update.
        hidden: width of the network's hidden layer.
        normalise: divide by the running root mean square, where that is above 1.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = True
    evaluations = "k / 0"
    paper = "Williams 1992; Mnih & Gregor 2014"

    def __init__(
        self,
        k: int = 1,
        baseline: str = "none",
        value: float = 0.0,
        decay: float = 0.99,
        hidden: int = 100,
        normalise: bool = False,
    ):
        super().__init__()
        if k < 1:
            raise ValueError(f"Reinforce needs k >= 1 samples; got k={k}.")
        makers: dict[str, Callable[[], Baseline]] = {
            "none": lambda: Constant(0.0),
            "constant": lambda: Constant(value),
            "moving_average": lambda: MovingAverage(decay),
            "network": lambda: Network(decay, hidden),
        }
        if baseline not in makers:
            raise ValueError(f"Reinforce has no baseline {baseline!r}; choose one of {', '.join(makers)}.")
        self.k = k
        self.baseline = makers[baseline]()
        self.square = MovingAverage(decay) if normalise else None
        self.unbiased = not normalise

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        signal = c.detach() - self.baseline(x)
        weight = signal.detach()
        if self.square is not None:
            weight = weight / self.square.centre.sqrt().clamp(min=1)
        score = weight * q.log_prob(z)  # differentiates q
        tuning = (signal**2).mean(0) if isinstance(self.baseline, Network) else None
        return Estimate(loss=(score + c).mean(0), cost=c.mean(0), tuning=tuning)  # c differentiates the decoder

    def update(self, estimate: Estimate) -> None:
        if self.square is not None:
            deviation = estimate.cost.detach() - self.baseline.centre
            self.square.update(deviation**2 if estimate.tuning is None else estimate.tuning)
        self.baseline.update(estimate.cost)
