"""Training: a loop with nothing in it that is not training."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.model.objective import Objective
from bench.settings import TrainGroup
from estimators import Estimate

LOSSES_KEPT = 100  # of the last steps. Looking at them waits for the device, so the loop looks once in as many steps


class ForwardPass(NamedTuple):
    """The forward pass of a training step."""

    params: Tensor  # [B, *] of q
    estimate: Estimate
    loss: Tensor  # mean over the batch


class Trainer:
    """Owns the optimisers and steps them. The model learns from `loss` alone, the estimator from `tuning` alone.

    Args:
        objective: what is trained, with its model and estimator.
        batches: endless images `x [B, X]`, already on the device.
        config: the `train` group. With schedule cosine the learning rates fall as cos(pi/2 step/steps).
    """

    def __init__(self, objective: Objective, batches: Iterator[Tensor], config: TrainGroup):
        self.objective, self.batches = objective, batches
        self.model, self.estimator, self.config = objective.model, objective.estimator, config
        self.learned = [p for p in self.model.parameters() if p.requires_grad]
        self.tuned = [p for p in self.estimator.parameters() if p.requires_grad]
        self.optimisers = [make_optimiser(self.learned, config["lr"], config)]
        if self.tuned:
            self.optimisers.append(make_optimiser(self.tuned, config["tuning_lr"], config))
        self.step_count = 0
        self.losses = torch.zeros(LOSSES_KEPT, device=self.learned[0].device)

    def forward(self, x: Tensor) -> ForwardPass:
        """What one batch `x [B, X]` costs, with the graph of its gradients."""
        return self.compute(*self.inputs(x))

    def inputs(self, x: Tensor) -> tuple[Any, ...]:
        """What `compute` takes for a batch."""
        return (x,)

    def compute(self, x: Tensor) -> ForwardPass:
        """The forward pass: what an engine may compile."""
        q = self.model.encode(x)
        estimate = self.objective.estimate(q, x)
        return ForwardPass(q.params, estimate, (estimate.loss + self.objective.fixed(q)).mean())

    def gradient(self, x: Tensor) -> ForwardPass:
        """The gradients of one batch, left in `.grad`."""
        return self.backward(self.forward(x))

    def backward(self, forward: ForwardPass) -> ForwardPass:
        """The gradients of a forward pass, left in `.grad`."""
        tuning = forward.estimate.tuning if self.tuned else None
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        forward.loss.backward(inputs=self.learned, retain_graph=tuning is not None)
        if tuning is not None:
            tuning.mean().backward(inputs=self.tuned)
        return forward

    def advance(self, forward: ForwardPass) -> None:
        """Everything that moves: parameters, the estimator's own parameters, its state, the codebook's."""
        for optimiser in self.optimisers:
            if self.config["schedule"] == "cosine":
                self._anneal(optimiser)
            optimiser.step()
        self.update(forward)

    def update(self, forward: ForwardPass) -> None:
        """What moves without a gradient: the estimator's state and the codebook's."""
        self.estimator.update(forward.estimate)
        if self.model.codebook is not None and self.model.codebook.moves:
            self.model.codebook.update(self.model.posterior(forward.params))  # type: ignore[arg-type]

    def generators(self) -> list[torch.Generator]:
        """Streams of noise beside PyTorch's own."""
        return []

    def note(self, loss: Tensor) -> None:
        """Count a step, and keep its loss for `diverged`."""
        self.losses[self.step_count % LOSSES_KEPT] = loss
        self.step_count += 1

    def step(self) -> None:
        """One step of everything."""
        forward = self.gradient(next(self.batches))
        self.advance(forward)
        self.note(forward.loss.detach())

    def tune(self) -> None:
        """One step of the estimator's own parameters and state alone; the model stays as it is, to the bit."""
        x = next(self.batches)
        q = self.model.encode(x)
        estimate = self.objective.estimate(q.with_params(q.params.detach().requires_grad_()), x)
        if self.tuned and estimate.tuning is not None:
            self.optimisers[1].zero_grad(set_to_none=True)
            estimate.tuning.mean().backward(inputs=self.tuned)
            self.optimisers[1].step()
        self.estimator.update(estimate)

    def _anneal(self, optimiser: torch.optim.Optimizer) -> None:
        done = min(self.step_count / max(self.config["steps"], 1), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("first_lr", group["lr"]) * math.cos(math.pi / 2 * done)

    def diverged(self) -> int | None:
        """The first of the last LOSSES_KEPT steps whose loss was not finite, or None. Waits for the device."""
        first = max(0, self.step_count - LOSSES_KEPT)
        recent = [self.losses[i % LOSSES_KEPT] for i in range(first, self.step_count)]
        finite = torch.stack(recent).isfinite().tolist() if recent else []
        return first + finite.index(False) if False in finite else None


def make_optimiser(parameters: list[nn.Parameter], lr: float, config: TrainGroup) -> torch.optim.Optimizer:
    (first, second), eps = config["betas"], config["eps"]
    match config["optimiser"]:
        case "adam":
            return torch.optim.Adam(parameters, lr, (first, second), eps, fused=True)
        case "radam":
            return torch.optim.RAdam(parameters, lr, (first, second), eps)
        case "sgd":
            return torch.optim.SGD(parameters, lr, momentum=config["momentum"], fused=True)
    raise ValueError(f"There is no optimiser {config['optimiser']!r}; there are adam, radam, sgd.")
