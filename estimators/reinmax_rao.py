"""ReinMax-Rao and ReinMax-CV: two ways of taking noise out of ReinMax.

* D. Wang, T. D. Bui, Beyond ReinMax: Low-Variance Gradient Estimators for Discrete Latent Variables, 2026,
  arXiv:2603.08257.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import Categorical, OneHot
from estimators.reinmax import tangent

# J(p) below is the Jacobian of softmax where it takes the value p: diag(p) - p p'.


class ReinmaxRao(Estimator[Categorical]):
    """ReinMax with the Jacobian at the middle point replaced by a mean over relaxed samples around it.

        1/K sum_k (2 mean_m J(soft_km) / temperature - 1/2 J(probs)) d cost(z_k) / dz
        soft_km = softmax(perturbed log(mid_k) given z_k / temperature),   mid_k = 1/2 (probs + z_k)

    Biased, even for the linear costs where ReinMax is exact: the mean of J(soft) / temperature is not J(mid). ReinMax
    is itself a function of the sample alone, so this is no Rao-Blackwellisation of it; it trades bias for variance. The
    decoder's gradient is unbiased. Cost evaluations per estimate: k, each differentiated to z; the draws need none.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the relaxation, above 0.
        draws: conditional draws of the noise for each sample, 1 or more.
    """

    latents = (Categorical,)
    unbiased = False
    evaluations = "k / k"
    paper = "Wang & Bui 2026"
    tunable = {"temperature": Range(0.5, 2.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0, draws: int = 10):
        super().__init__()
        if k < 1 or draws < 1:
            raise ValueError(f"ReinmaxRao needs k >= 1 samples and draws >= 1 for each; got k={k}, draws={draws}.")
        if temperature <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={temperature}.")
        self.k, self.temperature, self.draws = k, temperature, draws

    def forward(self, q: Categorical, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, D, C]
        rao = conditional_mean(q, z, self.temperature, self.draws)
        c = cost(z + 2 * (rao - rao.detach()) - tangent(q, q.probs.detach()) / 2).mean(0)
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder


class ReinmaxCV(Estimator[Categorical]):
    """ReinMax plus the difference of a conditional mean of relaxed Jacobians and one draw of them.

        1/K sum_k (2 J(mid_k) - 1/2 J(probs) + scale (mean_m J(soft_km) - J(soft_k)) / temperature) d cost(z_k) / dz
        soft_k = softmax((log(mid_k) + noise_k) / temperature),   mid_k = 1/2 (probs + z_k)

    soft_km is drawn as in ReinMax-Rao, noise_k is the noise that decided z_k; public implementations disagree on what
    the single draw is, and this is the reading taken here. Biased, in general otherwise than
    ReinMax: noise_k was conditioned by the logits and soft_km is conditioned by log(mid_k), so the difference does not
    have mean 0 given z_k. (If it had, it could only add variance, as ReinMax is a function of z_k alone.) The decoder's
    gradient is unbiased. Cost evaluations per estimate: k, each differentiated to z; the draws need none.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the relaxations, above 0.
        draws: conditional draws of the noise for each sample, 1 or more.
        scale: of the difference; 0 is ReinMax.
    """

    latents = (Categorical,)
    unbiased = False
    evaluations = "k / k"
    paper = "Wang & Bui 2026"
    tunable = {"temperature": Range(0.5, 2.0), "scale": Range(0.0, 1.0, log=False)}

    def __init__(self, k: int = 1, temperature: float = 1.0, draws: int = 10, scale: float = 0.5):
        super().__init__()
        if k < 1 or draws < 1:
            raise ValueError(f"ReinmaxCV needs k >= 1 samples and draws >= 1 for each; got k={k}, draws={draws}.")
        if temperature <= 0:
            raise ValueError(f"A relaxation needs a temperature above 0; got temperature={temperature}.")
        self.k, self.temperature, self.draws, self.scale = k, temperature, draws, scale

    def forward(self, q: Categorical, cost: Cost, x: Tensor) -> Estimate:
        noise, probs = q.gumbel(self.k), q.probs.detach()  # [K, ..., B, D, C], [..., B, D, C]
        z = q.harden(q.logits.detach() + noise)
        middle = (probs + z) / 2
        rao = conditional_mean(q, z, self.temperature, self.draws)
        single = q.soften(middle.log() + noise + (q.logits - q.logits.detach()), self.temperature)
        difference = rao - single
        reinmax = 2 * tangent(q, middle) - tangent(q, probs) / 2
        c = cost(z + reinmax + self.scale * (difference - difference.detach())).mean(0)
        return Estimate(loss=c, cost=c)  # c differentiates q and the decoder


def conditional_mean(q: OneHot, z: Tensor, temperature: float, draws: int) -> Tensor:
    """Mean over draws of softmax(perturbed log(mid) given z / temperature) `[K, ..., B, D, C]`, the noise held."""
    middle = ((q.probs.detach() + z) / 2).log()
    perturbed = q.with_logits(middle).conditional(z.expand(draws, *z.shape))  # [M, K, ..., B, D, C]
    return q.soften(perturbed + (q.logits - q.logits.detach()), temperature).mean(0)
