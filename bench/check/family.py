"""Checks of a latent family of a package: its methods must agree with each other, as those of a distribution do."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.check.sizes import Family
from bench.check.support import INTEGRAL, apart
from bench.check.verdict import Verdict, demand, demand_first, info, ok, skipped, verdict
from bench.model.latents import units
from estimators import Enumerable, Latent

DRAWS = 20_000
EDGE = 5.0  # standard errors that a test with a fixed seed allows


def shapes(one: Family) -> Verdict:
    """Samples have no gradient and as many values as sizes() says; log_prob and kl give one number for each example;
    examples have noise of their own."""
    _, values = units(one.latent)
    for dtype in (torch.float64, torch.float32):
        q = one.q(3, dtype=dtype)
        demand_first(None if tuple(q.batch_shape) == (3,) else f"batch_shape is {list(q.batch_shape)} of 3 examples")
        z = q.sample(5)
        demand(not z.requires_grad, "sample(5) carries a gradient")
        demand(
            tuple(z.shape[:2]) == (5, 3) and z.ndim == 2 + q.point_ndim and z[0, 0].numel() == values,
            f"sample(5) of 3 examples has the shape {list(z.shape)}; each has {values} values in {q.point_ndim} axes",
        )
        for what, found, wanted in (("log_prob", q.log_prob(z), (5, 3)), ("kl()", q.kl(), (3,))):
            demand(tuple(found.shape) == wanted, f"{what} gives {list(found.shape)} for {list(wanted)}")
            demand(found.dtype == dtype, f"{what} of {dtype} parameters is {found.dtype}")
    alike = one.q(1).with_params(torch.zeros(64, *units(one.latent)[0], dtype=torch.float64)).sample(1)[0]
    demand(bool((alike != alike[:1]).any()), "examples with the same parameters have the same sample")
    return ok()


def mass(one: Family) -> Verdict:
    """exp(log_prob) sums, or integrates, to 1."""
    worst = 0.0
    for _ in range(3):
        q = one.q(1)
        worst = max(worst, abs(float(one.support(q).mean(q.log_prob).detach()) - 1))
    demand(worst < INTEGRAL, "the total probability is not 1", f"off by {worst:.1e}")
    return ok(f"off by {worst:.1e}")


def samples(one: Family) -> Verdict:
    """Samples have the distribution that log_prob gives."""
    q = one.q(1)
    off = apart(one.support(q), q, q.sample(DRAWS))
    demand(off < EDGE, "samples are not distributed as log_prob says", f"|z| {off:.1f}")
    return ok(f"|z| {off:.1f}")


def kl(one: Family) -> Verdict:
    """kl(p) is the mean of log q - log p under q, for the standard prior and for another one; kl(q) is 0."""
    worst = 0.0
    for prior in (None, one.q(1).detach()):
        q = one.q(1)
        p = q.standard() if prior is None else prior
        found, at = float(q.kl(prior).detach()), one.support(q)
        wanted = float(at.mean(q.log_prob, partial(_log_ratio, q, p)).detach())
        worst = max(worst, abs(found - wanted) / (1 + abs(wanted)))
    itself = float(q.kl(q).detach().abs())
    demand(worst < 10 * INTEGRAL, "kl is not the mean of log q - log p", f"off by {worst:.1e}")
    demand(itself < 1e-9, "kl(q) of q itself is not 0", f"{itself:.1e}")
    return ok(f"off by {worst:.1e}")


def _log_ratio(q: Latent, p: Latent, z: Tensor) -> Tensor:
    return q.log_prob(z) - p.log_prob(z)


def slopes(one: Family) -> Verdict:
    """The derivatives of log_prob and kl with respect to params, and of log_prob with respect to real z, are right."""
    q = one.q(2)
    z, params = q.sample(3), q.params.detach().clone().requires_grad_()
    _graded("log_prob", lambda p: q.with_params(p).log_prob(z), params)
    _graded("kl()", lambda p: q.with_params(p).kl(), params)
    if not isinstance(q, Enumerable):
        _graded("log_prob in z", lambda point: q.detach().log_prob(point), z.requires_grad_())
    return ok()


def _graded(what: str, function: Callable[[Tensor], Tensor], at: Tensor) -> None:
    demand(function(at).requires_grad, f"{what} has no derivative")
    demand(
        torch.autograd.gradcheck(function, (at,), raise_exception=False), f"{what} has another derivative than its own"
    )


def rsample(one: Family) -> Verdict:
    """rsample has the distribution that log_prob gives, and its pathwise derivative of a mean is right."""
    q = one.q(1)
    draw: Any = getattr(q, "rsample", None)
    if draw is None or isinstance(q, Enumerable):
        return skipped("There is no rsample of real points, so reparam does not take it.")
    at = one.support(q)
    off = apart(at, q, draw(DRAWS).detach())
    demand(off < EDGE, "rsample is not distributed as log_prob says", f"|z| {off:.1f}")
    (wanted,) = torch.autograd.grad(at.mean(q.log_prob, _wave), [q.params])
    each = q.params.detach().expand(DRAWS, *q.params.shape[1:]).clone().requires_grad_()
    moved: Any = q.with_params(each)
    z = moved.rsample(1)
    demand(z.requires_grad, "rsample carries no gradient")
    (paths,) = torch.autograd.grad(_wave(z).sum(), [each])
    error = paths.std(0) / DRAWS**0.5
    off = float(((paths.mean(0) - wanted[0]).abs() / (error + INTEGRAL)).max())
    demand(off < EDGE, "the derivative of rsample is not that of the mean", f"|z| {off:.1f}")
    return ok(f"|z| {off:.1f}")


def _wave(z: Tensor) -> Tensor:
    """A test function `[K, B]` of points `[K, B, *]`, whose mean depends on their distribution."""
    flat = z.flatten(2)
    return (torch.sin(flat) + 0.5 * flat).sum(-1)


def frozen(one: Family) -> Verdict:
    """detach() and with_params() change nothing but the parameters; standard() does not depend on them."""
    q = one.q(2)
    z = q.sample(3)
    still = q.detach()
    demand(not still.params.requires_grad and not still.log_prob(z).requires_grad, "detach() leaves a gradient")
    demand(not q.standard().params.requires_grad, "standard() depends on the parameters")
    for what, other in (("detach()", still), ("with_params(params)", q.with_params(q.params))):
        demand(torch.equal(other.log_prob(z), q.log_prob(z)), f"{what} is another distribution")
    return ok()


def broadcast(one: Family) -> Verdict:
    """Distributions [R, B] give what each row and each example gives alone, also with a shared point or prior."""
    q, shared = one.q(3, 2), one.q(1).detach()
    z = q.sample(4)
    for row in range(3):
        alone = q.with_params(q.params[row])
        _same("log_prob", q.log_prob(z)[:, row], alone.log_prob(z[:, row]))
        _same("kl()", q.kl()[row], alone.kl())
        _same(
            "kl of a shared prior",
            q.kl(shared)[row],
            alone.kl(shared.with_params(shared.params.expand_as(alone.params))),
        )
    for example in range(2):
        alone = q.with_params(q.params[:, example : example + 1])
        _same("log_prob", q.log_prob(z)[..., example], alone.log_prob(z[:, :, example : example + 1])[..., 0])
        _same("kl()", q.kl()[:, example], alone.kl()[:, 0])
    point = z[:, :1, :1]
    _same("log_prob of shared points", q.log_prob(point), q.log_prob(point.expand_as(z)))
    return ok()


def _same(what: str, one: Tensor, other: Tensor) -> None:
    demand(one.shape == other.shape and torch.allclose(one, other, rtol=1e-10), f"{what} of many is not that of each")


WHOLE = (shapes, slopes, frozen, broadcast)
COUNTED = (mass, samples, kl, rsample)


def family_verdicts(one: Family) -> list[Verdict]:
    """The verdicts of all checks. PyTorch's random stream is restored at the end."""
    found: list[Verdict] = []
    with torch.random.fork_rng([]):
        for check in (*WHOLE, *(COUNTED if one.exact else ())):
            torch.manual_seed(0)
            found.append(verdict(check, one, family=one.name))
            if found[-1].last or (check is shapes and found[-1].status == "FAILED"):
                return found
    if not one.exact:
        said = (
            "No sizes make a point one number, or its states few, so mass, samples, kl and rsample are not looked at."
        )
        found.append(info("", said)._replace(rule="mass", family=one.name))
    return found
