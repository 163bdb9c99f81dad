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

from bench.measure import own_stream
from bench.objective import Objective
from bench.provenance import device_name
from bench.train import Trainer
from estimators import Latent


class _Counted(torch.autograd.Function):
    """The identity, which reports its backward passes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, backward: list[int]) -> Tensor:
        return z.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.count, ctx.backward_calls = inputs[0].shape[0], inputs[1]

    @staticmethod
    def backward(ctx, grad: Tensor):
        ctx.backward_calls.append(ctx.count)
        return grad, None


def evaluations(objective: Objective, q: Latent, x: Tensor) -> tuple[int, int]:
    """Evaluations of the cost per example for one gradient: forward, and backward to z."""
    forward: list[int] = []
    backward: list[int] = []
    inner = objective.cost(q, x)

    def counted(z: Tensor, live: Latent | None = None) -> Tensor:
        forward.append(z.shape[0])
        return inner(_Counted.apply(z, backward), live)

    loss = objective.estimator(q, counted, x).loss
    if loss.requires_grad:
        torch.autograd.grad(loss.sum(), [q.params, *objective.model.decoder.parameters()], allow_unused=True)
    return sum(forward), sum(backward)


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


def peak_memory(work: Callable[[], object], device: torch.device) -> int:
    """Bytes of tensors that `work` holds at its peak beyond those held before it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with _quiet(), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        work()
    held = peak = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


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


def costs(trainer: Trainer, batches: Iterator[Tensor], *, repetitions: int, warmup: int, seed: int) -> list[dict]:
    """Rows of table `cost` for a training step and for a gradient (all of a step but the optimisers and the state).

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
        for what, work in (("gradient", lambda: twin.gradient(x)), ("step", twin.step)):
            row = {"what": what, "engine": "eager", "batch_size": len(x), "threads": threads}
            row |= {"device": device.type, "device_name": device_name(device.type)}
            row |= {"evaluations_forward": float(forward), "evaluations_backward": float(backward)}
            row |= {"valid": threads <= len(os.sched_getaffinity(0)), "peak_memory": peak_memory(work, device)}
            rows.append(row | timed(work, device, repetitions, warmup))
    return rows
