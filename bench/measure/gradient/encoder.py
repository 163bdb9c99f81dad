"""From cotangents of q.params to gradients of the encoder, which are linear in them."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from bench.measure.gradient.layers import form, gram_pays, norms_by_gram, recorded, with_ones
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.tally import Tally
from bench.model.vae import Model


class EncoderPull:
    """Runs the encoder once on `x [B, X]` and pulls any number of cotangents `[r, B, *]` of `q.params` through it.

    Blocks are named after layers. Linear layers are never given a gradient per draw; other layers are, and so are those
    that hold a parameter of `shared` names, whose gradient is not that of one layer's outputs.
    """

    def __init__(self, model: Model, x: Tensor, shared: Collection[str] = ()):
        with recorded(model) as calls:
            self.q = model.encode(x)
        owners = {name.rpartition(".")[0] for name in shared}
        self.calls = [c for c in calls if c.layer.startswith("encoder.") and c.layer not in owners]
        linear = {c.layer for c in self.calls}
        named = [(f"encoder.{n}", p) for n, p in model.encoder.named_parameters()]
        self.others = [(n, p) for n, p in named if n.rpartition(".")[0] not in linear]
        self.inputs = [with_ones(c.inputs) if c.bias else c.inputs for c in self.calls]  # [B, in]
        self.plan = PLANS[x.device.type]
        self.grams = [inputs @ inputs.mT for inputs in self.inputs]

    def pulled_through(self, cotangents: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Cotangents of the linear layers, and gradients `[r, P]` of all other parameters."""
        wanted = [c.output for c in self.calls] + [p for _, p in self.others]

        def pulled(cotangents: Tensor, **batched: bool) -> tuple[Tensor, ...]:
            return torch.autograd.grad(self.q.params, wanted, cotangents, retain_graph=True, **batched)

        # A processor is no faster where a convolution's gradients are those of one with many groups, which round anew.
        loops = bool(self.others) and not self.plan.folds
        grads = pulled(cotangents, is_grads_batched=True) if loops else torch.func.vmap(pulled)(cotangents)
        rest = zip(self.others, grads[len(self.calls) :], strict=True)
        return list(grads[: len(self.calls)]), {name: grad.flatten(1) for (name, _), grad in rest}

    def tally(self, block: Callable[[str], Tally], groups: Tensor, cotangents: Tensor) -> None:
        """Add draws of the encoder's gradient to the tallies `block(name)`; `groups [r]` of the draws."""
        layers, others = self.pulled_through(cotangents)
        for c, inputs, gram, d in zip(self.calls, self.inputs, self.grams, layers, strict=True):
            if gram_pays(c.inputs, d):
                block(c.layer).add_cotangents(groups, norms_by_gram(gram, d), inputs, d)
            else:
                block(c.layer).add_vectors(groups, form(inputs, d))
        for name, grad in others.items():
            block(name).add_vectors(groups, grad)

    def constant(self, block: Callable[[str], Tally], cotangent: Tensor) -> None:
        """Give the tallies their constant: what `cotangent [B, *]` contributes to every draw."""
        layers, others = self.pulled_through(cotangent[None])
        for c, inputs, d in zip(self.calls, self.inputs, layers, strict=True):
            tally = block(c.layer)
            tally.constant = (form(inputs, d) if tally.inputs is None else d.flatten(1))[0]
        for name, grad in others.items():
            block(name).constant = grad[0]
