"""Comparison of estimators on a cost that the user writes: `bench.compare`."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.config.arguments import check_arguments, labelled
from bench.config.plugins import estimator
from bench.errors import BadInput
from bench.measure.clock import Rounds, Work, clock_of, interleaved
from bench.measure.gradient.rows import measure
from bench.measure.reference import unbiased
from bench.measure.timing import evaluations
from bench.model.objective import Objective
from bench.streams import own_stream as noise
from estimators import Estimator, Latent

if TYPE_CHECKING:
    import pandas as pd
from bench.measure.own_problem import OwnCost

TUNING_LR = 1e-3
COLUMNS = (
    "estimator", "variance", "variance_se", "bias_sq", "bias_sq_se", "reference", "tuning_steps",
    "evaluations", "evaluations_backward", "microseconds", "microseconds_se", "reason",
)  # fmt: skip


def compare(
    cost: Callable[[Tensor], Tensor],
    q: Latent,
    estimators: Sequence[str | Estimator] | Mapping[str, Estimator],
    *,
    draws: int = 10_000,
    reference: str = "auto",
    reference_draws: int = 100_000,
    tuning_steps: int = 0,
    repetitions: int = 20,
    seed: int = 0,
) -> "pd.DataFrame":
    """One row per estimator of the gradient of the mean over the batch of E cost(z), z ~ q, with respect to q.params.

    Columns: `variance` is the trace of the covariance. `bias_sq` is the squared distance of the mean from the
    reference, minus the noise of both; it is 0 on average for an unbiased estimator and may be negative. Both have
    a standard error. `reference` names the reference. `tuning_steps` counts the steps that trained the estimator's own
    parameters and state; it is missing where there are none. `evaluations` counts the calls of the cost per example
    and gradient, `evaluations_backward` those that go backward to z. `microseconds` is the time of a gradient of the
    batch, with its standard error, timed in turn with all other estimators. `reason` says why an estimator cannot
    differentiate this q; then the numbers are missing.

    Args:
        cost: points `z [K, B, *]` -> `[K, B]`; differentiable in z for the estimators that use its slope.
        q: `Bernoulli(logits [B, D])`, `Gaussian(params [B, 2 D])`, `Categorical(logits [B, D, C])`, `VQ(...)` or
            `Sequence(logits [B, N, V])`.
        estimators: names, or estimators from `bench.estimator("rloo", k=8)`, or a dict from labels to the latter.
        draws: gradients drawn for the variance.
        reference: the name of an unbiased estimator, or auto: exact where the states can be enumerated, quadrature for
            a Gaussian where it has converged, and else a gradient sampled by rloo, which is right for costs with
            jumps too.
        reference_draws: gradients drawn for a sampled reference.
        tuning_steps: steps of Adam, at 1e-3, that first train an estimator's own parameters and state at this q.
        repetitions: the most blocks that are timed; 0: no times.
        seed: of all noise; PyTorch's random stream does not move.

    Raises:
        ValueError: estimators is not a list, an estimator or the reference is unknown, q does not have exactly one
            batch axis, there are fewer than two draws, or the cost has the wrong shape.
    """
    import pandas as pd

    check_arguments(
        draws=draws, reference=reference, reference_draws=reference_draws, tuning_steps=tuning_steps,
        repetitions=repetitions, seed=seed,
    )  # fmt: skip
    if not callable(cost):
        raise BadInput(f"cost needs a function of z [K, B, *] that returns [K, B]; got {cost!r}.")
    if not isinstance(q, Latent):
        raise BadInput(f"q needs a latent, such as estimators.Bernoulli(logits [B, D]); got {type(q).__name__}.")
    if len(q.batch_shape) != 1:
        raise BadInput(f"q needs one batch axis, as params [B, *]; its batch shape is {list(q.batch_shape)}.")
    entries = labelled(estimators)
    problem, x = OwnCost(cost, q.detach()), q.params.new_zeros(len(q.params), 1)
    with noise(seed, "compare"):
        value = cost(q.detach().sample(2))
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise BadInput(f"cost(z) of z [K, B, *] must be a tensor [K, B] of real numbers, and it is {kind}.")
        if value.shape != (2, len(x)):
            raise BadInput(f"cost(z) of z [K, B, *] must be [K, B]: here (2, {len(x)}), and it is {(*value.shape,)}.")
        truth = _objective(problem, estimator(_auto(q) if reference == "auto" else reference), x)
    if reason := truth.impossible(problem.encode(x)):
        raise BadInput(reason)
    if not truth.estimator.unbiased:
        raise BadInput(f"reference={reference} is not an unbiased estimator; take auto, exact or one that is.")
    rows: list[dict[str, Any]] = []
    works: dict[str, Work] = {}
    for label, entry in entries.items():
        with noise(seed, "compare"):
            made = estimator(entry) if isinstance(entry, str) else deepcopy(entry)  # which may be trained
            objective = _objective(problem, made, x)
        if reason := objective.impossible(problem.encode(x)):
            rows.append({"estimator": label, "reason": reason})
            continue
        steps = _tune(objective, x, tuning_steps, seed)
        if not all(p.isfinite().all() for p in made.state_dict().values()):
            rows.append({"estimator": label, "reason": f"It is not finite after {steps} steps of tuning."})
            continue
        row = _row(objective, x, draws, truth, reference_draws, seed)
        rows.append({"estimator": label, "tuning_steps": steps, **row})
        works[label] = _gradient(objective, x)
    times = _times(works, x.device, repetitions, seed)
    for each in rows:
        each |= times.get(each["estimator"], {})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _auto(q: Latent) -> str:
    name = unbiased(q)
    return "rloo" if name == "reparam" else name


def _objective(problem: OwnCost, made: Estimator, x: Tensor) -> Objective:
    """The objective E cost, without a KL, under this estimator, whose lazy layers are materialised."""
    objective = Objective(problem, made.to(x.device, x.dtype), beta=0.0)
    q = problem.encode(x)
    if objective.impossible(q) is None:
        objective.estimate(q, x)
    return objective


def _tune(objective: Objective, x: Tensor, steps: int, seed: int) -> int | None:
    """Train the estimator's own parameters and state at this q. Returns the steps, or None if it has neither."""
    made, q = objective.estimator, objective.model.encode(x).detach()
    learned = [p for p in made.parameters() if p.requires_grad]
    if not learned and type(made).update is Estimator.update:
        return None
    optimiser = torch.optim.Adam(learned, TUNING_LR) if learned else None
    with noise(seed, "compare"):
        for _ in range(steps):
            estimate = objective.estimate(q.with_params(q.params.detach().requires_grad_()), x)
            if optimiser and estimate.tuning is not None:
                optimiser.zero_grad()
                estimate.tuning.mean().backward(inputs=learned)
                optimiser.step()
            made.update(estimate)
    return steps


def _row(
    objective: Objective, x: Tensor, draws: int, truth: Objective, reference_draws: int, seed: int
) -> dict[str, float | str | None]:
    measured = measure(objective, x[None], draws, seed=seed, reference=truth, reference_draws=reference_draws)
    (latent,) = (row for row in measured if row["part"] == "latent")
    with noise(seed, "compare"):
        forward, backward = evaluations(objective, objective.model.encode(x), x)
    return {
        "variance": latent["variance_noise"],
        "variance_se": latent["variance_noise_se"],
        "bias_sq": latent["bias_sq"],
        "bias_sq_se": latent["bias_sq_se"],
        "reference": latent["reference"],
        "evaluations": forward,
        "evaluations_backward": backward,
    }


def _gradient(objective: Objective, x: Tensor) -> Work:
    q = objective.model.encode(x).detach()

    def work() -> Any:
        leaf = q.params.detach().requires_grad_()
        loss = objective.estimate(q.with_params(leaf), x).loss.mean()
        return torch.autograd.grad(loss, [leaf], allow_unused=True)

    return work


def _times(works: dict[str, Work], device: torch.device, repetitions: int, seed: int) -> dict[str, dict[str, Any]]:
    """The columns of the times of all gradients, timed in turn, by label."""
    if not works or not repetitions:
        return {}
    with noise(seed, "timing"):
        found = interleaved(works, clock_of(device), Rounds(most=repetitions))
    times = {label: (timing.seconds, timing.seconds_se) for label, timing in found.items()}
    return {n: {"microseconds": 1e6 * s, "microseconds_se": se and 1e6 * se} for n, (s, se) in times.items()}
