"""Checks of a model of a package: it must give one value per example and point, and a distribution of the image."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.check.verdict import Broken, Verdict, demand, ok, skipped, verdict
from bench.config import parts
from bench.errors import BadInput
from bench.measure.look import adapted
from bench.model.adapted import Adapted
from bench.model.posterior import Posterior
from bench.settings import LatentGroup

LATENTS: tuple[LatentGroup, ...] = (
    {"family": "bernoulli", "dim": 3},
    {"family": "gaussian", "dim": 2},
    {"family": "categorical", "dim": 2, "categories": 3},
)
SHAPES = ((1, 2, 2), (1, 1, 1), (1, 4, 4), (1, 8, 8))  # image shapes [C, H, W] to try, in this order
PIXELS = 4  # the most for which all images are enumerated
LEVELS = 256
TOTAL = 1e-4  # the largest error of a sum or integral of p(x|z), which must be 1
LINE = 60.0  # half the length of the interval that replaces the real line, in units of pixel values


class Looked(NamedTuple):
    """A model of a package for the first latents of `LATENTS` and images of one shape [C, H, W]."""

    name: str
    module: Any
    shape: tuple[int, int, int]


def models(name: str, cls: type) -> Iterator[Looked]:
    """The models of a class for images of the shapes `SHAPES` that it takes. If it takes none, BadInput is raised."""
    whole = parts.complete("model", {"_target_": f"{cls.__module__}.{cls.__qualname__}"})
    reason: Exception | None = None
    made = 0
    for shape in SHAPES:
        about = {"shape": shape, "mean": torch.full(shape, 0.5), "latent": Posterior(LATENTS[0])}
        try:
            module = parts.build("model", whole, **about).double()
            module.encode(_images(2, shape))
        except Exception as error:  # its layers do not fit this shape
            reason = error
            continue
        made += 1
        yield Looked(name, module, shape)
    if not made:
        raise BadInput(f"{name} cannot be built for images of {SHAPES[0]} to {SHAPES[-1]}: {reason}")


def _images(n: int, shape: tuple[int, ...]) -> Tensor:
    return (torch.rand(n, *shape, dtype=torch.float64) > 0.5).double()


def shapes(one: Looked) -> Verdict:
    """encode(x) gives q with batch shape [B], log_likelihood(x, z) gives [K, B]; both are finite, have no noise of
    their own, and treat examples independently."""
    try:
        adapted(one.module, _images(5, one.shape))
    except BadInput as error:
        raise Broken(str(error)) from error
    return ok()


def prior(one: Looked) -> Verdict:
    """log_prior(z) [K, B] is finite at samples of q, and the KL of q to the prior is not negative."""
    made = Adapted(one.module, x := _images(5, one.shape))
    q = made.encode(x)
    found = made.log_prior(q.sample(3), q)
    demand(bool(found.isfinite().all()), "log_prior(z) is not finite at samples of q")
    if made.prior_has_density_alone:
        return skipped("log_prior alone: the KL is sampled.")
    divergence = q.kl(made.prior()).detach()
    demand(bool((divergence >= -1e-9).all()), "the KL of q to the prior is below 0", f"{float(divergence.min()):.1e}")
    return ok()


def normalised(one: Looked) -> Verdict:
    """p(x|z) of an image of few pixels sums to 1 over bits or 256 levels, or integrates to 1 over the real line."""
    z = one.module.encode(_images(1, one.shape)).sample(2)
    pixels = math.prod(one.shape)
    if pixels > PIXELS:
        return skipped(f"The smallest image that it takes has {pixels} pixels, so its images are too many.")
    totals = {"bits": _total(one, z, torch.tensor([0.0, 1.0], dtype=torch.float64))}
    if pixels == 1:
        totals["256 levels"] = _total(one, z, torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1))
        line = torch.linspace(-LINE, LINE, 2**17 + 1, dtype=torch.float64)
        totals["the line"] = _total(one, z, line) * float(line[1] - line[0])
    off = {over: float((total - 1).abs().max()) for over, total in totals.items()}
    over = min(off, key=lambda kind: off[kind])
    if off[over] >= TOTAL and pixels > 1:
        return skipped(f"p(x|z) is none of bits (they sum to {float(totals['bits'][0]):.3g}); one pixel tells more.")
    said = ", ".join(f"{float(total[0]):.4g} over {kind}" for kind, total in totals.items())
    demand(off[over] < TOTAL, f"p(x|z) of a pixel is {said}, and 1 over none", f"off by {off[over]:.1e}")
    return ok(f"1 over {over}, off by {off[over]:.0e}")


@torch.no_grad()
def _total(one: Looked, z: Tensor, values: Tensor) -> Tensor:
    """The sum of p(x|z) `[K]` over all images whose pixels have these values; z is `[K, 1, *]`."""
    images = torch.tensor(list(itertools.product(values.tolist(), repeat=math.prod(one.shape))), dtype=torch.float64)
    logs = one.module.log_likelihood(images.unflatten(1, one.shape), z.expand(-1, len(images), *z.shape[2:]))
    return logs.exp().sum(1)


def model_verdicts(name: str, cls: type) -> list[Verdict]:
    """The verdicts of all checks, with the smallest images that the model takes. PyTorch's random stream is restored at
    the end."""
    found: list[Verdict] = []
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        for one in models(name, cls):
            label = "x".join(map(str, one.shape))
            if not found:
                found += [verdict(check, one, family=label) for check in (shapes, prior)]
                if found[0].status == "FAILED":
                    return found
            found.append(verdict(normalised, one, family=label))
            if found[-1].status != "skipped":
                return found
    return found
