"""Checks of `tuning`, the loss on which an estimator's own parameters are trained."""

import copy

import torch
from torch import Tensor

from bench.check.problem import Cost
from bench.check.subject import Case, own_parameters
from bench.check.verdict import Verdict, demand, ok
from estimators import VQ, Estimate, Estimator

REPLICAS = 64
STEP = 1e-4  # of the finite difference, along a direction of length 1
TOLERANCE = 1e-5  # relative to the slopes and the size of tuning
SHIFT = 0.5  # added to the cost, in nats


def tuning(case: Case) -> Verdict:
    """The gradient of tuning is its slope; tuning is the variance (the squared norm of the estimate) or the squared
    error of a regression on the cost."""
    made = case.trained()
    tuned = own_parameters(made)
    if not tuned:
        return ok("0 own parameters")
    estimate, _ = _drawn(case, made)
    demand(estimate.tuning is not None, "it has parameters of its own, and no tuning to train them")
    assert estimate.tuning is not None
    slope = torch.autograd.grad(estimate.tuning.sum(), tuned, retain_graph=True)
    torch.manual_seed(3)
    random = [torch.randn_like(p) for p in tuned]
    norms = True
    for direction in (slope, tuple(random)):
        length = float(torch.cat([d.flatten() for d in direction]).norm())
        if not length:
            continue
        unit = [d / length for d in direction]
        told = float(sum((a * b).sum() for a, b in zip(slope, unit, strict=True)))
        (up, up_norm), (down, down_norm) = (_moved(case, made, unit, sign * STEP) for sign in (1, -1))
        seen, other = float((up - down).sum()) / (2 * STEP), float((up_norm - down_norm).sum()) / (2 * STEP)
        allowed = TOLERANCE * (abs(told) + abs(seen) + float(estimate.tuning.detach().abs().sum()))
        demand(abs(told - seen) <= allowed, "the gradient of tuning is not its slope", f"{told:.3g}, {seen:.3g}")
        norms &= abs(told - other) <= allowed
    if norms:
        return ok("the variance")
    _regression(case, made)
    return ok("a regression on the cost")


def _regression(case: Case, made: Estimator) -> None:
    """Demand that tuning is a mean of (cost - prediction)^2: its second difference in a shift of the cost is 2."""
    second = 0.0
    for shift, weight in ((0.0, -2), (SHIFT, 1), (-SHIFT, 1)):
        tuning = _drawn(case, made, shift)[0].tuning
        assert tuning is not None
        second += weight * float(tuning.detach().mean()) / SHIFT**2
    reason = "tuning is neither the squared norm of the estimate nor the squared error of a prediction of the cost"
    demand(abs(second - 2) < 1e-6, reason, f"second difference {second:.3g}, of a squared error 2")


def _moved(case: Case, made: Estimator, direction: list[Tensor], step: float) -> tuple[Tensor, Tensor]:
    """tuning and the squared norm of the estimate, each `[R, B]`, after a step of the own parameters; fixed noise."""
    twin = copy.deepcopy(made)
    with torch.no_grad():
        for parameter, part in zip(own_parameters(twin), direction, strict=True):
            parameter.add_(step * part)
    estimate, norm = _drawn(case, twin)
    assert estimate.tuning is not None
    return estimate.tuning.detach(), norm


def _drawn(case: Case, made: Estimator, shift: float = 0.0) -> tuple[Estimate, Tensor]:
    """An estimate `[R, B]` on fixed noise, and the squared norm `[R, B]` of its gradient with respect to q.natural."""
    leaves = case.leaves(REPLICAS)
    q, natural = leaves.q, leaves.q.params
    if isinstance(q, VQ):  # its natural parameters are computed from the vectors: make them the leaf
        natural = q.logits.detach().requires_grad_()
        q = _with_logits(q, natural)
    torch.manual_seed(5)
    live = leaves._replace(q=q)
    estimate = made(q, Cost(live, case.kinds[0], shift), leaves.x)
    (grad,) = torch.autograd.grad(estimate.loss.sum(), [natural], retain_graph=True)
    return estimate, grad.flatten(2).square().sum(-1)


def _with_logits(q: VQ, logits: Tensor) -> VQ:
    """A copy of q whose code logits are the tensor `logits`."""
    made: VQ = object.__new__(type("VQ", (VQ,), {"logits": property(lambda self: logits)}))
    made.__dict__.update(q.__dict__)
    return made
