"""Bits replicated over every region of their noise in which an estimator of antithetic samples or of flips is simple.

Each function gives q at `[R, 1, D]`, whose noise is handed in, and the probabilities `[R]`.
"""

import itertools
import math

import numpy as np
import torch

from tests.support.injection import injected, replicated


def over_pairs(q, pairs, nodes=2):
    """q over `pairs` uniform draws: in each region where antithetic bits are constant, Gauss-Legendre nodes.

    ARM is linear in its own u there, so that two nodes give its first two moments exactly.
    """
    p = q.probs.detach().flatten()
    edges = torch.stack([p * 0, torch.minimum(p, 1 - p), torch.maximum(p, 1 - p), p * 0 + 1])  # [4, D]
    x, w = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(nodes))
    points = (edges[:-1, None] + edges.diff(dim=0)[:, None] * (x + 0.5)[:, None]).flatten(0, 1)  # [3 nodes, D]
    widths = (edges.diff(dim=0)[:, None] * w[:, None]).flatten(0, 1)
    slots = list(range(len(p))) * pairs
    cells = torch.tensor(list(itertools.product(range(3 * nodes), repeat=len(slots))))  # [R, pairs * D]
    u = points[cells, slots].view(-1, pairs, 1, len(p)).transpose(0, 1)  # [pairs, R, 1, D]
    return injected(replicated(q, len(cells)), uniform=[u]), widths[cells, slots].prod(1)


def over_copula(q, k):
    """q over all sets of the k samples whose bit has its rarer value, for each coordinate, and their probabilities.

    A set of s coordinates of a uniform point on the simplex exceeds t with probability max(1 - s t, 0)^(k-1); that it
    is this set and no more follows by inclusion and exclusion. One point stands for each set.
    """
    threshold = 1 - torch.sigmoid(-q.logits.detach().abs()).flatten() ** (1 / (k - 1))  # [D]
    sets = torch.tensor(list(itertools.product([0.0, 1.0], repeat=k)), dtype=torch.float64)  # [2^k, K]
    shares = torch.where(sets.sum(1, keepdim=True) > 0, sets.clamp(min=1e-9), torch.ones_like(sets))
    sizes = [int(s) for s in sets.sum(1)]

    def probability(size, t):
        signs = ((-1) ** j * math.comb(k - size, j) for j in range(k - size + 1))
        return sum(sign * max(1 - (size + j) * t, 0) ** (k - 1) for j, sign in enumerate(signs))

    table = torch.tensor([[probability(s, t.item()) for t in threshold] for s in sizes], dtype=torch.float64)
    slots = list(range(len(threshold)))
    cells = torch.tensor(list(itertools.product(range(2**k), repeat=len(slots))))  # [R, D]
    weights = table[cells, slots].prod(1)
    cells, weights = cells[weights > 1e-16], weights[weights > 1e-16]
    u = torch.exp(-shares / shares.sum(1, keepdim=True))[cells].permute(2, 0, 1).unsqueeze(2)  # [K, R, 1, D]
    return injected(replicated(q, len(cells)), uniform=[u]), weights


def over_flips(q, pairs):
    """q over all states and all chosen bits of `pairs` pairs, and their probabilities."""
    size, states = q.logits.shape[-1], q.enumerate().view(-1, q.logits.shape[-1])
    cells = torch.tensor(list(itertools.product(range(len(states)), range(size), repeat=pairs)))  # [R, 2 pairs]
    z = states[cells[:, ::2]].transpose(0, 1).unsqueeze(2)  # [pairs, R, 1, D]
    largest = torch.eye(size, dtype=z.dtype)[cells[:, 1::2]].transpose(0, 1).unsqueeze(2)
    weights = (q.log_prob(z).sum(0).exp().squeeze(-1) / size**pairs).detach()
    return injected(replicated(q, len(cells)), sample=[z], uniform=[largest]), weights
