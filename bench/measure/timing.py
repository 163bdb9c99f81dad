"""Seconds, cost evaluations and memory of a training step and of a gradient."""

import copy
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from bench.machine import device_name, undisturbed
from bench.model.objective import Objective
from bench.streams import own_stream
from bench.train.engine import WARM_UP, engine, prepare
from bench.train.trainer import Trainer
from estimators import Latent

PEAK = "peak memory"  # marks what is measured among the profiler's events


class _Counted(torch.autograd.Function):
    """The identity, which reports its backward passes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, report: Callable[[int], None]) -> Tensor:
        return z.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.count, ctx.report = inputs[0].shape[0], inputs[1]  # a list would arrive as a copy inside torch.func

    @staticmethod
    def backward(ctx, grad: Tensor):
        ctx.report(ctx.count)
        return grad, None


def evaluations(objective: Objective, q: Latent, x: Tensor) -> tuple[int, int]:
    """Evaluations of the cost per example for one gradient: forward, and backward to z."""
    forward: list[int] = []
    backward: list[int] = []
    inner = objective.cost(q, x)

    def counted(z: Tensor, q: Latent | None = None) -> Tensor:
        forward.append(z.shape[0])
        return inner(_Counted.apply(z, backward.append), q)

    loss = objective.estimator(q, counted, x).loss
    forward_count = sum(forward)  # before a backward pass that computes costs again to save memory
    if loss.requires_grad:
        learned = [p for p in objective.model.parameters() if p.requires_grad]
        torch.autograd.grad(loss.sum(), [q.params, *learned], allow_unused=True)
    return forward_count, sum(backward)


def timed(work: Callable[[], object], device: torch.device, repetitions: int, warmup: int) -> dict:
    """Median and quartiles of the seconds of `work` after warm-up; the device is idle whenever the clock is read."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = []
    for _ in range(warmup + repetitions):
        wait()
        start = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - start)
    q1, median, q3 = np.quantile(seconds[warmup:], [0.25, 0.5, 0.75]).tolist()
    return {"seconds": median, "seconds_q1": q1, "seconds_q3": q3, "repetitions": repetitions}


def _total(work: Callable[[], object], device: torch.device, calls: int) -> float:
    """Seconds of so many calls."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def compare(
    ours: Callable[[], object], plain: Callable[[], object], device: torch.device, repetitions: int
) -> dict[str, float]:
    """Median seconds of `ours` and of the `reference`, taken in turn; median and quartiles of reference / ours."""
    pairs = []
    for i in range(repetitions + 1):
        pair = [timed(work, device, 1, 0)["seconds"] for work in (ours, plain)]
        if i:  # the first is the warm-up
            pairs.append(pair)
    seconds = np.array(pairs)
    q1, median, q3 = np.quantile(seconds[:, 1] / seconds[:, 0], [0.25, 0.5, 0.75])
    ours_median, plain_median = np.median(seconds, 0).tolist()
    return {"ours": ours_median, "reference": plain_median, "ratio": float(median), "q1": float(q1), "q3": float(q3)}


def peak_memory(work: Callable[[], object], device: torch.device, before_it: Callable[[], object] | None = None) -> int:
    """Bytes of tensors that `work` holds at its peak beyond those held before it. On the CPU `before_it` is run first,
    by default `work` itself: the profiler sees only the end of blocks whose beginning it saw, such as gradients left by
    the last call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with _quiet(), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        (before_it or work)()
        with torch.profiler.record_function(PEAK):
            work()
    events = sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns())
    start = next(e.start_ns() for e in events if e.name() == PEAK)
    held = before = peak = 0
    for event in events:
        if event.name() == "[memory]":
            held += event.nbytes()
            before = held if event.start_ns() < start else before
            peak = max(peak, held) if event.start_ns() >= start else held
    return peak - before


@contextmanager
def _quiet():
    """Silence the profiler, which writes to the process's standard error behind Python's back."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def costs(
    trainer: Trainer,
    batches: Iterator[Tensor],
    *,
    repetitions: int,
    warmup: int,
    seed: int,
    name: str = "eager",
    compiling: float | None = None,
) -> list[dict]:
    """Rows of table `cost` for a training step and for a gradient (all of a step but the optimisers and the state).

    `name` is that of the engine, and `compiling` the seconds it has spent on that, where it has.

    Everything is timed on a copy, with `batches` in place of the training's own, so that the training goes on as if
    nothing had happened. The clock is read with the device idle.
    """
    device = trainer.learned[0].device
    threads = torch.get_num_threads()
    rows = []
    with own_stream(seed):
        twin = copy.deepcopy(trainer, {id(trainer.batches): batches})
        x = next(batches)
        forward, backward = evaluations(twin.objective, twin.model.encode(x), x)
        executed = engine(twin, name)
        works: dict[str, Callable[[], object]] = {"gradient": lambda: executed.gradient(x), "step": executed.step}
        if name == "graph":
            compiling = sum(_total(work, device, WARM_UP + 1) for work in works.values())
        else:
            compiling = compiling or prepare(executed, x)
        for what, work in works.items():
            row = {"what": what, "engine": name, "batch_size": len(x), "threads": threads, "seconds_compile": compiling}
            row |= {"device": device.type, "device_name": device_name(device.type)}
            row |= {"evaluations_forward": float(forward), "evaluations_backward": float(backward)}
            row |= {"valid": undisturbed(threads, device.type), **timed(work, device, repetitions, warmup)}
            # Warm, since what is allocated once is there; a graph holds its memory all the time.
            rows.append(row | {"peak_memory": None if name == "graph" else peak_memory(work, device)})
    return rows
