"""r draws of the noise, and with them the cotangents of q.params and the decoder's gradients, as one batch."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure.gradient.convolutions import CONVOLUTIONS, convolved
from bench.measure.gradient.graph import loss_of, reached
from bench.measure.gradient.layers import Call, by_draw, gradients, gram_pays, recorded, squared_norms
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.tally import Tally
from bench.model.adapted import Adapted, encodes
from bench.model.hierarchy import Hierarchy
from bench.model.objective import Objective
from bench.model.residual import Residual
from bench.model.rssm import RSSM
from bench.model.vae import Model
from estimators import Latent


class Generative:
    """The parameters of a model outside its encoder, or outside layer 1 of several. Those outside linear layers are
    called loose.

    With `folds`, many draws pass through a convolution as one batch, and its parameters are not loose.

    Attributes:
        measured: whether their gradient is measured.
        plain: whether each draw takes a backward pass of its own.
    """

    def __init__(self, model: Model, measured: bool, folds: bool = False):
        self.model, self.plain, self.folds = model, False, folds
        self.named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and not encodes(model, n)]
        self.measured = measured and bool(self.named)  # a problem with a fixed cost has none
        known = (nn.Linear, *CONVOLUTIONS) if folds else (nn.Linear,)
        self.loose = [n for n, _ in self.named if not isinstance(self._owner(n), known)]
        self.dense = [p for n, p in self.named if n not in self.loose]
        self.one_by_one = any(p.ndim > 3 for n, p in self.named if n in self.loose)  # convolutions take one draw each
        if isinstance(model, Adapted):  # whose layers need not know what a draw's own copy of a parameter is
            self.one_by_one = bool(self.loose) or not model.separates

    def _owner(self, name: str) -> nn.Module:
        return self.model.get_submodule(name.rpartition(".")[0])

    def fixed(self, loss: Tensor) -> dict[str, Tensor]:
        """Gradients `[P]` of a loss without noise, by block, in the layout of the draws' gradients."""
        grads = torch.autograd.grad(loss, [p for _, p in self.named], retain_graph=True, allow_unused=True)
        zeroed = (torch.zeros_like(p) if g is None else g for (_, p), g in zip(self.named, grads, strict=True))
        by_name = dict(zip((n for n, _ in self.named), zeroed, strict=True))
        found = {n: g.flatten() for n, g in by_name.items() if not isinstance(self._owner(n), nn.Linear)}
        for name, grad in by_name.items():
            layer, _, kind = name.rpartition(".")
            if name not in found and kind == "weight":
                bias = by_name.get(f"{layer}.bias")
                found[layer] = grad.mT.flatten() if bias is None else torch.cat([grad.mT.flatten(), bias])
            elif name not in found and f"{layer}.weight" not in by_name:  # whose weight goes by another name
                found[name] = grad.flatten()
        return found

    @contextmanager
    def prepared(self, draws: int) -> Iterator[dict[str, Tensor]]:
        """Prepare the model for `draws` draws at once: copies of loose parameters, or no gradient if not measured."""
        if self.measured:
            with self._replicated(draws) as copies:
                yield copies
            return
        try:
            self._require(False)
            yield {}
        finally:
            self._require(True)

    def _require(self, gradient: bool) -> None:
        for _, parameter in self.named:
            parameter.requires_grad_(gradient)

    @contextmanager
    def _replicated(self, draws: int) -> Iterator[dict[str, Tensor]]:
        """Give each draw its own copy of the loose parameters, `{name: [r, ...]}`; a single draw uses the originals."""
        originals: dict[str, Tensor] = {name: self.model.get_parameter(name) for name in self.loose}
        copies: dict[str, Tensor] = {**originals}
        for name, value in originals.items() if draws > 1 else ():
            copies[name] = value.detach().expand(draws, 1, *value.shape[1:]).clone().requires_grad_()
        try:
            self._put(copies)
            yield copies
        finally:
            self._put(originals)

    def _put(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            owner, _, attribute = name.rpartition(".")
            self.model.get_submodule(owner)._parameters[attribute] = value  # type: ignore[assignment]  # in place: order stays


class GradientDraws:
    """r draws of the gradient at `q`, for examples `x [B, X]`.

    Attributes:
        cotangents: `[r, B, *]` of q.params.
        shifted: cotangents of each shift of the objective.
        blocks: the names of the shifts.
        calls: the decoder's uses of linear layers, each with its cotangent.
        loose: gradients `[r, P]` of the loose parameters, by name; of all parameters, if draws are plain.
        separable: whether the decoder's gradient can be computed for each draw.
    """

    def __init__(self, objective: Objective, q: Latent, x: Tensor, draws: int, generative: Generative):
        leaf = q.params.detach().expand(draws, *q.params.shape).clone().requires_grad_()
        with generative.prepared(draws) as copies, recorded(objective.model, generative.folds) as calls:
            of_leaf = q.with_params(leaf)
            of_leaf.original = q if draws > 1 else None
            shifts = [shift.requires_grad_() for shift in objective.shifts(of_leaf)]
            self.blocks = objective.shifted
            loss = loss_of(objective, of_leaf, x, shifts)  # [r, B]
        self.loss, self.generative = loss, generative
        self.recorded = [c._replace(output=x.new_empty(0)) for c in calls]  # release the outputs
        calls.clear()
        wanted: list[Any] = [leaf, *shifts, *(c.made for c in self.recorded), *copies.values()]
        total, first = loss.mean(-1).sum(), 1 + len(shifts)
        if isinstance(objective.model, Hierarchy | Residual | RSSM):  # with an axis of samples for each latent before
            self.recorded = [_merged(c) for c in self.recorded]
        grads: tuple[Tensor | None, ...] = (None,) * len(wanted)
        if loss.requires_grad:
            grads = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=generative.plain)
        layers, rest = grads[first : first + len(self.recorded)], grads[first + len(self.recorded) :]
        self.shifted = [torch.zeros_like(s) if g is None else g for s, g in zip(shifts, grads[1:first], strict=True)]
        self.cotangents = torch.zeros_like(leaf) if grads[0] is None else grads[0]
        used = [(c, d) for c, d in zip(self.recorded, layers, strict=True) if d is not None]
        self.calls = [(c, d) for c, d in used if c.convolution is None]
        self.loose = {n: g.reshape(draws, -1) for n, g in zip(copies, rest, strict=True) if g is not None}
        for c, d in used:
            for name, grad in convolved(c, d, draws).items() if c.convolution is not None else ():
                self.loose[name] = self.loose[name] + grad if name in self.loose else grad
        self.separable = all(len(c.lead) > 2 and c.lead[1] == draws for c in self.recorded)
        if generative.plain and loss.requires_grad:
            self.calls, self.loose = [], {n: g[None] for n, g in generative.fixed(total).items()}

    def first_order(self) -> bool:
        """Whether the loss depends on the linear layers through their outputs alone. It does not where an estimator
        differentiates a derivative of the cost; then the outputs' cotangents do not give the whole gradient."""
        return not (self.generative.measured and reached(self.loss, self.recorded, self.generative.dense))

    def tally(self, block: Callable[[str], Tally], groups: Tensor, on_host: Tensor, memory: float) -> None:
        """Add all gradients but the encoder's to the tallies `block(name)`. `groups [r]` are the draws' groups, sorted,
        `on_host` the same on the host; `memory` is that of a chunk, in MiB."""
        plan = PLANS[groups.device.type]
        for name, grad in zip(self.blocks, self.shifted, strict=True):
            block(name).add_vectors(groups, grad.flatten(1))
        for name, grad in self.loose.items():
            block(name).add_vectors(groups, grad)
        for layer in dict.fromkeys(c.layer for c, _ in self.calls):
            inputs, cotangents, bias = _joined([(c, d) for c, d in self.calls if c.layer == layer], len(groups))
            tally = block(layer)
            if tally.single or not gram_pays(inputs, cotangents):
                formed = plan.at_once(memory, (inputs.shape[-1] + bias) * cotangents.shape[-1], inputs.dtype)
                for start in range(0, len(groups), formed):
                    part = slice(start, start + formed)
                    tally.add_vectors(groups[part], gradients(inputs[part], cotangents[part], bias))
                continue
            tally.add_squares(groups, squared_norms(inputs, cotangents, bias))
            start = 0
            for first, number, count in runs(on_host, merged=plan.folds):
                rows, start = slice(start, start + number * count), start + number * count
                theirs, back = (t[rows].unflatten(0, (number, count)).flatten(1, 2) for t in (inputs, cotangents))
                tally.add_sums(first, gradients(theirs if number > 1 else theirs[0], back, bias))


def _merged(call: Call) -> Call:
    """The call with all axes before `[r, B]`, or before `[r, B, codes]` in a codebook, made into one."""
    own = 3 if call.layer.startswith("codebook.") else 2
    return call._replace(lead=(math.prod(call.lead[:-own]), *call.lead[-own:]))


def runs(groups: Tensor, merged: bool) -> list[tuple[int, int, int]]:
    """The runs of sorted groups `[r]`: first group, number of groups, and the draws of each group. With `merged`,
    consecutive groups with the same number of draws are one run."""
    found: list[tuple[int, int, int]] = []
    for group, count in zip(*(t.tolist() for t in groups.unique_consecutive(return_counts=True)), strict=True):
        if merged and found and found[-1][2] == count:
            first, number, _ = found.pop()
            found.append((first, number + 1, count))
        else:
            found.append((group, 1, count))
    return found


def _joined(uses: list[tuple[Call, Tensor]], draws: int) -> tuple[Tensor, Tensor, bool]:
    """All rows that passed through a layer, by draw: inputs `[r, n, in]`, cotangents `[r, n, out]`."""

    def joined(parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    inputs = [by_draw(c.inputs, c.lead, draws) for c, _ in uses]
    return joined(inputs), joined([by_draw(d, c.lead, draws) for c, d in uses]), uses[0][0].bias
