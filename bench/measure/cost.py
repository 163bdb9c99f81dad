"""Rows of table `cost`: what a training step and a gradient take, of one estimator or of several timed in turn."""

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

PAUSE = 4  # blocks for which the machine is looked at before and after


class Subject:
    """A trainer that is to be timed, on a copy and inside a stream of noise of its own.

    Args:
        trainer: goes on as if nothing had happened.
        batches: in place of the training's own.
        name: of the engine.
        compiling: the seconds that it has spent on that, where it has.
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
        """A gradient of so many examples, by engine eager; those of the batch are repeated where there are fewer."""
        x = self.x[torch.arange(batch_size, device=self.x.device) % len(self.x)]
        return lambda: self.twin.gradient(x)

    def rows(self, timed: Mapping[str, CostRow]) -> list[CostRow]:
        """Of what was timed of it."""
        rows: list[CostRow] = []
        for what, columns in timed.items():
            row: CostRow = {"what": what, "engine": self.name, "batch_size": len(self.x)}
            # Warm, since what is allocated once is there; a graph holds its memory all the time.
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
    """Rows for a training step and for a gradient (all of a step but the optimisers and the state), as of `Subject`;
    `seed` is that of all noise."""
    with own_stream(seed, "timing"):
        subject = Subject(trainer, batches, name, compiling)
        return subject.rows(in_turn(subject.works, subject.device, rounds))


def in_turn(works: Mapping[Name, Work], device: torch.device, rounds: Rounds) -> dict[Name, CostRow]:
    """Columns of table `cost` that say how long each piece of work takes, and whether anything disturbed that."""
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
    """Seconds of so many calls."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
