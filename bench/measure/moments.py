"""From sums over draws to the statistics of design: variances, norm, bias, cosine, and their standard errors.

Everything is computed from inner products of a few vectors, so a delete-one-group jackknife costs no more than the
estimate itself. Draws are independent across probe batches, so the jackknife is stratified: each probe batch m
contributes (G - 1) / G sum_j (T_{m,j} - mean_j T_{m,j})^2, where T_{m,j} leaves out group j of batch m.
"""

from typing import NamedTuple

import numpy as np

STATISTICS = ("variance_noise", "variance_data", "variance", "norm_sq", "snr", "bias_sq", "cosine", "mse")


class BatchSums(NamedTuple):
    """What is kept of one probe batch, for one part. The rows are S_1..S_G (sums over groups of draws), the constant,
    and the reference's mean where there is one."""

    counts: np.ndarray  # [G] draws
    squares: np.ndarray  # [G] sums of squared norms, without the constant
    products: np.ndarray  # [G + 1 or G + 2, same] inner products of the rows
    reference_noise: float = 0.0  # variance of the reference's mean


def _one_batch(sums: BatchSums, keep: np.ndarray) -> np.ndarray:
    """Of the groups kept: variance_noise, norm_sq, bias_sq, inner product with the reference, the reference's squared
    norm, and norm_sq before its noise is subtracted."""
    n, groups = sums.counts[keep].sum(), len(sums.counts)
    total = np.where(keep, 1.0, 0.0)
    noise = 0.0
    if n > 1:
        square_of_sum = total @ sums.products[:groups, :groups] @ total
        mean_square = sums.squares[keep].sum() / n
        noise = (sums.squares[keep].sum() - square_of_sum / n) / (n - 1)
        if noise < 64 * np.finfo(np.float32).eps * 1e-3 * mean_square:  # below rounding: no noise at all
            noise = 0.0
    mean = np.zeros(len(sums.products))
    mean[:groups], mean[groups] = total / n, 1.0
    square = mean @ sums.products @ mean
    if len(mean) == groups + 1:
        return np.array([noise, square - noise / n, np.nan, np.nan, np.nan, square])
    error = mean.copy()
    error[-1] = -1.0
    bias = error @ sums.products @ error - noise / n - sums.reference_noise
    return np.array([noise, square - noise / n, bias, mean @ sums.products[:, -1], sums.products[-1, -1], square])


def _combine(batches: np.ndarray) -> np.ndarray:
    """[M, 6] -> the statistics that need no comparison between probe batches."""
    noise, norm, bias = batches[:, 0].mean(), batches[:, 1].mean(), batches[:, 2].mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (batches[:, 3] / np.sqrt(batches[:, 4] * batches[:, 5])).mean()
        snr = norm / noise if noise > 0 else np.nan
    return np.array([noise, norm, snr, bias, cosine, bias + noise])


def _data_variance(means: np.ndarray, noise: np.ndarray) -> float:
    """Trace of the covariance over probe batches of the mean gradients, whose inner products are `means [M, M]` and
    whose own noise is `noise [M]`, which is subtracted."""
    m = len(means)
    return float((np.trace(means) - means.sum() / m) / (m - 1) - noise.mean())


def statistics(batches: list[BatchSums], means: np.ndarray | None) -> dict[str, float]:
    """Every statistic and its standard error, `<name>` and `<name>_se`; NaN where it is not defined.

    Args:
        batches: one entry per probe batch.
        means: `[M, M]` inner products of the mean gradients of the probe batches, or None where the coordinates of
            different batches are not the same ones (q's parameters).
    """
    everything = [np.ones(len(b.counts), bool) for b in batches]
    whole = np.stack([_one_batch(b, keep) for b, keep in zip(batches, everything, strict=True)])
    value, variance = _combine(whole), np.zeros(6)
    for m, batch in enumerate(batches):
        groups = len(batch.counts)
        left_out = []
        for j in range(groups if groups > 1 else 0):
            changed = whole.copy()
            changed[m] = _one_batch(batch, np.arange(groups) != j)
            left_out.append(_combine(changed))
        if left_out:
            spread = np.stack(left_out)
            variance += (groups - 1) / groups * ((spread - spread.mean(0)) ** 2).sum(0)
    names = ("variance_noise", "norm_sq", "snr", "bias_sq", "cosine", "mse")
    found = dict(zip(names, value.tolist(), strict=True))
    found |= {f"{n}_se": float(s) for n, s in zip(names, np.sqrt(variance), strict=True)}
    found |= _over_batches(whole, means, [b.counts.sum() for b in batches])
    return {k: found[k] for n in STATISTICS for k in (n, f"{n}_se")}


def _over_batches(whole: np.ndarray, means: np.ndarray | None, draws: list[int]) -> dict[str, float]:
    """`variance_data` and `variance`; standard errors by leaving out one probe batch at a time, because which examples
    were drawn is what they are uncertain about."""
    found = dict.fromkeys(("variance_data", "variance_data_se", "variance", "variance_se"), float("nan"))
    if means is None or len(means) < 2:
        return found
    noise = whole[:, 0]

    def both(keep: np.ndarray) -> np.ndarray:
        data = _data_variance(means[np.ix_(keep, keep)], (noise / draws)[keep])
        return np.array([data, data + noise[keep].mean()])

    m = len(means)
    found["variance_data"], found["variance"] = both(np.arange(m)).tolist()
    if m > 2:
        left_out = np.stack([both(np.delete(np.arange(m), i)) for i in range(m)])
        errors = np.sqrt((m - 1) / m * ((left_out - left_out.mean(0)) ** 2).sum(0))
        found["variance_data_se"], found["variance_se"] = errors.tolist()
    return found
