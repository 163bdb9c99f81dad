"""The score function as it should be, from which the planted errors of the conformance kit depart in one thing each."""

from torch import Tensor

from estimators import Bernoulli, Cost, Estimate, Estimator, Latent


class Right(Estimator):
    """The score function, as it should be: what the planted errors depart from.

    Args:
        k: samples per estimate, 1 or more.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "k / 0"

    def __init_subclass__(cls, documented: bool = True, **kwargs):
        super().__init_subclass__(**kwargs)
        if documented and "Args:" not in (cls.__doc__ or ""):
            cls.__doc__ = f"{cls.__doc__}\n\n    Args:\n        k: samples per estimate.\n"

    def __init__(self, k: int = 2):
        super().__init__()
        if k < 1:
            raise ValueError(f"It averages over samples, so it needs k >= 1; got k={k}.")
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)
        return self.finish(c, q.log_prob(z))

    def finish(self, c: Tensor, log_q: Tensor) -> Estimate:
        """`c`, `log_q` `[K, ..., B]`."""
        return Estimate((c.detach() * log_q + c).mean(0), c.mean(0))
