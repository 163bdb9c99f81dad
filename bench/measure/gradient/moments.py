"""Statistics of a gradient from sums over draws: variances, norm, bias, cosine, and their standard errors.

All are computed from inner products of a few vectors, so a delete-one-group jackknife costs no more than the estimate
itself. The draws of the probe batches and of the reference are independent, so the jackknife is stratified: the
gradient and the reference of each probe batch are a stratum each. A stratum of G groups contributes
(G - 1) / G sum_j (T_j - mean_j T_j)^2 to the variance, where T_j leaves out its group j.

The interval of bias_sq is right where the bias is well above its noise. At a bias of 0 the jackknife doubles the
variance, and 95 % intervals of gradients with many coordinates cover 95 to 98 %. With few coordinates the square is
skewed and its standard error is small where the estimate is small: intervals cover 85 to 90 %, and they miss only
truths above them. So a bias is never claimed too often. `tests/support/error_bars.py` measures this.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from bench.tables.rows import GradientRow

WITH_REFERENCE = ("bias_sq", "cosine", "mse", "bias_sq_scaled", "variance_scaled")
STATISTICS = ("variance_noise", "variance_data", "variance", "norm_sq", "snr", *WITH_REFERENCE)
OF_ALL_DATA = ("norm_sq_data", "snr_data", "bias_sq_data")  # of the gradient of the mean over all data
NO_ROWS = np.zeros(0)


class BatchSums(NamedTuple):
    """The sums of one probe batch for one part. Rows are the sums S_1..S_G over groups of draws and the constant, then
    those of the reference, if there is one."""

    counts: np.ndarray  # [G] draws
    squares: np.ndarray  # [G] sums of squared norms, without the constant
    products: np.ndarray  # [G + 1 or G + 1 + H + 1, same] inner products of the rows
    reference_counts: np.ndarray = NO_ROWS  # [H]
    reference_squares: np.ndarray = NO_ROWS  # [H]


def noise_of(counts: np.ndarray, squares: np.ndarray, products: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Trace of the covariance of a draw `[J]`, from sums over the groups marked in `chosen [J, G]`."""
    n, level = chosen @ counts, chosen @ squares
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = (level - _squares(chosen, products) / n) / (n - 1)
        return np.where((n < 2) | (noise < 64 * np.finfo(np.float32).eps * 1e-3 * level / n), 0.0, noise)


def _squares(vectors: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Squared norms `[J]` of combinations `[J, G]` of vectors with these inner products `[G, G]`."""
    return np.asarray(((vectors @ products) * vectors).sum(-1))


def _one_batch(sums: BatchSums, chosen: np.ndarray, other: np.ndarray) -> np.ndarray:
    """variance_noise, norm_sq, bias_sq, inner product with the reference, and the reference's squared norm minus its
    noise `[J, 5]`, from the groups marked in `chosen [J, G]` and, of the reference, in `other [J, H]`."""
    groups, products, n = chosen.shape[1], sums.products, chosen @ sums.counts
    noise = noise_of(sums.counts, sums.squares, products[:groups, :groups], chosen)
    mean = np.zeros((len(chosen), len(products)))
    mean[:, :groups], mean[:, groups] = chosen / n[:, None], 1.0
    norm = _squares(mean, products) - noise / n
    if not other.shape[1]:
        return np.stack([noise, norm, *3 * [np.full(len(chosen), np.nan)]], 1)
    k, theirs = other @ sums.reference_counts, slice(groups + 1, -1)
    uncertain = noise_of(sums.reference_counts, sums.reference_squares, products[theirs, theirs], other) / k
    reference = np.zeros_like(mean)
    reference[:, theirs], reference[:, -1] = other / k[:, None], 1.0
    bias = _squares(mean - reference, products) - noise / n - uncertain
    inner, length = ((mean @ products) * reference).sum(-1), _squares(reference, products) - uncertain
    return np.stack([noise, norm, bias, inner, length], 1)


def _of_all(sums: BatchSums) -> np.ndarray:
    """`_one_batch` of all groups `[5]`."""
    return _one_batch(sums, np.ones((1, len(sums.counts)), bool), np.ones((1, len(sums.reference_counts)), bool))[0]


def _without_one(sums: BatchSums) -> Iterator[np.ndarray]:
    """`_one_batch` with one group left out at a time: first for the gradient's groups, then for the reference's."""
    groups, theirs = len(sums.counts), len(sums.reference_counts)
    if groups > 1:
        yield _one_batch(sums, ~np.eye(groups, dtype=bool), np.ones((groups, theirs), bool))
    if theirs > 1:
        yield _one_batch(sums, np.ones((theirs, groups), bool), ~np.eye(theirs, dtype=bool))


def kurtosis(batches: list[BatchSums]) -> float:
    """E d^4 / (E d^2)^2 of a draw's distance d from the mean gradient: 3 for one Gaussian coordinate, near 1 for many.

    The squared relative standard error of variance_noise is about (kurtosis - 1) / (M R), and R / kurtosis is the
    effective number of draws behind the variance. Sums over groups of n draws are enough to estimate it, since a sum of
    n independent d^2 has n times their variance. With several probe batches it is 1 + the mean of Var d^2 over the mean
    of (E d^2)^2. It cannot exceed about R; near R, one draw outweighs all others and the true value is larger.
    """
    spread, level = 0.0, 0.0
    for sums in batches:
        groups, n = len(sums.counts), sums.counts.sum()
        with_total = sums.products[:groups, :groups].sum(1)
        distances = sums.squares - 2 * with_total / n + sums.counts * with_total.sum() / n**2  # [G] sums of d^2
        mean = distances.sum() / n
        if groups < 2 or not _of_all(sums)[0]:
            return float("nan")
        spread += (sums.counts * (distances / sums.counts - mean) ** 2).sum() / (groups - 1)
        level += mean**2
    return float(1 + spread / level)


def _combine(batches: np.ndarray) -> np.ndarray:
    """The statistics `[J, 8]` that do not compare probe batches, from the results `[J, M, 5]` of `_one_batch`."""
    noise, norm, bias, inner, length = np.moveaxis(batches.mean(-2), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.minimum(norm, length) > 0
        cosine = np.where(known, inner / np.sqrt(norm * length), np.nan)
        snr = np.where(noise > 0, norm / noise, np.nan)
        scaled = np.where(known, length * noise / norm, np.nan)
    return np.stack([noise, norm, snr, bias, cosine, bias + noise, 2 * length * (1 - cosine), scaled], -1)


def _data_variance(means: np.ndarray, noise: np.ndarray) -> float:
    """Trace of the covariance over probe batches of the mean gradients, from their inner products `means [M, M]`; the
    noise of each mean, `noise [M]`, is subtracted."""
    m = len(means)
    return float((np.trace(means) - means.sum() / m) / (m - 1) - noise.mean())


def statistics(batches: list[BatchSums], means: np.ndarray | None, errors: np.ndarray | None = None) -> GradientRow:
    """Every statistic `<name>` with its standard error `<name>_se`, `kurtosis` and `reference_norm_sq`. A value is NaN
    where it is not defined or the draws are too few.

    Args:
        batches: one entry per probe batch.
        means: `[M, M]` inner products of the mean gradients of the probe batches, or None for q's parameters, whose
            coordinates are not the same in different batches.
        errors: `[M, M]` inner products of the mean gradients minus those of the reference, or None without one.
    """
    whole = np.stack([_of_all(batch) for batch in batches])
    value, variance = _combine(whole), np.zeros(3 + len(WITH_REFERENCE))
    for m, batch in enumerate(batches):
        for left_out in _without_one(batch):
            each = np.repeat(whole[None], len(left_out), 0)
            each[:, m] = left_out
            spread = _combine(each)
            variance += (len(spread) - 1) / len(spread) * ((spread - spread.mean(0)) ** 2).sum(0)
    names = ("variance_noise", "norm_sq", "snr", *WITH_REFERENCE)
    found = dict(zip(names, value.tolist(), strict=True))
    found |= {f"{n}_se": float(s) for n, s in zip(names, np.sqrt(variance), strict=True)}
    if any(_too_few(b.counts) for b in batches):
        found |= dict.fromkeys((f"{n}_se" for n in names), float("nan"))
    if any(_too_few(b.reference_counts) for b in batches):
        found |= dict.fromkeys((f"{n}_se" for n in WITH_REFERENCE), float("nan"))
    found |= _over_batches(whole, means, [b.counts.sum() for b in batches])
    found |= _of_all_data(found["variance_noise"], means, errors)
    ordered = {k: found[k] for n in (*STATISTICS, *OF_ALL_DATA) for k in (n, f"{n}_se")}
    ordered |= {"kurtosis": kurtosis(batches), "reference_norm_sq": float(whole[:, 4].mean())}
    return cast(GradientRow, ordered)  # names made of others are no literals


def _too_few(counts: np.ndarray) -> bool:
    """Whether fewer than two draws are left without some group; the jackknife would take their variance for 0."""
    return int(counts.sum()) > 1 and int(counts.sum() - counts.max()) < 2


def _of_all_data(noise: float, means: np.ndarray | None, errors: np.ndarray | None) -> dict[str, float]:
    """`norm_sq`, `snr` and squared bias of the gradient of all data, from products of different probe batches, which
    the noise of the draws and the choice of examples do not bias. Standard errors leave out one probe batch at a time;
    with fewer than three they are NaN."""
    found = {key: float("nan") for name in OF_ALL_DATA for key in (name, f"{name}_se")}
    for name, products in (("norm_sq_data", means), ("bias_sq_data", errors)):
        if products is None or (m := len(products)) < 2:
            continue
        found[name] = _between(products)
        if m > 2:
            left_out = np.array([_between(np.delete(np.delete(products, i, 0), i, 1)) for i in range(m)])
            found[f"{name}_se"] = float(np.sqrt((m - 1) / m * ((left_out - left_out.mean()) ** 2).sum()))
    if noise > 0:
        found |= {f"snr_data{end}": found[f"norm_sq_data{end}"] / noise for end in ("", "_se")}
    return found


def _between(products: np.ndarray) -> float:
    """Mean of the inner products `[M, M]` of different batches."""
    m = len(products)
    return float((products.sum() - np.trace(products)) / (m * (m - 1)))


def _over_batches(whole: np.ndarray, means: np.ndarray | None, draws: list[int]) -> dict[str, float]:
    """`variance_data` and `variance`. Standard errors leave out one probe batch at a time, because the choice of the
    examples is their main uncertainty."""
    found = dict.fromkeys(("variance_data", "variance_data_se", "variance", "variance_se"), float("nan"))
    if means is None or len(means) < 2:
        return found
    m, noise = len(means), whole[:, 0]

    def both(keep: np.ndarray) -> np.ndarray:
        data = _data_variance(means[np.ix_(keep, keep)], (noise / draws)[keep])
        return np.array([data, data + noise[keep].mean()])

    found["variance_data"], found["variance"] = both(np.arange(m)).tolist()
    if m > 2:
        left_out = np.stack([both(np.delete(np.arange(m), i)) for i in range(m)])
        errors = np.sqrt((m - 1) / m * ((left_out - left_out.mean(0)) ** 2).sum(0))
        found["variance_data_se"], found["variance_se"] = errors.tolist()
    return found
