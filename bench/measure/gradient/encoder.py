"""Gradients of the encoder from cotangents of q.params, in which they are linear."""

import warnings
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from bench.measure.gradient.graph import behind, reached
from bench.measure.gradient.layers import Call, form, gram_pays, norms_by_gram, recorded, with_ones
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.tally import Tally
from bench.model.adapted import encodes
from bench.model.vae import Model


class EncoderPull:
    """Runs the encoder, or layer 1 of several, once on `x [B, ...]` and backpropagates any number of cotangents
    `[r, B, *]` of `q.params`.

    Blocks are named after layers. Linear layers need no explicit gradient per draw. Other layers do, and so do layers
    with a parameter in `shared`, since its gradient does not follow from the outputs of one layer.
    """

    def __init__(self, model: Model, x: Tensor, shared: Collection[str] = ()):
        with recorded(model) as calls:
            self.q = model.encode(x)
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and encodes(model, n)]
        self.calls = self._linear(model, calls, {name.rpartition(".")[0] for name in shared}, named)
        self.uses: dict[str, list[int]] = {}  # layer -> numbers of its calls, whose rows are counted together
        for number, c in enumerate(self.calls):
            self.uses.setdefault(c.layer, []).append(number)
        self.others = [(n, p) for n, p in named if n.rpartition(".")[0] not in self.uses]
        self.inputs = [self._inputs([self.calls[i] for i in uses]) for uses in self.uses.values()]  # [n, in] each
        self.widths = {c.layer: c.inputs.shape[-1] for c in self.calls}
        self.plan, self.batches = PLANS[x.device.type], True
        self.grams = [inputs @ inputs.mT for inputs in self.inputs]

    def _linear(
        self, model: Model, calls: list[Call], shared: set[str], named: list[tuple[str, torch.nn.Parameter]]
    ) -> list[Call]:
        """The calls of linear layers whose cotangents determine the gradient of the layers' parameters."""
        nodes = behind([self.q.params.grad_fn])
        found = [c for c in calls if encodes(model, c.layer) and c.layer not in shared and c.made.node in nodes]
        layers = {c.layer for c in found}
        theirs = [p for n, p in named if n.rpartition(".")[0] in layers]
        return [] if reached(self.q.params, found, theirs) else found

    @staticmethod
    def _inputs(calls: list[Call]) -> Tensor:
        rows = [(with_ones(c.inputs) if c.bias else c.inputs).reshape(-1, c.inputs.shape[-1] + c.bias) for c in calls]
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def pulled_through(self, cotangents: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Cotangents of the calls of linear layers, and gradients `[r, P]` of all other parameters."""
        wanted: list[Any] = [c.made for c in self.calls] + [p for _, p in self.others]
        if not wanted:  # of a sequence, whose parameters are all used in each draw
            return [], {}

        def pulled(cotangents: Tensor, **batched: bool) -> tuple[Tensor, ...]:
            return torch.autograd.grad(self.q.params, wanted, cotangents, retain_graph=True, **batched)

        def at_once() -> tuple[Tensor, ...]:
            # On a CPU, vmap turns the gradients of a convolution into one with many groups, which is no faster and
            # rounds differently.
            loops = bool(self.others) and not self.plan.folds
            return pulled(cotangents, is_grads_batched=True) if loops else torch.func.vmap(pulled)(cotangents)

        grads = self._batched(at_once) if self.batches else None
        if grads is None:  # a layer whose derivative takes no batch of cotangents
            self.batches = False
            grads = tuple(map(torch.stack, zip(*map(pulled, cotangents), strict=True)))
        rest = zip(self.others, grads[len(self.calls) :], strict=True)
        return list(grads[: len(self.calls)]), {name: grad.flatten(1) for (name, _), grad in rest}

    def _batched(self, at_once: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...] | None:
        """The result of `at_once`, or None if some layer does not support a batch of cotangents."""
        if not self.others:
            return at_once()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*There is a performance drop")
                return at_once()
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            return None

    def _by_layer(self, cotangents: list[Tensor]) -> list[Tensor]:
        """The cotangents `[r, n, out]` of each layer, for the rows of all its calls."""
        found = [[cotangents[i].flatten(1, -2) for i in uses] for uses in self.uses.values()]
        return [each[0] if len(each) == 1 else torch.cat(each, 1) for each in found]

    def tally(self, block: Callable[[str], Tally], groups: Tensor, cotangents: Tensor, memory: float) -> None:
        """Add draws of the encoder's gradient to the tallies `block(name)`. `groups [r]` are the groups; `memory`
        is for the gradients formed at once, in MiB."""
        size = sum(p.numel() * p.element_size() for _, p in self.others)
        at_once = max(1, int(memory * 2**20 / size)) if size else len(groups)
        for start in range(0, len(groups), at_once):
            self._tally(block, groups[start : start + at_once], cotangents[start : start + at_once])

    def _tally(self, block: Callable[[str], Tally], groups: Tensor, cotangents: Tensor) -> None:
        layers, others = self.pulled_through(cotangents)
        for layer, inputs, gram, d in zip(self.uses, self.inputs, self.grams, self._by_layer(layers), strict=True):
            if gram_pays(inputs[:, : self.widths[layer]], d):
                block(layer).add_cotangents(groups, norms_by_gram(gram, d), inputs, d)
            else:
                block(layer).add_vectors(groups, form(inputs, d))
        for name, grad in others.items():
            block(name).add_vectors(groups, grad)

    def constant(self, block: Callable[[str], Tally], cotangent: Tensor) -> None:
        """Set the constant of the tallies: the part of every draw's gradient that comes from `cotangent [B, *]`."""
        layers, others = self.pulled_through(cotangent[None])
        for layer, inputs, d in zip(self.uses, self.inputs, self._by_layer(layers), strict=True):
            tally = block(layer)
            tally.constant = (form(inputs, d) if tally.inputs is None else d.flatten(1))[0]
        for name, grad in others.items():
            block(name).constant = grad[0]
