"""From cotangents of q.params to gradients of the encoder, which are linear in them."""

import torch
from torch import Tensor

from bench.measure.layers import gradients, recorded, squared_length, squared_norms
from bench.model import Model


class EncoderPull:
    """Runs the encoder once on `x [B, X]` and pulls any number of cotangents `[r, B, *]` of `q.params` through it.

    Blocks are named after layers. Linear layers are never given a gradient per draw; other layers are.
    """

    def __init__(self, model: Model, x: Tensor):
        with recorded(model) as calls:
            self.q = model.encode(x)
        self.calls = [c for c in calls if c.layer.startswith("encoder.")]
        linear = {c.layer for c in self.calls}
        named = [(f"encoder.{n}", p) for n, p in model.encoder.named_parameters()]
        self.others = [(n, p) for n, p in named if n.rpartition(".")[0] not in linear]

    def _pull(self, cotangents: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        wanted = [c.output for c in self.calls] + [p for _, p in self.others]
        grads = torch.autograd.grad(self.q.params, wanted, cotangents, is_grads_batched=True, retain_graph=True)
        return list(grads[: len(self.calls)]), list(grads[len(self.calls) :])

    def squares(self, cotangents: Tensor) -> dict[str, Tensor]:
        """Squared norm of each draw's gradient `[r]`, by block."""
        layers, others = self._pull(cotangents)
        found = {c.layer: squared_norms(c.inputs, d, c.bias) for c, d in zip(self.calls, layers, strict=True)}
        for (name, _), grad in zip(self.others, others, strict=True):
            found[name] = squared_length(grad.flatten(1))
        return found

    def vectors(self, cotangents: Tensor) -> dict[str, Tensor]:
        """The gradients themselves `[r, P]`, by block."""
        layers, others = self._pull(cotangents)
        found = {c.layer: gradients(c.inputs, d, c.bias) for c, d in zip(self.calls, layers, strict=True)}
        return found | {n: g.flatten(1) for (n, _), g in zip(self.others, others, strict=True)}
