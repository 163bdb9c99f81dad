"""Small discrete q with interacting costs, their noise enumerated or integrated, and planted errors of the noise."""

import math

import numpy as np
import pytest
import torch

from estimators import VQ, Bernoulli, Categorical
from estimators.vq_straight_through import VQStraightThrough
from tests.support.injection import injected, replicated

# logits, and the exact gradient of E three_bits with respect to them
THREE_BITS = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64)
GRADIENT = torch.tensor([[0.01865208589731296, 0.3989724843577506, -0.02695848095446493]], dtype=torch.float64)


def three_bits(b, q=None):
    squared = (b @ torch.tensor([1, -2, 0.5], dtype=b.dtype) - 0.4) ** 2
    return squared + b.prod(-1) / 2 + (0.3 * b[..., 0] - 0.2 * b[..., 1]).exp()


def interacting(z, q=None):
    """A cost of points `[K, ..., B, D, C]` in which every pair of coordinates interacts."""
    size = math.prod(z.shape[-2:])
    features = z.flatten(-2) @ torch.linspace(-1, 1, 3 * size, dtype=z.dtype).cos().mul(9).sin().view(size, 3)
    return features[..., 0] * features[..., 1] + (0.5 * features[..., 2]).exp() + features.sum(-1) ** 2


def gumbels(*shape):
    """Standard Gumbel noise of this shape, in float64."""
    return -(-torch.rand(shape, dtype=torch.float64).log()).log()


def make(family, batch):
    generator = torch.Generator().manual_seed(1)
    shape = {"bernoulli": (3,), "categorical": (2, 3), "vq": (2, 2)}[family]
    params = torch.randn(*batch, *shape, dtype=torch.float64, generator=generator).requires_grad_()
    codebook = torch.randn(3, 2, dtype=torch.float64, generator=generator)
    return {"bernoulli": Bernoulli, "categorical": Categorical, "vq": lambda p: VQ(p, codebook, 0.7)}[family](params)


def at_vectors(z, q=None):
    """A cost of vectors that VQ places in the decoder's input."""
    return interacting(z[..., -2:])


def cost_of(q, estimator=None):
    if estimator is VQStraightThrough:
        return at_vectors
    return three_bits if isinstance(q, Bernoulli) else interacting


def moments(gradients, weights):
    """Mean, and trace of the covariance, of gradients `[R, *]` that occur with the given probabilities `[R]`."""
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    mean = torch.einsum("r,r...->...", weights, gradients)
    return mean, (weights @ (gradients - mean).flatten(1).square().sum(1)).item()


def exact_gradient(q, cost):
    """d E cost / d params, by enumerating the states of q."""
    z = q.enumerate().expand(-1, *q.logits.shape)
    return torch.autograd.grad((q.log_prob(z).exp() * cost(z)).sum(), q.params)[0]


def assert_mean(gradients, weights, expected, tolerance=1e-10):
    torch.testing.assert_close(moments(gradients, weights)[0], expected, rtol=0, atol=tolerance)


def assert_unbiased(gradients, expected, detectable):
    """|z| < 4.5 in every coordinate, and biases above `detectable` would have been found."""
    error = gradients.std(0) / len(gradients) ** 0.5
    assert 4.5 * error.max().item() < detectable
    assert ((gradients.mean(0) - expected) / error).abs().max().item() < 4.5


def over_samples(q):
    """q replicated over its states, each its sample once, and their probabilities."""
    states = q.enumerate().expand(-1, *q.logits.shape)
    return injected(replicated(q, len(states)), sample=[states[None]]), q.log_prob(states).exp().detach().flatten()


def one_bit(b, q=None):
    return (b[..., 0] - 0.3) ** 2 + (0.8 * b[..., 0]).exp()


def one_bit_slope(b):
    return 2 * (b - 0.3) + 0.8 * math.exp(0.8 * b)


def over_quadrature(q, draws, nodes=80):
    """One bit replicated over Gauss-Legendre nodes of its uniform draws, the first split where the bit changes."""
    x, w = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(nodes))
    x = x + 0.5  # from (-1, 1) to (0, 1)
    edge = 1 - q.probs.item()
    axes = [torch.cat([edge * x, edge + (1 - edge) * x]), x][:draws]
    widths = [torch.cat([edge * w, (1 - edge) * w]), w][:draws]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # [draws, R]
    weights = torch.stack(torch.meshgrid(*widths, indexing="ij")).flatten(1).prod(0)
    q = replicated(q, points.shape[1])
    return injected(q, uniform=list(points.view(draws, 1, -1, 1, 1))), weights


def same_relaxation(q):
    """Planted error: the relaxed sample given z is the very one that decided z."""

    def perturbed(self, k):
        self.kept = type(q).perturbed(self, k)
        return self.kept

    return type("Same", (type(q),), {"perturbed": perturbed, "conditional": lambda self, z: self.kept})(q.params)


def held_conditional(q):
    """Planted error: the relaxed sample given z is not differentiated."""
    conditional = lambda self, z: type(q).conditional(self, z).detach()  # noqa: E731
    return type("Held", (type(q),), {"conditional": conditional})(q.params)
