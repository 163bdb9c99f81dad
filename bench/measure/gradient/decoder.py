"""One batched computation from r draws of the noise to the cotangents of q.params and the decoder's gradients."""

from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.measure.gradient.graph import reached
from bench.measure.gradient.layers import Call, gradients, gram_pays, recorded, squared_norms
from bench.measure.gradient.tally import Tally
from bench.model.objective import Objective
from bench.model.vae import Model
from estimators import Latent

FORMED = 8  # gradients of a layer formed at a time


class Generative:
    """The parameters of a model outside its encoder: which of them sit in linear layers, and which are loose.

    Attributes:
        measured: whether they get a gradient at all.
        plain: whether each draw takes a backward pass of its own to all of them.
    """

    def __init__(self, model: Model, measured: bool):
        self.model, self.plain = model, False
        self.named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and not n.startswith("encoder.")]
        self.measured = measured and bool(self.named)  # a problem with a fixed cost has none
        self.loose = [n for n, _ in self.named if not isinstance(self._owner(n), nn.Linear)]
        self.dense = [p for n, p in self.named if n not in self.loose]
        self.convolutional = any(p.ndim > 3 for _, p in self.named)

    def _owner(self, name: str) -> nn.Module:
        return self.model.get_submodule(name.rpartition(".")[0])

    def fixed(self, loss: Tensor) -> dict[str, Tensor]:
        """Gradient `[P]` of a loss without noise, by block, laid out as the draws' gradients are."""
        grads = torch.autograd.grad(loss, [p for _, p in self.named], retain_graph=True, allow_unused=True)
        zeroed = (torch.zeros_like(p) if g is None else g for (_, p), g in zip(self.named, grads, strict=True))
        by_name = dict(zip((n for n, _ in self.named), zeroed, strict=True))
        found = {n: by_name[n].flatten() for n in self.loose}
        for name, grad in by_name.items():
            layer, _, kind = name.rpartition(".")
            if name not in found and kind == "weight":
                bias = by_name.get(f"{layer}.bias")
                found[layer] = grad.mT.flatten() if bias is None else torch.cat([grad.mT.flatten(), bias])
        return found

    @contextmanager
    def prepared(self, draws: int):
        """What `draws` draws at once need of these parameters: copies of the loose ones, or no gradient at all."""
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
    def _replicated(self, draws: int):
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


@contextmanager
def counted_outputs():
    """The size of every module's output: what a computation holds, about, the estimator's own networks included."""
    sizes: list[int] = []

    def note(module, args, output):
        sizes.append(output.numel() if isinstance(output, Tensor) else 0)

    handle = nn.modules.module.register_module_forward_hook(note)
    try:
        yield sizes
    finally:
        handle.remove()


class Drawn:
    """r draws of the gradient at `q`, for images `x [B, X]`.

    Attributes:
        cotangents: `[r, B, *]` of q.params.
        calls: the decoder's uses of linear layers, each with its cotangent.
        loose: gradients `[r, P]` of its other parameters; of all, where draws are plain.
        separable: whether the draws' shares of the decoder's gradient can be told apart.
    """

    def __init__(self, objective: Objective, q: Latent, x: Tensor, draws: int, generative: Generative):
        leaf = q.params.detach().expand(draws, *q.params.shape).clone().requires_grad_()
        with generative.prepared(draws) as copies, recorded(objective.model) as calls:
            loss = objective.estimate(q.with_params(leaf), x).loss  # [r, B]
        self.loss, self.recorded, self.generative = loss, list(calls), generative
        wanted, total = [leaf, *(c.output for c in calls), *copies.values()], loss.mean(-1).sum()
        grads: tuple[Tensor | None, ...] = (None,) * len(wanted)
        if loss.requires_grad:
            grads = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=generative.plain)
        layers, rest = grads[1 : 1 + len(self.recorded)], grads[1 + len(self.recorded) :]
        self.cotangents = torch.zeros_like(leaf) if grads[0] is None else grads[0]
        self.calls = [(c, d) for c, d in zip(self.recorded, layers, strict=True) if d is not None]
        self.loose = {n: g.reshape(draws, -1) for n, g in zip(copies, rest, strict=True) if g is not None}
        self.separable = all(c.output.ndim > 3 and c.output.shape[1] == draws for c in self.recorded)
        if generative.plain and loss.requires_grad:
            self.calls, self.loose = [], {n: g[None] for n, g in generative.fixed(total).items()}

    def first_order(self) -> bool:
        """Whether linear layers enter the loss by their outputs alone. They do not where an estimator differentiates a
        derivative of the cost; then the cotangents of the outputs are not the whole gradient."""
        return not (self.generative.measured and reached(self.loss, self.recorded, self.generative.dense))

    def tally(self, block, groups: Tensor) -> None:
        """Add the decoder's gradients to the tallies `block(name)`; `groups [r]` of the draws: on host, sorted."""
        on_device = groups.to(self.cotangents.device)
        for name, grad in self.loose.items():
            block(name).add_vectors(on_device, grad)
        for layer in dict.fromkeys(c.layer for c, _ in self.calls):
            inputs, cotangents, bias = _joined([(c, d) for c, d in self.calls if c.layer == layer], len(groups))
            tally: Tally = block(layer)
            if tally.single or not gram_pays(inputs, cotangents):
                for rows in torch.arange(len(groups)).split(FORMED):  # a few at a time stay in the cache
                    part = slice(int(rows[0]), int(rows[-1]) + 1)
                    tally.add_vectors(on_device[part], gradients(inputs[part], cotangents[part], bias))
                continue
            tally.add_squares(on_device, squared_norms(inputs, cotangents, bias))
            start = 0
            for group, count in zip(*(t.tolist() for t in groups.unique_consecutive(return_counts=True)), strict=True):
                rows = slice(start, start := start + count)
                total = gradients(inputs[rows].flatten(0, 1), cotangents[rows].flatten(0, 1)[None], bias)
                tally.add_sum(group, total[0])


def _joined(uses: list[tuple[Call, Tensor]], draws: int) -> tuple[Tensor, Tensor, bool]:
    """All rows that passed through a layer, by draw: inputs `[r, n, in]`, cotangents `[r, n, out]`."""

    def by_draw(all_rows: list[Tensor]) -> Tensor:  # of [K, r, B, width]
        parts = [(r[None] if draws == 1 else r.movedim(1, 0)).reshape(draws, -1, r.shape[-1]) for r in all_rows]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    return by_draw([c.inputs for c, _ in uses]), by_draw([d for _, d in uses]), uses[0][0].bias
