"""Evaluation of a model: bounds on log p(x), with samples of q itself, whatever estimator trained the model."""

import math

import torch
from torch import Tensor

from bench.model.adapted import Adapted
from bench.model.codebook import perplexity, quantisation_error
from bench.model.experts import Experts
from bench.model.hierarchy import Hierarchy, from_prior
from bench.model.residual import Residual
from bench.model.rssm import RSSM
from bench.model.vae import VAE, Model
from bench.problems import Problem
from bench.streams import own_stream
from bench.tables.rows import ObjectiveRow
from estimators import VQ, Categorical, Discrete, Gaussian, Latent

ACTIVE = 0.01  # the least variance over x of an active unit's posterior mean: Burda et al. 2016, arXiv:1509.00519
ROWS = 2**13  # decoded points at a time


@torch.no_grad()
def evaluate(
    model: Model, x: Tensor, samples: int, prior_samples: int, seed: int, prior: bool = True, level_bits: float = 0.0
) -> ObjectiveRow:
    """The row of table `objective` for examples `x [n, ...]`: means over examples in nats, with standard errors.

    Args:
        model: the model to evaluate, or a problem.
        samples: K of the importance-weighted bound; the ELBO averages over the same samples.
        prior_samples: points drawn from the prior to estimate log p(x), shared by all examples; 0: no estimate.
        seed: of the noise; other random streams do not move.
        prior: for a problem whose value is known, whether its bound includes the KL; else it is minus that value.
        level_bits: added to `bits_per_dim`, to turn the density of a pixel into a probability of levels (`bench.data`).
    """
    if isinstance(model, Problem):
        return _of_problem(model, x, samples, seed, prior)
    with own_stream(seed, "evaluation"):
        parts = [_bounds(model, chunk, samples) for chunk in x.split(max(1, ROWS // samples))]
        elbo, reconstruction, kl, iwae = (torch.cat(values) for values in zip(*parts, strict=True))
        row: ObjectiveRow = {"examples": len(x), "samples": samples, "prior_samples": prior_samples}
        row |= {"reconstruction": _mean(reconstruction), "kl": _mean(kl)}
        row["elbo"], row["elbo_se"] = _with_error(elbo)
        row["iwae"], row["iwae_se"] = _with_error(iwae)
        halves = isinstance(model, Hierarchy) and model.structured
        row["bits_per_dim"] = -row["elbo"] / (x[0].numel() / (1 + halves) * math.log(2)) + level_bits
        if prior_samples and not halves and not (isinstance(model, Adapted) and model.prior_has_density_alone):
            sampled = _prior_sampling(model, x, prior_samples)
            row["log_prior_sampling"], row["log_prior_sampling_se"] = _with_error(sampled)
    q = model.encode(x)
    row["active_units"] = _active_units(q)
    if isinstance(q, VQ) or (isinstance(model, Experts) and isinstance(q, Categorical)):
        stages = [*model.codebook.along_nearest(q.params)] if isinstance(model, Residual) else [q]
        each = [perplexity(stage) for stage in stages]
        row["perplexity"], row["usage"] = (sum(values) / len(each) for values in zip(*each, strict=True))
        if isinstance(last := stages[-1], VQ):
            row["quantisation_error"] = quantisation_error(last)
    return row


def _of_problem(problem: Problem, x: Tensor, samples: int, seed: int, prior: bool) -> ObjectiveRow:
    """The row of a problem, which has bounds only: -E cost if it is known, else from samples. x is `[1, X]`."""
    if (value := problem.value()) is not None:
        row: ObjectiveRow = {"elbo": -value, "reconstruction": -value}
        if problem.has_prior:
            row["kl"] = problem.divergence()
            row["elbo"] -= row["kl"] if prior else 0.0
        return row
    with own_stream(seed, "evaluation"):
        elbo, reconstruction, kl, iwae = (float(v) for v in _bounds(problem, x, samples))
    return {"elbo": elbo, "reconstruction": reconstruction, "kl": kl, "iwae": iwae, "samples": samples}


def _bounds(model: Model, x: Tensor, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """ELBO, reconstruction, KL and importance-weighted bound `[n]` each."""
    if isinstance(model, Hierarchy | RSSM):
        return _bounds_of_several(model, x, samples)
    if isinstance(model, Residual):
        return _bounds_of_stages(model, x, samples)
    q = model.encode(x)
    z = q.sample(1 if q.deterministic else samples)
    likelihood = model.log_likelihood(x, z)  # [K, n]
    reconstruction = likelihood.mean(0)
    if isinstance(model, Adapted) and model.prior_has_density_alone:
        kl = (q.log_prob(z) - model.log_prior(z, q)).mean(0)
    else:
        kl = q.kl(model.prior())
    if q.deterministic:
        return reconstruction - kl, reconstruction, kl, reconstruction - kl
    weights = likelihood + model.log_prior(z, q) - q.log_prob(z)
    return reconstruction - kl, reconstruction, kl, weights.logsumexp(0) - math.log(samples)


def _bounds_of_several(model: Hierarchy | RSSM, x: Tensor, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `_bounds`, for several layers or steps: all from samples, the KL too, which is 0 without a prior."""
    likelihood, ratio = model.walk(x, samples)  # [K, n] each
    weights, reconstruction = likelihood + ratio, likelihood.mean(0)
    return weights.mean(0), reconstruction, -ratio.mean(0), weights.logsumexp(0) - math.log(samples)


def _bounds_of_stages(model: Residual, x: Tensor, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `_bounds`, from samples of all stages. The KL of each stage is exact, given the codes before it."""
    deterministic = model.encode(x[:1]).deterministic
    points, kl, ratio = model.walk(x, 1 if deterministic else samples)
    likelihood = model.log_likelihood(x, points)  # [K, n]
    reconstruction, divergence = likelihood.mean(0), kl.mean(0)
    weights = (likelihood + ratio).logsumexp(0) - math.log(len(points))
    return reconstruction - divergence, reconstruction, divergence, weights


def _prior_sampling(model: VAE | Adapted, x: Tensor, samples: int) -> Tensor:
    """log of the mean of p(x|z) over points from the prior, `[n]`. The mean is unbiased for p(x), but its variance is
    huge, since hardly any point explains a given image."""
    total = model.encode(x[:1]).params.new_full((len(x),), -math.inf)
    rows = max(1, ROWS // len(x)) if isinstance(model, Adapted) else ROWS  # it evaluates each point for all x
    for start in range(0, samples, rows):
        some = min(rows, samples - start)
        if isinstance(model, RSSM):
            likelihood = model.dreamt(x, some)
        else:
            likelihood = model.log_likelihood(x, from_prior(model, some, x))  # of points [S, 1, *]
        total = torch.logaddexp(total, likelihood.logsumexp(0))
    return total - math.log(samples)


def _active_units(q: Latent) -> int | None:
    """The number of latent units whose posterior mean varies over the examples; None for a deterministic posterior or
    one example. A categorical unit's variance is the sum over its categories."""
    if isinstance(q, Gaussian):
        mean = q.mean
    elif isinstance(q, Discrete) and not q.deterministic:
        mean = q.probs
    else:
        return None
    if len(mean) < 2:
        return None
    variance = mean.var(0)
    return int((variance.sum(-1) if variance.ndim > 1 else variance).gt(ACTIVE).sum())


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _with_error(values: Tensor) -> tuple[float, float]:
    """The mean, and its standard error."""
    error = float(values.double().std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return _mean(values), error
