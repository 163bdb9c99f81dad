"""Exact means of estimators of categorical latents, from enumerated noise."""

import pytest
import torch

from tests.support.enumerate import true_gradient
from tests.support.injection import X

X1 = X[:1]


def injected(q, gumbel, weights, cost):
    """Moments of an estimator over replicas of `q [1]` whose noise is `gumbel [1, J, 1, D, C]`, of given weights."""

    def moments(estimator):
        replicas = q.with_params(q.params.detach().expand(len(weights), *q.params.shape).clone().requires_grad_())
        replicas.gumbel = lambda k: gumbel.expand(k, *gumbel.shape[1:])
        estimate = estimator(replicas, cost, X1)
        (gradient,) = torch.autograd.grad(estimate.loss.sum(), replicas.params, retain_graph=True)
        (decoder,) = torch.autograd.grad((weights @ estimate.loss).sum(), list(cost.parameters()))
        return torch.einsum("j,j...->...", weights, gradient), decoder, weights @ estimate.cost.detach()

    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    return moments


def assert_exact(found, q, cost):
    for got, expected in zip(found, [true_gradient(q, cost)[i] for i in (0, 2, 3)], strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)
