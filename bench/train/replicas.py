"""Training of several seeds at once in one process: parameters are stacked `[R, ...]`, and one step trains all."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from bench.data.batches import side_by_side
from bench.errors import Impossible, memory_lacks
from bench.model.adapted import Adapted
from bench.settings import TrainGroup
from bench.streams import TRAINING, generator
from bench.train.noise import Draw, Recorded, Replayed, drawn
from bench.train.snapshot import Snapshot
from bench.train.trainer import LOSSES_KEPT, ForwardPass, Trainer
from estimators import Estimate, Estimator


class Replicas(Trainer):
    """R trainers as one. Replica r has parameters, state, batches and noise of its own, and trains as `trainers[r]`
    would alone, to float tolerance.

    The parameters and buffers of each trainer become views of the stacked ones, so that its model can be evaluated and
    measured at any time. Its own optimisers are not used.

    Args:
        trainers: of configurations that differ in the seeds alone; none has taken a step.
        seeds: of each replica's noise, the same as those of single runs.
        config: the `train` group.
        example: `[B, X]`, of the shape of a batch; its values do not count.

    Raises:
        Impossible: this estimator or model does not work under `torch.func.vmap`, or has noise of its own.
    """

    lead = 1

    def __init__(self, trainers: list[Trainer], seeds: list[int], config: TrainGroup, example: Tensor):
        self.trainers, first, self.config = trainers, trainers[0], config
        self.objective, self.model, self.estimator = first.objective, first.model, first.estimator
        self.batches = side_by_side([trainer.batches for trainer in trainers])
        self.one = _One(first)
        device = first.learned[0].device
        self.streams = [generator(seed, TRAINING, device) for seed in seeds]
        self._forward_noise, self._update_noise = self._recorded(first, example)
        self.state = self._stacked(trainers)
        self.learned, self.tuned = self._leaves("model."), self._leaves("estimator.")
        codebook = self.model.codebook
        self.moves = type(self.estimator).update is not Estimator.update or (codebook is not None and codebook.moves)
        self.optimisers = self.make_optimisers()
        self.step_count = 0
        self.losses = torch.zeros(LOSSES_KEPT, len(trainers), device=device)
        self._try(example)

    def _recorded(self, first: Trainer, x: Tensor) -> tuple[list[Draw], list[Draw]]:
        """The draws of a step, in its forward pass and its update, found by a step of a copy. No stream moves."""
        twin = copy.deepcopy(first, {id(first.batches): iter(()), id(first.losses): first.losses})
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
        with torch.random.fork_rng(devices), torch.no_grad():
            with Recorded() as forward:
                given = twin.forward(x)
            with Recorded() as update:
                twin.update(given)
        return forward.draws, update.draws

    def _stacked(self, trainers: list[Trainer]) -> dict[str, Tensor]:
        """The stacked parameters and buffers by name; those of each trainer become views of them."""
        modules = [_One(trainer) for trainer in trainers]
        state: dict[str, Tensor] = {}
        named = [dict(module.named_parameters()) | dict(module.named_buffers()) for module in modules]
        for name, tensor in named[0].items():
            stacked = torch.stack([tensors[name].detach() for tensors in named])
            for r, tensors in enumerate(named):
                tensors[name].data = stacked[r]
            learns = isinstance(tensor, nn.Parameter)
            state[name] = nn.Parameter(stacked, tensor.requires_grad) if learns else stacked
        return state

    def _leaves(self, whose: str) -> list[nn.Parameter]:
        named = [(n, p) for n, p in self.state.items() if isinstance(p, nn.Parameter)]
        return [p for n, p in named if n.startswith(whose) and p.requires_grad]

    def _try(self, x: Tensor) -> None:
        """Try one forward pass and one update of copies, so that a failure under vmap is found before training."""
        state, streams, before = self.state, self.streams, Snapshot(self.estimator)
        self.state = {name: tensor.detach().clone() for name, tensor in state.items()}
        self.streams = [torch.Generator(self.losses.device) for _ in streams]
        try:
            with torch.no_grad():
                self.update(self.forward(x.expand(len(streams), *x.shape)))
        except Exception as error:  # of a model of anyone's own it may be any
            if memory_lacks(error):
                raise
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else "its noise is not that of a run alone"
            name = self.estimator.name
            if isinstance(self.model, Adapted):
                name += f" on {type(self.model.module).__name__}"
            raise Impossible(
                f"{name} cannot be trained as replicas ({reason}): set replicas=1 and sweep over seed."
            ) from error
        finally:
            self.state, self.streams = state, streams
        if moved := before.changed(Snapshot(self.estimator)):
            raise Impossible(
                f"{self.estimator.name} cannot be trained as replicas (its {moved[0]} changes and is no buffer): set "
                "replicas=1 and sweep over seed."
            )

    def inputs(self, x: Tensor) -> tuple[Any, ...]:
        return self.state, x, drawn(self._forward_noise, self.streams)

    def compute(self, state: dict[str, Tensor], x: Tensor, noise: list[Tensor]) -> ForwardPass:  # type: ignore[override]
        """The forward pass of one batch of each replica, `x [R, B, X]`; every tensor of it has a leading axis R."""

        # The compiler cannot evaluate annotations: they are text.
        def one(state: "dict[str, Tensor]", x: Tensor, noise: "list[Tensor]") -> "tuple[Tensor, Tensor, Fields]":
            given = functional_call(self.one, state, (Trainer.compute, self, (x,), noise))
            return given.params, given.loss, taken_apart(given.estimate)

        params, loss, estimate = vmap(one)(state, x, noise)
        return ForwardPass(params, put_together(estimate), loss)

    def backward(self, drawn: ForwardPass) -> ForwardPass:
        """The gradients of a forward pass, left in `.grad` of the stacked parameters."""
        tuning = drawn.estimate.tuning if self.tuned else None
        for each in self.optimisers:
            each.zero_grad(set_to_none=True)
        drawn.loss.sum().backward(inputs=self.learned, retain_graph=tuning is not None)
        if tuning is not None:
            tuning.mean(-1).sum().backward(inputs=self.tuned)
        return drawn

    def update(self, given: ForwardPass) -> None:
        """Update the state that has no gradient, in each replica."""
        if not self.moves:
            return

        def one(state: dict[str, Tensor], params: Tensor, estimate: Fields, noise: list[Tensor]) -> Tensor:
            given = ForwardPass(params, put_together(estimate), params.new_zeros(()))
            functional_call(self.one, state, (Trainer.update, self, (given,), noise))
            return given.loss

        estimate = [{name: value.detach() for name, value in each.items()} for each in taken_apart(given.estimate)]
        state = {name: tensor.detach() for name, tensor in self.state.items()}
        vmap(one)(state, given.params.detach(), estimate, drawn(self._update_noise, self.streams))

    def hand_out(self) -> None:
        """Give each trainer its gradients of the last step."""
        for i, stacked in enumerate(self.learned):
            grads = [None] * len(self.trainers) if stacked.grad is None else stacked.grad.unbind()
            for trainer, grad in zip(self.trainers, grads, strict=True):
                trainer.learned[i].grad = grad

    def generators(self) -> list[torch.Generator]:
        return self.streams

    def diverged(self) -> list[int | None]:  # type: ignore[override]
        """`Trainer.diverged` for each replica. Waits for the device."""
        first = max(0, self.step_count - LOSSES_KEPT)
        recent = [self.losses[i % LOSSES_KEPT] for i in range(first, self.step_count)]
        finite = torch.stack(recent, 1).isfinite().tolist() if recent else [[] for _ in self.streams]
        return [first + each.index(False) if False in each else None for each in finite]


Fields = list[dict[str, Tensor]]  # the tensors of an estimate, then those of each layer's estimate


def taken_apart(estimate: Estimate) -> Fields:
    """The tensors of an estimate in dictionaries, which `vmap` can return."""
    return [_tensors(each) for each in (estimate, *estimate.layers)]


def _tensors(estimate: Estimate) -> dict[str, Tensor]:
    named = {"loss": estimate.loss, "cost": estimate.cost, "tuning": estimate.tuning}
    return {name: value for name, value in named.items() if value is not None}


def put_together(fields: Fields) -> Estimate:
    """The estimate of these tensors; the inverse of `taken_apart`."""
    whole, *layers = fields
    return Estimate(**whole, layers=tuple(Estimate(**each) for each in layers))  # type: ignore[arg-type]


class _One(nn.Module):
    """One replica's model and estimator as a module, whose forward pass calls a method of a trainer."""

    def __init__(self, trainer: Trainer):
        super().__init__()
        self.model, self.estimator = trainer.model, trainer.estimator

    def forward(self, method: Callable[..., Any], trainer: Trainer, args: tuple[Any, ...], noise: list[Tensor]) -> Any:
        with Replayed(noise):
            return method(trainer, *args)
