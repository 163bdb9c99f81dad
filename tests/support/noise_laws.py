"""Small latents of every discrete family whose samples have few joint states, and tests of the law of samples."""

import torch
from scipy import stats

from estimators.latents import FAMILIES, VQ, Discrete

LEVEL, REFUSED = 1e-4, 1e-9
DRAWS = 100_000
DISCRETE = ["bernoulli", "categorical", "vq"]
CODEBOOK = torch.tensor([[0.0, 1.0], [1.0, -0.5], [-1.0, 0.2]], dtype=torch.float64)
PARAMS = {  # [R, B, *] with R = 2, B = 1: two examples with laws of their own
    "bernoulli": torch.tensor([[[-1.5, 0.0, 0.8]], [[2.0, -0.3, 0.4]]]),
    "categorical": torch.tensor([[[[1.0, 0.0, -1.0], [0.2, 0.1, 2.0]]], [[[-1.0, 0.0, 0.5], [3.0, 1.0, 2.0]]]]),
    "vq": torch.tensor([[[[0.1, 0.4], [-0.5, 0.0]]], [[[1.0, 0.0], [0.3, -0.6]]]]),
}


def make(family: str, dtype: torch.dtype = torch.float64, shift: float = 0.0) -> Discrete:
    """`shift` moves one coordinate of the parameters: the wrong law of the negative controls."""
    params = PARAMS[family].to(dtype, copy=True)
    params.flatten(2)[..., 0] += shift
    return VQ(params, CODEBOOK.to(dtype), 0.7) if family == "vq" else FAMILIES[family](params)


def fit_of_counts(z: torch.Tensor, q: Discrete) -> float:
    """p-value of Pearson's chi-square over the joint states of every example, so that dependence shows as well."""
    states = q.enumerate()  # [S, 1, 1, *]
    probs = q.log_prob(states).exp()  # [S, R, B]
    flat, listed = z.flatten(3).double(), states.flatten(1).double()
    radix = 2.0 ** torch.arange(flat.shape[-1], dtype=torch.float64)  # an id of its own for every state
    counts = (flat @ radix)[..., None] == listed @ radix  # [K, R, B, S]
    observed = counts.sum(0).movedim(-1, 0).double()  # [S, R, B]
    expected = probs.double() * len(z)
    assert expected.min() > 5
    statistic = ((observed - expected) ** 2 / expected).sum()
    return float(stats.chi2.sf(statistic.item(), (q.states - 1) * probs[0].numel()))


def same_law(first: torch.Tensor, second: torch.Tensor) -> float:
    """p-value that two samples `[n, units]` have one law: Kolmogorov-Smirnov on every unit and on random projections,
    corrected for their number. Projections see the dependence between units."""
    directions = torch.randn(first.shape[1], 8, dtype=torch.float64)
    both = [torch.cat([s.double(), s.double() @ directions], 1).T.numpy() for s in (first, second)]
    p_values = [stats.ks_2samp(a, b, method="asymp").pvalue for a, b in zip(*both, strict=True)]
    return min(1.0, min(p_values) * len(p_values))
