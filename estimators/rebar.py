"""REBAR: REINFORCE with the relaxed sample as a control variate.

* G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, REBAR: Low-variance, unbiased gradient estimates for
  discrete latent variable models, NeurIPS 2017, arXiv:1703.07370.
"""

import math

import torch
from torch import Tensor, nn

from estimators.base import Cost, Estimate, Estimator, Range, as_loss
from estimators.latents import VQ, Bernoulli, Categorical, Discrete

RELAXATIONS = ("muprop", "concrete")


class Rebar(Estimator[Discrete]):
    """Subtract from the score term what a relaxed sample explains, and add it back reparameterised.

        1/K sum_k (cost(z) - s cost(soft~)) d log q(z) + s d cost(soft) - s d cost(soft~)

        z = harden(noisy), soft = relax(noisy), soft~ = relax(noisy~)
        noisy = perturbed logits, noisy~ = perturbed logits given z
        relax(noisy) = soften(noisy, T)                           "concrete"
                     = soften(noisy + T^2 / (T + 1) logits, T)    "muprop"

    Unbiased for every scale s and temperature T: given z, soft~ is distributed as soft is, so the terms in s have mean
    0. Either relaxation tends to z as T falls; as T grows, "muprop" tends to the probabilities, the point around which
    MuProp expands, where "concrete" forgets the logits. `tuning` is the squared norm of the estimate with respect to
    the logits; the mean is fixed, so its expectation is the variance up to a constant. The decoder's gradient comes
    from z alone. Cost evaluations per estimate: 3k, of which 2k are differentiated to z.

    "muprop" is the default because it is that of the authors' code, for bits, where the relaxation has the logit
    (T^2 + T + 1) / (T + 1) / T times; for categories it is taken to their logits here.

    Args:
        k: samples per estimate, 1 or more.
        scale: s of the control variate at the start.
        temperature: T of the relaxation at the start, above 0.
        relaxation: muprop or concrete.
        learn: train s and log T by `tuning`; otherwise they stay, and there is no `tuning`.
    """

    latents = (Bernoulli, Categorical, VQ)
    unbiased = True
    evaluations = "3k / 2k"
    paper = "Tucker et al. 2017"
    tunable = {"temperature": Range(0.1, 2.0), "scale": Range(0.0, 1.5, log=False)}

    def __init__(
        self,
        k: int = 1,
        scale: float = 1.0,
        temperature: float = 0.5,
        relaxation: str = "muprop",
        learn: bool = True,
    ):
        super().__init__()
        if k < 1:
            raise ValueError(f"Rebar averages over samples, so it needs k >= 1; got k={k}.")
        if temperature <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={temperature}.")
        if relaxation not in RELAXATIONS:
            raise ValueError(f"Rebar knows the relaxations {', '.join(RELAXATIONS)}; got relaxation={relaxation}.")
        self.k, self.relaxation, self.learn = k, relaxation, learn
        self.scale = nn.Parameter(torch.tensor(float(scale)), requires_grad=learn)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learn)

    def forward(self, q: Discrete, cost: Cost, x: Tensor) -> Estimate:
        def control(logits: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            posterior = q.with_logits(logits)
            perturbed = posterior.perturbed(self.k)  # [K, ..., B, *]
            z = posterior.harden(perturbed.detach())
            soft = cost(self.relax(posterior, perturbed))  # [K, ..., B]
            conditional = cost(self.relax(posterior, posterior.conditional(z)))
            return soft - conditional, (z, conditional)

        pulled = torch.func.vjp(control, q.natural.detach(), has_aux=True)
        difference, pull_back, (z, conditional) = pulled  # type: ignore[misc]
        (pathwise,) = pull_back(torch.ones_like(difference))  # [..., B, *], summed over K
        c = cost(z)  # [K, ..., B]
        reward = c.detach() - self.scale * conditional
        score = reward[(..., *[None] * q.event_ndim)] * q.score(z)
        gradient = score.mean(0) + self.scale * pathwise / self.k
        tuning = (gradient**2).sum(tuple(range(-q.event_ndim, 0))) if self.learn else None  # [..., B]
        return Estimate(as_loss(q, gradient) + c.mean(0), c.mean(0), tuning)  # c differentiates the decoder

    def relax(self, q: Discrete, noisy: Tensor) -> Tensor:
        """The relaxed sample of perturbed logits, both `[K, ..., B, *]`, with gradient to q's logits and to T."""
        temperature = self.log_temperature.exp()
        if self.relaxation == "muprop":
            noisy = noisy + temperature**2 / (temperature + 1) * q.logits
        return q.soften(noisy, temperature)
