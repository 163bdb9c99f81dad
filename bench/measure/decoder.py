"""One batched computation from r draws of the noise to the cotangents of q.params and the decoder's gradients."""

from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.measure.layers import Call, gradients, gram_pays, recorded, squared_norms
from bench.measure.tally import Tally
from bench.model import Model
from bench.objective import Objective
from estimators import Latent

FORMED = 8  # gradients of a layer formed at a time


class Generative:
    """The parameters of a model outside its encoder: which of them sit in linear layers, and which are loose."""

    def __init__(self, model: Model):
        self.model = model
        self.named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and not n.startswith("encoder.")]
        self.loose = [n for n, _ in self.named if not isinstance(self._owner(n), nn.Linear)]
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
    def replicated(self, draws: int):
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
        loose: gradients `[r, P]` of its other parameters.
        separable: whether the draws' shares of the decoder's gradient can be told apart.
        values: numbers held per draw, about.
    """

    def __init__(self, objective: Objective, q: Latent, x: Tensor, draws: int, generative: Generative | None):
        leaf = q.params.detach().expand(draws, *q.params.shape).clone().requires_grad_()
        with recorded(objective.model) as calls, counted_outputs() as outputs_of_modules:
            if generative is None:
                loss, copies = objective.estimate(q.with_params(leaf), x).loss, {}
            else:
                with generative.replicated(draws) as copies:
                    loss = objective.estimate(q.with_params(leaf), x).loss  # [r, B]
        outputs = [c.output for c in calls] if generative is not None else []
        grads = torch.autograd.grad(loss.mean(-1).sum(), [leaf, *outputs, *copies.values()], allow_unused=True)
        first, layers, rest = grads[0], grads[1 : 1 + len(outputs)], grads[1 + len(outputs) :]
        self.cotangents = torch.zeros_like(leaf) if first is None else first
        self.calls = [(c, d) for c, d in zip(calls, layers, strict=False) if d is not None]
        self.loose = {n: g.reshape(draws, -1) for n, g in zip(copies, rest, strict=True) if g is not None}
        self.separable = all(c.output.ndim > 3 and c.output.shape[1] == draws for c in calls)
        self.values = sum(outputs_of_modules) // draws + 4 * leaf[0].numel()

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

    def by_draw(rows: Tensor) -> Tensor:  # [K, r, B, width]
        return (rows[None] if draws == 1 else rows.movedim(1, 0)).reshape(draws, -1, rows.shape[-1])

    inputs = torch.cat([by_draw(c.inputs) for c, _ in uses], 1)
    return inputs, torch.cat([by_draw(d) for _, d in uses], 1), uses[0][0].bias
