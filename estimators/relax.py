"""RELAX: REBAR with a learned control variate.

* W. Grathwohl, D. Choi, Y. Wu, G. Roeder, D. Duvenaud, Backpropagation through the Void: Optimizing control variates
  for black-box gradient estimation, ICLR 2018, arXiv:1711.00123.
"""

import math

import torch
from torch import Tensor, nn

from estimators.base import Cost, Estimate, Estimator, Range, as_loss
from estimators.latents import Bernoulli, Categorical, Discrete
from estimators.latents.base import ruled_out
from estimators.surrogates import Surrogate


class Relax(Estimator[Discrete]):
    """Subtract from the score term what a surrogate of the noise explains, and add it back reparameterised.

        1/K sum_k (cost(z) - surrogate(noisy~)) d log q(z) + d surrogate(noisy) - d surrogate(noisy~)

        noisy = perturbed logits, z = harden(noisy), noisy~ = perturbed logits given z
        surrogate(noisy) = network(noisy, x) + s cost(soften(noisy, T))

    the last term only with `relaxed`. Unbiased for every network, scale s and temperature T that the current samples do
    not enter: given z, noisy~ is distributed as noisy is, so the surrogate's terms have mean 0. Each sample's cost
    multiplies its own score: a product of averages over k would be biased. REINFORCE where the surrogate is 0; REBAR
    with relaxation=concrete, which is that of the authors' code, where the network is. `tuning` is the squared norm of
    the estimate with respect to the logits; the mean is fixed, so its expectation is the variance up to a constant. The
    decoder's gradient comes from z alone. Cost evaluations per estimate: k; with `relaxed` 3k, of which 2k are
    differentiated to z.

    The paper's networks have two hidden layers; here one. Without `relaxed` the cost may be a black box, but until the
    network has learned it this is REINFORCE without a baseline, and noisier than that.

    Args:
        k: samples per estimate, 1 or more.
        relaxed: add the cost of the relaxed sample to the surrogate, as the paper does for VAEs.
        scale: s at the start.
        temperature: T at the start, above 0.
        hidden: units of the network's hidden layer. It, s and log T learn by `tuning`, from past steps only.
    """

    latents = (Bernoulli, Categorical)
    unbiased = True
    evaluations = "3k if relaxed else k / 2k if relaxed else 0"
    paper = "Grathwohl et al. 2018"
    tunable = {"temperature": Range(0.1, 2.0), "scale": Range(0.0, 1.5, log=False)}

    def __init__(
        self, k: int = 1, relaxed: bool = True, scale: float = 1.0, temperature: float = 0.5, hidden: int = 100
    ):
        super().__init__()
        if k < 1:
            raise ValueError(f"Relax averages over samples, so it needs k >= 1; got k={k}.")
        if temperature <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={temperature}.")
        self.k, self.relaxed = k, relaxed
        self.network = Surrogate(hidden)
        self.scale = nn.Parameter(torch.tensor(float(scale)), requires_grad=relaxed)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=relaxed)

    def surrogate(self, q: Discrete, noisy: Tensor, cost: Cost, x: Tensor) -> Tensor:
        """What noisy logits `[K, ..., B, *]` are expected to cost `[K, ..., B]`."""
        certain = ruled_out(-noisy.detach().abs())  # an infinite logit would be all that the network sees
        value = self.network(noisy.masked_fill(certain, 0).flatten(-q.event_ndim), x)
        if self.relaxed:
            value = value + self.scale * cost(q.soften(noisy, self.log_temperature.exp()))
        return value

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        self.network.take_sizes(q.natural.detach().flatten(-q.event_ndim), x)

        def control(logits: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            posterior = q.with_logits(logits)
            noisy = posterior.perturbed(self.k)  # [K, ..., B, *]
            z = posterior.harden(noisy.detach())
            conditional = self.surrogate(posterior, posterior.conditional(z), cost, x)  # [K, ..., B]
            return self.surrogate(posterior, noisy, cost, x) - conditional, (z, conditional)

        pulled = torch.func.vjp(control, q.natural.detach(), has_aux=True)
        difference, pull_back, (z, conditional) = pulled  # type: ignore[misc]
        (pathwise,) = pull_back(torch.ones_like(difference))  # [..., B, *], summed over K
        c = cost(z)  # [K, ..., B]
        reward = (c.detach() - conditional)[(..., *[None] * q.event_ndim)]
        score = reward * q.score(z)
        gradient = score.mean(0) + pathwise / self.k
        tuning = (gradient**2).sum(tuple(range(-q.event_ndim, 0)))  # [..., B]
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0), tuning)  # c differentiates the decoder
