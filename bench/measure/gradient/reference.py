"""The reference gradients of a bias: enumerated, integrated to a known error, or drawn."""

from typing import NamedTuple

from torch import Tensor

from bench.measure.gradient.draws import take
from bench.measure.gradient.parts import Tallies, parts
from bench.model.adapted import Adapted
from bench.model.objective import Objective
from bench.model.vae import VAE
from estimators import Cost, Estimate, Estimator, Gaussian, Latent
from estimators.exact import Exact
from estimators.reparam import Reparam
from estimators.rloo import RLOO

QUADRATURE = "quadrature"
TOLERANCE = 2e-3  # the largest error of quadrature, relative to the norm of the encoder's gradient
FLOOR = 1e-6  # nats; the largest error where the gradient is 0


class Reference(NamedTuple):
    """The gradients of a reference on the probe batches, computed once for all estimators compared with it.

    Attributes:
        name: exact (enumerated, or known), quadrature, or the estimator that was drawn.
        draws: per probe batch; 0 where nothing was drawn.
        tallies: one for each probe batch.
        errors: part -> estimated squared error of quadrature (nats^2), mean over probe batches.
    """

    name: str
    draws: int
    tallies: list[Tallies]
    errors: dict[str, float] = {}


def draw_reference(objective: Objective, probe: Tensor, draws: int, *, memory: float = 256) -> Reference:
    """Compute a reference on `probe [M, B, X]`, with noise from PyTorch's current random stream.

    `exact` of a Gaussian is quadrature: the nodes are doubled until the encoder's gradient changes by less than
    `TOLERANCE`. Where that takes more points than the estimator's limit, as with kinks in several coordinates, the
    reference is drawn instead: by `reparam` for a VAE or a user's module, by `rloo` for any other cost, which may have
    jumps. `draws` are per probe batch; `memory` is that of a chunk, in MiB.
    """
    estimator = objective.estimator
    q = objective.model.encode(probe[0])
    if isinstance(estimator, Exact) and isinstance(q, Gaussian):
        if found := _integrated(objective, estimator, probe, memory):
            return found
        objective = objective.under(Reparam() if isinstance(objective.model, VAE | Adapted) else RLOO())
        estimator = objective.estimator
    tallies = [take(objective, x, draws, memory=memory) for x in probe]
    return Reference(estimator.name, 0 if estimator.noiseless else draws, tallies)


class Scored(Estimator[Gaussian]):
    """Quadrature of the score-function gradient, cost(z) d log q(z), at fixed nodes; right for costs with jumps too."""

    latents = (Gaussian,)
    unbiased = True
    noiseless = True
    evaluations = "nodes**D / 0"

    def __init__(self, exact: Exact):
        super().__init__()
        self.exact = exact

    def forward(self, q: Gaussian, cost: Cost, x: Tensor) -> Estimate:
        live = q

        def scored(z: Tensor, q: Latent | None = None) -> Tensor:
            c = cost(z)
            return c.detach() * live.log_prob(z) + c

        return self.exact(q.detach(), scored, x)


def _integrated(objective: Objective, exact: Exact, probe: Tensor, memory: float) -> Reference | None:
    """The reference by quadrature, or None if its error exceeds the tolerance or the cost has jumps."""
    q, nodes, coarse = objective.model.encode(probe[0]), max(exact.nodes // 2, 2), None
    while (finer := Exact(exact.limit, nodes)).refuses(q) is None:
        fine = [take(objective.under(finer), x, 1, memory=memory) for x in probe]
        if coarse is not None:
            errors = _errors(fine, coarse)
            norm = sum(_norm_sq(t, name) for t in fine for name in parts(t, False)["encoder"]) / len(fine)
            if errors["encoder"] <= TOLERANCE**2 * norm + FLOOR**2:
                return (
                    Reference(QUADRATURE, 0, fine, errors) if _continuous(objective, finer, probe[0], fine[0]) else None
                )
        coarse, nodes = fine, 2 * nodes
    return None


def _continuous(objective: Objective, exact: Exact, x: Tensor, path: Tallies) -> bool:
    """Whether score-function and pathwise gradient agree; they do not for a cost with jumps."""
    score = take(objective.under(Scored(exact)), x, 1, decoder=False)
    return _distance_sq(path, score, "latent") <= (5 * TOLERANCE) ** 2 * _norm_sq(score, "latent") + FLOOR**2


def _errors(fine: list[Tallies], coarse: list[Tallies]) -> dict[str, float]:
    """The squared error of the finer quadrature by part or block, mean over the probe batches. The error is taken as
    twice the distance of the two, since at kinks it falls only as fast as the number of nodes rises, and unevenly."""
    return {
        part: 4
        * sum(_distance_sq(a, b, name) for a, b in zip(fine, coarse, strict=True) for name in blocks)
        / len(fine)
        for part, blocks in parts(fine[0], True).items()
    }


def _distance_sq(one: Tallies, other: Tallies, block: str) -> float:
    return float((one[block].mean().double() - other[block].mean().double()).square().sum())


def _norm_sq(tallies: Tallies, block: str) -> float:
    return float(tallies[block].mean().double().square().sum())
