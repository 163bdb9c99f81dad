"""The exact gradient: every state enumerated, or Gauss-Hermite quadrature.

* G. H. Golub, J. H. Welsch, Calculation of Gauss Quadrature Rules, Mathematics of Computation 23, 1969 (nodes and
  weights as an eigenvalue problem).
"""

from decimal import Decimal
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from estimators.base import Cost, Estimate, Estimator
from estimators.chunks import at_once
from estimators.latents import VQ, Bernoulli, Categorical, Enumerable, Gaussian, Latent, Sequence
from estimators.latents.base import possible

GAUSS = 128  # nodes; beyond, their spacing shrinks too slowly
REACH = 10.0  # standard deviations that equally spaced nodes cover


class Exact(Estimator):
    """Sum over all states, or over the nodes of a product quadrature.

        d sum_s q(z_s) cost(z_s)                                     discrete: s runs over all states
        d sum_s w_s cost(z_s, q),   z_s = mean + std * node_s        gaussian: nodes ** D points

    Exact, hence unbiased: nothing is drawn. For a Gaussian, exact where the cost is a polynomial of degree below
    2 * nodes in each coordinate, as good as the quadrature for other smooth costs, off by per cents at kinks, and wrong
    where the cost jumps; a measurement takes it for a reference only where more nodes change nothing. Cost evaluations
    per estimate: one per point; discrete states are shared by all examples, so the decoder runs once per state. Points
    are taken in chunks, each computed again in the backward pass, so memory is that of one chunk.

    Args:
        limit: the largest number of points to sum over.
        nodes: quadrature nodes per Gaussian coordinate: Gauss-Hermite up to 128, and equally spaced beyond, since costs
            with kinks need nodes close together.

    Raises:
        ValueError: from `forward`, where there are more points than `limit`.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = True
    noiseless = True
    evaluations = "C**D or nodes**D / 0 if C else nodes**D"

    nodes_1d: Tensor
    weights_1d: Tensor

    def __init__(self, limit: int = 2**14, nodes: int = 20):
        super().__init__()
        if limit < 1 or nodes < 1:
            raise ValueError(f"Exact needs limit >= 1 and nodes >= 1; got limit={limit}, nodes={nodes}.")
        self.limit, self.nodes = limit, nodes
        nodes_1d, weights_1d = quadrature(nodes)
        self.register_buffer("nodes_1d", nodes_1d, persistent=False)
        self.register_buffer("weights_1d", weights_1d, persistent=False)

    def points(self, q: Latent) -> int:
        """How many points the sum has."""
        return q.states if isinstance(q, Enumerable) else self.nodes ** (q.params.shape[-1] // 2)

    def refuses(self, q: Latent) -> str | None:
        if reason := super().refuses(q):
            return reason
        if not isinstance(q, Enumerable | Gaussian):
            return f"{self.name} sums over states or integrates a Gaussian, and {q.family} latents are neither."
        if (points := self.points(q)) > self.limit:
            return (
                f"{self.name} would sum over {Decimal(points):.3g} points of this {q.family} latent, more than "
                f"limit={self.limit}; take fewer coordinates, raise the limit, or sample with an unbiased estimator."
            )
        return None

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        if reason := self.refuses(q):
            raise ValueError(reason)
        points = self.points(q)
        if isinstance(q, Enumerable):
            part = partial(enumerated, q, cost)
            chunk = at_once(q.params, max(q.params.numel(), x.numel()))
        elif isinstance(q, Gaussian):
            part = partial(integrated, q, cost, self.nodes_1d, self.weights_1d)
            own = q.batch_shape.numel() * x.shape[-1]  # every example has its own points
            chunk = at_once(q.params, max(q.params.numel(), own))
        if chunk >= points:
            loss = part(0, points)
        else:
            ranges = ((start, min(start + chunk, points)) for start in range(0, points, chunk))
            loss = sum(checkpoint(part, *r, use_reentrant=False, preserve_rng_state=False) for r in ranges)
        return Estimate(loss=loss, cost=loss)


def enumerated(q: Enumerable, cost: Cost, start: int, stop: int) -> Tensor:
    """The part `[..., B]` of the expectation that states start..stop make up."""
    z = q.enumerate(start, stop)  # [S, 1, ..., 1, *]
    log_q = q.log_prob(z)
    return (log_q.exp() * possible(log_q, cost(z))).sum(0)


def integrated(q: Gaussian, cost: Cost, nodes: Tensor, weights: Tensor, start: int, stop: int) -> Tensor:
    """The part `[..., B]` of the expectation that points start..stop of the product grid make up."""
    size, ones = q.mean.shape[-1], [1] * len(q.batch_shape)
    index = torch.arange(start, stop, device=q.mean.device)
    digits = index[:, None] // len(nodes) ** torch.arange(size, device=index.device) % len(nodes)  # [S, D]
    node = nodes.to(q.mean.dtype)[digits].view(-1, *ones, size)
    weight = weights.to(q.mean.dtype)[digits].prod(-1).view(-1, *ones)
    return (weight * cost(q.mean + q.std * node, q)).sum(0)


def quadrature(nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights `[nodes]` of the standard normal in float64."""
    if nodes <= GAUSS:
        return gauss_hermite(nodes)
    points = torch.linspace(-REACH, REACH, nodes, dtype=torch.float64)
    weights = torch.exp(-0.5 * points.square())
    return points, weights / weights.sum()


def gauss_hermite(nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes `[nodes]` and weights `[nodes]` of the standard normal in float64; the weights sum to 1."""
    off_diagonal = torch.arange(1, nodes, dtype=torch.float64).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off_diagonal, 1) + torch.diag(off_diagonal, -1))
    return values, vectors[0] ** 2
