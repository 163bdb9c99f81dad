"""Vector-quantised latents and their Jacobians."""

import torch

from estimators import VQ


def make(temperature=0.0, batch=(5,), width=3):
    codebook = torch.randn(6, width, dtype=torch.float64, requires_grad=True)
    return VQ(torch.randn(*batch, 4, width, dtype=torch.float64, requires_grad=True), codebook, temperature)


def single(vector, *codes, dtype=torch.float64):
    """One example of one position at temperature 0."""
    params = torch.tensor([[vector]], dtype=dtype, requires_grad=True)
    return VQ(params, torch.tensor(codes, dtype=dtype, requires_grad=True), 0.0)


def placed(estimator, q):
    """The vectors `[K, ..., B, N, d]` that a cost reads, with their graph."""
    seen = []

    def cost(z, q=None):
        seen.append(z)
        return z.sum((-2, -1))

    estimator(q, cost, None)
    assert not seen[0][..., : -q.params.shape[-1]].any()
    return seen[0][..., -q.params.shape[-1] :]


def jacobian(vectors, wrt):
    """d vectors [1, 1, 1, d] / d wrt `[d, *wrt.shape]`."""
    rows = [torch.autograd.grad(v, wrt, retain_graph=True)[0] for v in vectors.flatten()]
    return torch.stack(rows)
