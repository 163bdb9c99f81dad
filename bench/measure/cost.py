"""Rows of table `cost`: time and memory of a training step and of a gradient, for one estimator or several in turn."""

import copy
import time
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from bench.machine import device_name
from bench.measure.clock import Name, Rounds, Work, clock_of, interleaved
from bench.measure.disturbance import Watch
from bench.measure.timing import evaluations, kernels, peak_memory
from bench.streams import own_stream
from bench.tables.rows import CostRow
from bench.train.engine import GRAPHS, engine, prepare
from bench.train.graph import WARM_UP
from bench.train.trainer import Trainer

PAUSE = 4  # how long the load of the machine is measured before and after the timing, in blocks


class Subject:
    """A copy of a trainer that is timed, with a random stream of its own.

    Args:
        trainer: it is not changed.
        batches: take the place of the training's own.
        name: of the engine.
        compiling: seconds that compilation took, if it is done already.
    """

    def __init__(
        self, trainer: Trainer, batches: Iterator[Tensor], name: str = "eager", compiling: float | None = None
    ):
        self.device, self.name = trainer.learned[0].device, name
        self.twin = copy.deepcopy(trainer, {id(trainer.batches): batches})
        self.x = x = next(batches)
        forward, backward = evaluations(self.twin.objective, self.twin.model.encode(x), x)
        executed = engine(self.twin, name)
        self.works: dict[str, Work] = {"gradient": lambda: executed.gradient(x), "step": executed.step}
        if name in GRAPHS:
            compiling = sum(_total(work, self.device, WARM_UP + 1) for work in self.works.values())
        else:
            compiling = compiling or prepare(executed, x)
        self.about: CostRow = {
            "seconds_compile": compiling,
            "evaluations_forward": float(forward),
            "evaluations_backward": float(backward),
        }
        self.about |= {"device": self.device.type, "device_name": device_name(self.device.type)}

    def of_size(self, batch_size: int) -> Work:
        """The gradient of a batch of this size under engine eager. A smaller batch is repeated to this size."""
        x = self.x[torch.arange(batch_size, device=self.x.device) % len(self.x)]
        return lambda: self.twin.gradient(x)

    def rows(self, timed: Mapping[str, CostRow]) -> list[CostRow]:
        """The rows of table `cost` for the pieces of work in `timed`, which holds the columns of their times."""
        rows: list[CostRow] = []
        for what, columns in timed.items():
            row: CostRow = {"what": what, "engine": self.name, "batch_size": len(self.x)}
            # The work is warm, so memory that is allocated once does not count; a graph always holds its memory.
            memory = None if self.name in GRAPHS else peak_memory(self.works[what], self.device)
            rows.append(row | self.about | columns | {"peak_memory": memory})
        return rows


def costs(
    trainer: Trainer,
    batches: Iterator[Tensor],
    *,
    rounds: Rounds,
    seed: int,
    name: str = "eager",
    compiling: float | None = None,
) -> list[CostRow]:
    """Time a training step and a gradient, which is a step without the optimisers and the estimator's state.

    Args:
        trainer, batches, name, compiling: as of `Subject`.
        rounds: the limits of the timing.
        seed: of all noise.

    Returns:
        Two rows of table `cost`.
    """
    with own_stream(seed, "timing"):
        subject = Subject(trainer, batches, name, compiling)
        return subject.rows(in_turn(subject.works, subject.device, rounds))


def in_turn(works: Mapping[Name, Work], device: torch.device, rounds: Rounds) -> dict[Name, CostRow]:
    """Time all pieces of work in turn: for each, the columns of table `cost` on its time and on disturbances."""
    threads = torch.get_num_threads()
    with Watch(threads, device.type, PAUSE * rounds.block) as watch:
        timings = interleaved(works, clock_of(device), rounds, watch.look)
    found: dict[Name, CostRow] = {}
    for name, timing in timings.items():
        row: CostRow = {
            **timing.columns(),
            **kernels(works[name], device),
            "threads": threads,
            "interleaved": len(works),
        }
        if (seconds := row["seconds_device"]) is not None:
            row["overhead"] = 1 - seconds / timing.seconds
        found[name] = row | watch.columns()
    return found


def _total(work: Work, device: torch.device, calls: int) -> float:
    """The total time of `calls` calls, in seconds."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
