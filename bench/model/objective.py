"""The negative evidence lower bound, split into what an estimator estimates and what needs no estimation."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.model.adapted import Adapted
from bench.model.vae import Model
from bench.problems import Problem
from estimators import VQ, Cost, Estimate, Estimator, Latent

Watch = Callable[[Cost, Latent], Cost]  # what a cost that an estimator is given becomes, and the q it is given with
KL_FORMS = ("analytic", "sampled", "k1_loss", "k2_loss", "k3_loss", "k3_reward")


def unwatched(cost: Cost, q: Latent) -> Cost:
    """The cost itself."""
    return cost


class Objective:
    """-ELBO per example, in nats: `estimate(q, x).loss + fixed(q)`.

    Where the KL comes in, with u = p(z) / q(z):

        analytic     beta KL(q||p) in `fixed`; the cost is -log p(x|z)
        sampled      k1 = -log u in the cost; a K-sample bound needs this with beta = 1: its cost is -log w(z)
        k3_reward    k3 = u - 1 - log u in the cost
        k1_loss      k1 of a draw of its own in the loss, differentiated through q at that draw; so are
        k2_loss      k2 = (log u)^2 / 2
        k3_loss      and k3

    The KL's gradient for q is unbiased with `analytic`, `sampled` and `k2_loss`. With `k1_loss` it is 0 on average, and
    with `k3_loss` that of KL(p||q). With `k3_reward` it lacks a term, unless the cost is differentiated along a path.
    A learned prior gets the gradient of the same terms.
    """

    def __init__(self, model: Model, estimator: Estimator, kl: str = "analytic", beta: float = 1.0):
        self.model, self.estimator, self.kl, self.beta = model, estimator, kl, beta

    def under(self, estimator: Estimator) -> "Objective":
        """The same objective with another estimator."""
        return type(self)(self.model, estimator.to(next(self.model.parameters()).device), self.kl, self.beta)

    def noiseless(self, q: Latent) -> bool:
        """Whether every draw of its gradient is the same."""
        estimator = self.estimator
        return not self.in_loss and (estimator.noiseless or (q.deterministic and not estimator.own_noise))

    @property
    def in_loss(self) -> bool:
        """Whether the KL is a term of the loss with a draw of its own."""
        return self.kl.endswith("_loss")

    @property
    def in_cost(self) -> bool:
        """Whether the KL is a term of the cost."""
        return self.kl in ("sampled", "k3_reward")

    @property
    def noise_of_cost_alone(self) -> bool:
        """Whether the KL brings no noise and is no part of the cost."""
        return self.kl == "analytic" or not self.beta

    def impossible(self, q: Latent) -> str | None:
        """One sentence saying why this estimator cannot serve this objective, or None."""
        name, needs = self.estimator.name, self.estimator.kl
        if isinstance(self.model, Problem) and not self.model.has_prior and self.beta:
            return f"{self.model.name} has no prior, hence no KL: set objective.beta=0."
        if self.estimator.objective == "iwae" and (self.kl != "sampled" or self.beta != 1):
            return f"{name} bounds log p(x) by K samples of -log w(z): set objective.kl=sampled objective.beta=1."
        if self.estimator.rewards and not (isinstance(self.model, Problem) and self.model.rewards):
            return (
                f"{name} divides by the mean reward of a group, and the costs here are no rewards: its signal is 0; "
                "take problem=tokens, or estimator.scale=none or std."
            )
        if self.estimator.rewards and self.in_cost and self.beta:
            return (
                f"{name} divides by the mean reward of a group, and objective.kl={self.kl} adds to the rewards: take "
                "objective.beta=0, objective.kl=analytic, or a form in the loss."
            )
        if needs not in ("any", self.kl):
            return f"{name} is defined for the {needs} KL and does nothing of its own here: set objective.kl={needs}."
        if q.deterministic and self.kl != "analytic":
            return "A deterministic posterior has no log q(z): set objective.kl=analytic or latent.temperature above 0."
        return self.estimator.refuses(q)

    def cost(self, q: Latent, x: Tensor) -> Cost:
        """The cost of points for this q and these images `x [B, X]`."""
        frozen = q.detach()

        def cost(z: Tensor, q: Latent | None = None) -> Tensor:
            nats = -self.model.log_likelihood(x, z)
            if self.in_cost:
                log_u = self.model.log_prior(z, frozen) - (frozen if q is None else q).log_prob(z)
                nats = nats - self.beta * log_u if self.kl == "sampled" else nats + self.beta * (log_u.expm1() - log_u)
            return nats

        return cost

    def shifts(self, q: Latent) -> list[Tensor]:
        """A zero `[..., B, *]` for each layer after the first, to be added to the parameters of its q, whatever that is
        conditioned on: what the gradient with respect to these parameters is taken of."""
        return []

    @property
    def shifted(self) -> list[str]:
        """The block of the gradient that each shift is."""
        return []

    def draw(self, q: Latent, x: Tensor, watch: Watch = unwatched, shifts: Sequence[Tensor] = ()) -> Estimate:
        """What the estimator makes of its cost: `q.params [..., B, *]`, `x [B, ...]`; `shifts` as of that method."""
        return self.estimator(q, watch(self.cost(q, x), q), features(x, q))

    def estimate(self, q: Latent, x: Tensor, shifts: Sequence[Tensor] = ()) -> Estimate:
        """One draw of the estimator, with all that has noise: `q.params [..., B, *]`, `x [B, ...]`."""
        estimate = self.draw(q, x, shifts=shifts)
        if not self.in_loss:
            return estimate
        z = q.sample(1)
        log_u = (self.model.log_prior(z, q.detach()) - q.log_prob(z)).squeeze(0)  # [..., B]
        term = {"k1_loss": -log_u, "k2_loss": 0.5 * log_u.square(), "k3_loss": log_u.expm1() - log_u}[self.kl]
        return estimate._replace(loss=estimate.loss + self.beta * term)

    def fixed(self, q: Latent) -> Tensor:
        """What needs no estimation `[..., B]`: beta KL(q||p) when analytic, codebook losses of a VQ model, what a
        module of anyone's own adds."""
        total = torch.zeros((), dtype=q.params.dtype, device=q.params.device).expand(q.batch_shape)
        if self.kl == "analytic":
            total = total + self.beta * q.kl(self.model.prior())
        if isinstance(q, VQ) and self.model.codebook is not None:
            total = total + self.model.codebook.loss(q)
        if isinstance(self.model, Adapted) and (own := self.model.losses(q)) is not None:
            total = total + own
        return total


def features(x: Tensor, q: Latent) -> Tensor:
    """What an estimator reads of the data `x [B, ...]`: numbers `[B, X]` of q's dtype."""
    return (x if x.ndim == 2 else x.reshape(len(x), -1)).to(q.params.dtype)
