"""`bench.measure`: gradients of estimators on anyone's own model."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from bench.config.arguments import check_arguments, labelled
from bench.config.plugins import estimator
from bench.config.prepare import MEMORY
from bench.errors import BadInput
from bench.measure.gradient.reference import Reference, draw_reference
from bench.measure.gradient.rows import measure as measured
from bench.measure.look import adapted
from bench.measure.reference import reference_of
from bench.model.adapted import Adapted, Model
from bench.model.objective import Objective
from bench.own.arguments import kl_of
from bench.own.costs import COSTS, costs
from bench.own.defaults import train_group
from bench.own.names import blocks_of
from bench.settings import Config
from bench.streams import own_stream
from bench.train.trainer import Trainer
from estimators import Estimator, Latent

if TYPE_CHECKING:
    import pandas as pd


def measure(
    model: Model,
    batches: Tensor | Sequence[Tensor],
    estimators: Sequence[str | Estimator] | Mapping[str, Estimator],
    *,
    draws: int = 1024,
    kl: str = "auto",
    beta: float = 1.0,
    reference: str = "auto",
    reference_draws: int = 4096,
    precision: float | None = None,
    max_draws: int = 16384,
    layers: bool = False,
    parts: Mapping[str, str | Sequence[str]] | None = None,
    tuning_steps: int = 1000,
    tuning_lr: float = 1e-3,
    memory: float | None = None,
    repetitions: int = 20,
    seed: int = 0,
) -> "pd.DataFrame":
    """Noise, bias and time of the gradient of -ELBO of your own `nn.Module`, by each estimator.

    One row per estimator and part: `latent` (q.params), `encoder` (every parameter that q depends on), `decoder` (all
    others), then those of `parts`. Columns: those of table `gradient` (docs/columns.md), and of the whole gradient of
    one batch `evaluations_forward` and `evaluations_backward` of log_likelihood per example, `seconds` with their
    standard error, timed in turn with all other estimators, and `peak_memory` in bytes; `kl`, `tuning_steps`; and
    `reason`: why an estimator cannot serve this q or this KL, in which case there is no number. The model and the
    surrounding random stream are left as they are.

    Args:
        model: with `encode(x)` and `log_likelihood(x, z)`, see `bench.Model`; in eval mode where layers have two.
        batches: M probe batches `[M, B, ...]`, as `encode` takes each: nothing is flattened.
        estimators: names, or estimators from `bench.estimator("rloo", k=8)`, or a dict of labels to the latter.
        draws: R, gradients drawn per batch; the fewest where there is a `precision`.
        kl: how the KL enters, as objective.kl (docs/kl.md); auto is analytic, and sampled where an estimator or a model
            with `log_prior` alone needs it.
        beta: weight of the KL.
        reference: of bias and cosine. auto: exact where q can be enumerated or integrated, else drawn by reparam or
            rloo; none; or the name of an unbiased estimator.
        reference_draws: per batch, of a reference that is drawn.
        precision: relative standard error of the encoder's variance_noise at which drawing stops.
        max_draws: per batch, where there is a `precision`.
        layers: one more row for every layer.
        parts: one more row for each name: of the submodules or parameters with these dotted names.
        tuning_steps: steps of Adam, on these batches in turn, that train an estimator's own parameters and state first.
        tuning_lr: their learning rate.
        memory: MiB that one chunk of draws may take; by default 256 on the CPU, 4096 on a GPU.
        repetitions: blocks that are timed, at the most; 0: nothing is timed.
        seed: of all noise.

    Raises:
        BadInput: the model, a batch or an argument is not as it has to be, or no estimator can serve this q.
    """
    import pandas as pd

    probe = _stacked(batches)
    check_arguments(
        draws=draws, beta=beta, reference=reference, reference_draws=reference_draws, precision=precision,
        max_draws=max_draws, layers=layers, tuning_steps=tuning_steps, tuning_lr=tuning_lr, memory=memory,
        repetitions=repetitions, seed=seed,
    )  # fmt: skip
    entries = labelled(estimators)
    own = adapted(model, probe[0], seed)
    named = blocks_of(own, parts or {})
    with torch.enable_grad():
        made = {label: _objective(own, entry, probe[0], kl, beta, seed) for label, entry in entries.items()}
        q = own.encode(probe[0])
        reasons = {label: reason for label, objective in made.items() if (reason := objective.impossible(q))}
        if len(reasons) == len(made):
            raise BadInput(next(iter(reasons.values())))
        tuned: dict[str, int | None] = {}
        for label, objective in made.items():
            if label in reasons:
                continue
            tuned[label] = _tune(objective, probe, tuning_steps, tuning_lr, seed)
            if not all(p.isfinite().all() for p in objective.estimator.state_dict().values()):
                reasons[label] = f"It is not finite after {tuned[label]} steps of tuning."
        able = {label: objective for label, objective in made.items() if label not in reasons}
        room = MEMORY[probe.device.type] if memory is None else memory
        references = _References(reference, probe, reference_draws, room, seed)
        rows: dict[str, list[dict[str, Any]]] = {}
        for label, objective in able.items():
            found = measured(
                objective, probe, draws, seed=seed, memory=room, layers=layers, reference=references.of(objective, q),
                precision=precision, max_draws=max_draws, named=named,
            )  # fmt: skip
            rows[label] = [dict(row) for row in found]
        times = costs(able, probe[0], repetitions, seed)
    table: list[dict[str, Any]] = []
    for label, objective in made.items():
        about = {"kl": objective.kl, "tuning_steps": tuned.get(label), **times.get(label, {})}
        about["reason"] = reasons.get(label)
        for row in rows.get(label, [{}]):
            row.pop("estimator", None)
            table.append({"estimator": label, **row, **about})
    measured_columns = next(iter(rows.values()))[0] if rows else {}
    return pd.DataFrame(table, columns=["estimator", *measured_columns, "kl", "tuning_steps", *COSTS, "reason"])


def _stacked(batches: Tensor | Sequence[Tensor]) -> Tensor:
    """`[M, B, ...]`."""
    if not isinstance(batches, Tensor):
        each = list(batches) if isinstance(batches, Iterable) else [batches]
        if not all(isinstance(x, Tensor) for x in each) or len({x.shape for x in each}) > 1:
            raise BadInput("batches needs a tensor [M, B, ...], or a list of M tensors [B, ...] of one shape.")
        batches = torch.stack(each) if each else torch.zeros(0, 0)
    if batches.ndim < 2 or not len(batches) or not batches.shape[1]:
        raise BadInput(
            f"batches needs M batches of B examples [M, B, ...], one or more of each; got {list(batches.shape)}."
        )
    return batches.detach()


def _objective(own: Adapted, entry: str | Estimator, x: Tensor, kl: str, beta: float, seed: int) -> Objective:
    """-ELBO under this estimator, whose lazy layers have their size."""
    with own_stream(seed, "estimator"):
        made = estimator(entry) if isinstance(entry, str) else deepcopy(entry)  # which may be trained
        q = own.encode(x)
        objective = Objective(own, made.to(x.device, q.params.dtype), kl_of(kl, made, own), float(beta))
        if objective.impossible(q) is None:
            objective.estimate(q, x)
    return objective


def _tune(objective: Objective, probe: Tensor, steps: int, lr: float, seed: int) -> int | None:
    """Train the estimator's own parameters and state; the steps, or None where it has neither."""
    made = objective.estimator
    if not [p for p in made.parameters() if p.requires_grad] and type(made).update is Estimator.update:
        return None
    trainer = Trainer(objective, cycle(probe), train_group(tuning_lr=lr))
    with own_stream(seed, "tuning"):
        for _ in range(steps):
            trainer.tune()
    return steps


class _References:
    """The references of objectives that differ in their estimators alone are one."""

    def __init__(self, name: str, probe: Tensor, draws: int, memory: float, seed: int):
        self.name, self.probe, self.draws, self.memory, self.seed = name, probe, draws, memory, seed
        self.drawn: dict[tuple[str, str], Reference] = {}
        if name not in ("auto", "none") and not estimator(name).unbiased:
            raise BadInput(f"reference={name} is not an unbiased estimator; take auto, exact or one that is.")

    def of(self, objective: Objective, q: Latent) -> Reference | None:
        """What this objective's bias is a distance from."""
        found = reference_of(objective, q, cast(Config, {"measure": {"reference": self.name}}))
        if found is None:
            return None
        key = found.kl, found.estimator.name
        if key not in self.drawn:
            with own_stream(self.seed, "reference"):
                self.drawn[key] = draw_reference(found, self.probe, self.draws, memory=self.memory)
        return self.drawn[key]
