"""`bench.train`: anyone's own model trained with the suite's loop, engines and replicas, in Python."""

import warnings
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from bench.config.arguments import check_arguments
from bench.config.plugins import estimator as named
from bench.data.batches import Batches
from bench.data.datasets import Data
from bench.errors import BadInput, DataError, Impossible
from bench.measure.evaluate import evaluate
from bench.measure.look import adapted
from bench.model.adapted import Adapted, Model
from bench.model.objective import Objective
from bench.own.arguments import kl_of
from bench.own.defaults import train_group
from bench.run.clock import TrainingClock
from bench.streams import TRAINING, own_stream
from bench.terminal import progress_bar, watched
from bench.train.capture import obstacle
from bench.train.engine import engine as executed_by
from bench.train.engine import prepare
from bench.train.replicas import Replicas
from bench.train.trainer import LOSSES_KEPT, Trainer
from estimators import Estimator

if TYPE_CHECKING:
    import pandas as pd


class Trained(NamedTuple):
    """What `bench.train` gives.

    Attributes:
        table: rows of table `objective` (docs/columns.md): bounds of each split at each stop, `seed` counting models.
        model: what was handed in, trained in place.
    """

    table: "pd.DataFrame"
    model: Any


def train(
    model: Model | Sequence[Model],
    data: Tensor,
    estimator: str | Estimator,
    *,
    test: Tensor | None = None,
    steps: int = 1000,
    batch_size: int = 100,
    kl: str = "auto",
    beta: float = 1.0,
    at: Collection[float] = (0, 0.1, 0.2, 0.5, 1),
    examples: int | None = 1000,
    samples: int = 100,
    prior_samples: int = 0,
    engine: str = "eager",
    seed: int = 0,
    progress: bool | None = None,
    **settings: Any,
) -> Trained:
    """Train your own `nn.Module` by an estimator's gradient of -ELBO, in place, and evaluate it on the way.

    A loss that is not finite ends the training of its model, with a warning. Layers that normalise by their batch or
    drop out have to be in eval mode, as for `bench.measure`.

    Args:
        model: of the protocol `bench.Model`; a list of R of them, equal but for their weights, is trained as one.
        data: training examples `[N, ...]`, on the model's device, as `encode` takes a batch of them.
        estimator: a name, or an estimator, which is copied.
        test: examples of a second split to evaluate on.
        steps: of the optimiser.
        batch_size: examples of a step.
        kl: as for `bench.measure`.
        beta: weight of the KL.
        at: when to evaluate, as fractions of the steps.
        examples: of each split that is evaluated, spread evenly; None: all.
        samples: K of the importance-weighted bound.
        prior_samples: of the estimate of log p(x) by sampling the prior; 0: left out.
        engine: eager, compile or graph.
        seed: of the order of the examples and of all noise; that of the second model is one more.
        progress: whether to show a bar; None: on a terminal and in a notebook.
        settings: keys of the group `train` (docs/configuration.md): optimiser, lr, schedule, ...

    Raises:
        BadInput: the model, the data or an argument is not as it has to be, or the parts do not go together.
    """
    import pandas as pd

    if not isinstance(data, Tensor) or data.ndim < 1 or not len(data):
        raise BadInput("data needs a tensor [N, ...] of one or more examples.")
    if test is not None and (not isinstance(test, Tensor) or test.shape[1:] != data.shape[1:] or not len(test)):
        raise BadInput(f"test needs a tensor [N, ...] of one or more examples, each {list(data.shape[1:])} as in data.")
    if not isinstance(estimator, str | Estimator):
        raise BadInput(f"estimator needs a name, or an estimator from bench.estimator(...); got {estimator!r}.")
    fractions = [*at] if isinstance(at, Collection) and not isinstance(at, str) else at
    check_arguments(
        engine=engine,
        at=fractions,
        beta=beta,
        examples=examples,
        samples=samples,
        prior_samples=prior_samples,
        seed=seed,
    )
    if not at:
        raise BadInput("at needs one fraction of the training or more, from 0 to 1; got none.")
    group = train_group(steps=steps, batch_size=batch_size, **settings)
    models: list[Any] = list(model) if isinstance(model, Sequence) else [model]
    if not models:
        raise BadInput("model needs one torch.nn.Module, or a list of one or more.")
    held = Data("data", "none", (0, 0, 0), data.detach(), None, test, data.new_zeros(0))
    seeds = [seed + number for number in range(len(models))]
    with torch.enable_grad():
        try:
            trainers = [
                Trainer(_objective(m, data[:batch_size], estimator, kl, beta, s), Batches(held, batch_size, s), group)
                for m, s in zip(models, seeds, strict=True)
            ]
        except DataError as error:
            raise BadInput(str(error)) from error
        example = data[:batch_size]
        trainer = trainers[0] if len(models) == 1 else Replicas(trainers, seeds, group, example)
        if engine == "graph" and data.is_cuda and (reason := obstacle(trainer, example)):
            raise Impossible(f"engine=graph cannot record {reason}; engine=eager and engine=compile run.")
        run = executed_by(trainer, engine)
        rows: list[dict[str, Any]] = []
        clock, ended = TrainingClock(data.device), set[int]()
        stops = {round(fraction * steps) for fraction in at}
        title = f"{trainer.estimator.name} on {type(models[0]).__name__}"
        noise = own_stream(seed, TRAINING) if len(models) == 1 else nullcontext()
        with progress_bar(title, steps, watched() if progress is None else progress) as advance, noise:
            prepare(run, example if len(models) == 1 else example.expand(len(models), *example.shape))
            for step in range(steps + 1):
                if step in stops or step % LOSSES_KEPT == 0 or step == steps:
                    clock.settle()
                    ended |= _diverged(trainer, ended)
                if step in stops:
                    advance(step, "evaluating")
                    about = {"step": step, "seconds": clock.seconds}
                    for number in sorted({*range(len(models))} - ended):
                        own = cast(Adapted, trainers[number].model)
                        for split in ("train", "test") if test is not None else ("train",):
                            x = held.fixed(split, examples, seed)
                            found = evaluate(own, x, samples, prior_samples, seeds[number], beta > 0)
                            rows.append({"seed": seeds[number], "split": split, **about, **found})
                if step == steps or len(ended) == len(models):
                    break
                with clock:
                    run.step()
                advance(step + 1)
    return Trained(pd.DataFrame(rows), model)


def _objective(model: Any, x: Tensor, given: str | Estimator, kl: str, beta: float, seed: int) -> Objective:
    """-ELBO of this model under an estimator of its own, whose lazy layers have their size."""
    own = adapted(model, x, seed)
    with own_stream(seed, "estimator"):
        made = named(given) if isinstance(given, str) else deepcopy(given)
        q = own.encode(x)
        objective = Objective(own, made.to(x.device, q.params.dtype), kl_of(kl, made, own), float(beta))
        if reason := objective.impossible(q):
            raise Impossible(reason)
        objective.estimate(q, x)
    return objective


def _diverged(trainer: Trainer, ended: set[int]) -> set[int]:
    """The models whose loss has just been found not to be finite; each is told."""
    found = trainer.diverged()
    steps: list[int | None] = found if isinstance(found, list) else [found]
    new = {number: step for number, step in enumerate(steps) if step is not None and number not in ended}
    for number, step in new.items():
        which = f" of model {number}" if len(steps) > 1 else ""
        warnings.warn(f"The loss{which} was not finite at step {step}: its training ended.", stacklevel=3)
    return {*new}
