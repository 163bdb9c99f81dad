"""The trainer: a training step, with nothing in it that is not training."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.model.objective import Objective
from bench.settings import TrainGroup
from bench.train.optimise import changing, clipped, factor, make_optimiser
from estimators import Estimate

LOSSES_KEPT = 100  # last steps. Reading their losses waits for the device, so the loop does it once in as many steps


class ForwardPass(NamedTuple):
    """The results of the forward pass of a training step."""

    params: Tensor  # [B, *] of q
    estimate: Estimate
    loss: Tensor  # mean over the batch


class Trainer:
    """Owns the optimisers and steps them. The model learns from `loss` alone, the estimator from `tuning` alone.

    Args:
        objective: the objective to train, with its model and estimator.
        batches: endless batches `x [B, X]`, already on the device.
        config: the `train` group. Weight decay and clipping apply to the model alone, so that a temperature that the
            estimator learns does not decay.
    """

    lead = 0  # the number of leading axes of the parameters that count replicas

    def __init__(self, objective: Objective, batches: Iterator[Tensor], config: TrainGroup):
        self.objective, self.batches = objective, batches
        self.model, self.estimator, self.config = objective.model, objective.estimator, config
        self.learned = [p for p in self.model.parameters() if p.requires_grad]
        self.tuned = [p for p in self.estimator.parameters() if p.requires_grad]
        self.optimisers = self.make_optimisers()
        self.step_count = 0
        self.losses = torch.zeros(LOSSES_KEPT, device=self.learned[0].device)

    def make_optimisers(self) -> list[torch.optim.Optimizer]:
        """The optimiser of the model and, if the estimator has own parameters, theirs."""
        made = [make_optimiser(self.learned, self.config["lr"], self.config, decays=True)]
        if self.tuned:
            made.append(make_optimiser(self.tuned, self.config["tuning_lr"], self.config))
        return made

    def forward(self, x: Tensor) -> ForwardPass:
        """The forward pass of one batch `x [B, X]`, with the graph for its gradients."""
        return self.compute(*self.inputs(x))

    def inputs(self, x: Tensor) -> tuple[Any, ...]:
        """The arguments of `compute` for a batch."""
        return (x,)

    def compute(self, x: Tensor) -> ForwardPass:
        """The part of the forward pass that an engine may compile."""
        q = self.model.encode(x)
        estimate = self.objective.estimate(q, x)
        return ForwardPass(q.params, estimate, (estimate.loss + self.objective.fixed(q)).mean())

    def gradient(self, x: Tensor) -> ForwardPass:
        """Compute the gradients of one batch and leave them in `.grad`."""
        return self.backward(self.forward(x))

    def backward(self, forward: ForwardPass) -> ForwardPass:
        """Compute the gradients of a forward pass and leave them in `.grad`."""
        tuning = forward.estimate.tuning if self.tuned else None
        for parameter in (*self.learned, *self.tuned):  # as the optimisers' `zero_grad`, which also writes to profiles
            parameter.grad = None
        inputs = self.learned if self.tuned else None  # without a list of them it is faster, and nothing else learns
        forward.loss.backward(inputs=inputs, retain_graph=tuning is not None)
        if tuning is not None:
            tuning.mean().backward(inputs=self.tuned)
        return forward

    def advance(self, forward: ForwardPass) -> None:
        """Set the learning rates of this step, then `move`."""
        self.set_rates()
        self.move(forward)

    @property
    def anneals(self) -> bool:
        """Whether the learning rates change."""
        return changing(self.config) is not None

    def set_rates(self) -> None:
        """Set the optimisers' learning rates to those of the present step."""
        if not self.anneals:
            return
        now = factor(self.step_count, self.config)
        for optimiser, rate in zip(self.optimisers, (self.config["lr"], self.config["tuning_lr"]), strict=False):
            for group in optimiser.param_groups:
                group["lr"] = rate * now

    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all optimisers, each with its learning rate."""
        return [group for optimiser in self.optimisers for group in optimiser.param_groups]

    def move(self, forward: ForwardPass) -> None:
        """Update parameters, own parameters and state, at the present learning rates."""
        with clipped(self.learned, self.config["clip_norm"], self.lead):
            for optimiser in self.optimisers:
                optimiser.step()
        self.update(forward)

    def update(self, forward: ForwardPass) -> None:
        """Update the state that has no gradient: the estimator's and the codebook's."""
        self.estimator.update(forward.estimate)
        if self.model.codebook is not None and self.model.codebook.moves:
            self.model.codebook.update(self.model.posterior(forward.params))  # type: ignore[arg-type]

    def generators(self) -> list[torch.Generator]:
        """The random generators that a step uses in addition to PyTorch's own."""
        return []

    def note(self, loss: Tensor) -> None:
        """Count a step, and store its loss for `diverged`."""
        self.losses[self.step_count % LOSSES_KEPT] = loss
        self.step_count += 1

    def step(self) -> None:
        """One training step."""
        forward = self.gradient(next(self.batches))
        self.advance(forward)
        self.note(forward.loss.detach())

    def tune(self) -> None:
        """Train the estimator's own parameters and state for one step; the model does not change."""
        x = next(self.batches)
        q = self.model.encode(x)
        estimate = self.objective.estimate(q.with_params(q.params.detach().requires_grad_()), x)
        if self.tuned and estimate.tuning is not None:
            self.optimisers[1].zero_grad(set_to_none=True)
            estimate.tuning.mean().backward(inputs=self.tuned)
            self.optimisers[1].step()
        self.estimator.update(estimate)

    def diverged(self) -> int | None:
        """The first of the last LOSSES_KEPT steps whose loss was not finite, or None. Waits for the device."""
        first = max(0, self.step_count - LOSSES_KEPT)
        recent = [self.losses[i % LOSSES_KEPT] for i in range(first, self.step_count)]
        finite = torch.stack(recent).isfinite().tolist() if recent else []
        return first + finite.index(False) if False in finite else None
