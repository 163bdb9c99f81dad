"""Samples without replacement, in order."""

from itertools import permutations

import torch


def ordered_samples(q, k):
    """All ordered samples of k states of `q [1]`: their numbers `[J, k]`, and their probabilities `[J]`."""
    p = q.log_prob(q.enumerate()).exp().flatten()
    index = torch.tensor(list(permutations(range(len(p)), k)))
    left = 1 - torch.cat([torch.zeros(len(index), 1), p[index].cumsum(1)[:, :-1]], 1)
    return index, (p[index] / left).prod(1)
