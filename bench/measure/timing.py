"""Seconds, cost evaluations and memory of a piece of work."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.measure.clock import Rounds, Timing, Work, clock_of, interleaved, standard_error
from bench.model.objective import Objective
from bench.tables.rows import CostRow
from estimators import Cost, Latent

PEAK = "peak memory"  # marks what is measured among the profiler's events


class _Counted(torch.autograd.Function):
    """The identity, which reports its backward passes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, report: Callable[[], None]) -> Tensor:
        return z.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.report = inputs[1]  # a list would arrive as a copy inside torch.func

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        ctx.report()
        return grad, None


def evaluations(objective: Objective, q: Latent, x: Tensor) -> tuple[int, int]:
    """Evaluations of the cost per example for one gradient: forward, and backward to z. Several layers or
    steps are summed."""
    forward: list[int] = []
    backward: list[int] = []

    def counting(cost: Cost, q: Latent) -> Cost:
        given = q.batch_shape[:-1].numel()  # points of the layer before

        def counted(z: Tensor, q: Latent | None = None) -> Tensor:
            points = z.shape[0] * given
            forward.append(points)
            return cost(_Counted.apply(z, lambda: backward.append(points)), q)

        return counted

    loss = objective.draw(q, x, counting).loss
    forward_count = sum(forward)  # before a backward pass that computes costs again to save memory
    if loss.requires_grad:
        wanted = [p for p in (q.params, *objective.model.parameters()) if p.requires_grad]
        torch.autograd.grad(loss.sum(), wanted, allow_unused=True)
    return forward_count, sum(backward)


def compare(ours: Work, plain: Work, device: torch.device, rounds: Rounds) -> dict[str, Any]:
    """Time our work and a reference in turn.

    Returns:
        Median seconds `ours` and `reference`, and the median over rounds `ratio` of reference / ours, each with a
        standard error `*_se`; the quartiles `q1` and `q3` of the ratio.
    """
    found = interleaved({"ours": ours, "reference": plain}, clock_of(device), rounds)
    return against(found["ours"], found["reference"])


def against(ours: Timing, reference: Timing) -> dict[str, Any]:
    """As `compare`, from two timings that were taken in turn."""
    row: dict[str, Any] = {"ours": ours.seconds, "ours_se": ours.seconds_se}
    row |= {"reference": reference.seconds, "reference_se": reference.seconds_se}
    ratios = reference.blocks / ours.blocks
    q1, median, q3 = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
    return row | {"ratio": median, "ratio_se": standard_error(ratios), "q1": q1, "q3": q3}


def kernels(work: Work, device: torch.device, calls: int = 3) -> CostRow:
    """Columns `seconds_device` and `launches` of one call on a GPU: the summed time of its kernels and copies, without
    the time in which the device is idle, and their number. Both are null on the CPU, and where the profiler sees none,
    since no call has none."""
    if device.type != "cuda":
        return {"seconds_device": None, "launches": None}
    torch.cuda.synchronize(device)
    with _quiet(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(calls):
            work()
        torch.cuda.synchronize(device)
    spans = [
        event.duration_ns()
        for event in profile.profiler.kineto_results.events()
        if event.device_type() == torch.autograd.DeviceType.CUDA and not event.is_user_annotation()
    ]
    if not spans:
        return {"seconds_device": None, "launches": None}
    return {"seconds_device": sum(spans) / calls / 1e9, "launches": len(spans) / calls}


def peak_memory(work: Callable[[], object], device: torch.device, before_it: Callable[[], object] | None = None) -> int:
    """The peak memory of tensors during `work`, in bytes, minus the memory held before it.

    On the CPU `before_it`, by default `work` itself, runs first under the profiler: the profiler counts the release of
    a block, such as a gradient of the last call, only if it has seen its allocation.
    """
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
def _quiet() -> Iterator[None]:
    """Silence the profiler, which writes to the process's standard error and not to `sys.stderr`."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
