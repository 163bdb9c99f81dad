"""Tukey's studentised range of m equal means: its distribution by quadrature, in milliseconds.

P(range <= q s) is the mean over s, the root of a chi-square over its degrees of freedom, of
m int phi(z) (Phi(z) - Phi(z - q s))^(m - 1) dz.
"""

from functools import lru_cache

import numpy as np

NODES = 160


def beyond(q: float, m: int, freedom: float) -> float:
    """Probability that the range of m means exceeds q standard errors of one mean."""
    from scipy.special import ndtr

    z, weights, below = _normal()
    spreads, shares = _spread(freedom)
    width = q * spreads[:, None]
    within = m * ((below - ndtr(z - width)) ** (m - 1) @ weights)
    return float(np.clip(1 - within @ shares, 0.0, 1.0))


@lru_cache
def quantile(level: float, m: int, freedom: float) -> float:
    """Standard errors of one mean that the range exceeds with probability 1 - level."""
    from scipy.optimize import brentq

    top = 4.0
    while beyond(top, m, freedom) > 1 - level:
        top *= 2
    return float(brentq(lambda q: beyond(q, m, freedom) - (1 - level), 0.0, top, xtol=1e-8))


@lru_cache
def _normal() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places z, the weights of a normal mean over them, and the distribution function there."""
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    z = 8.5 * nodes
    return z, 8.5 * weights * (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)), ndtr(z)


@lru_cache
def _spread(freedom: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of the estimated standard deviation of a standard normal, and their shares."""
    from scipy.special import gammaincinv

    if np.isinf(freedom):
        return np.ones(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return np.sqrt(2 * gammaincinv(freedom / 2, (nodes + 1) / 2) / freedom), weights / 2
