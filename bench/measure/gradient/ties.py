"""What of a model does not fit the fast way of measuring: weights of several layers, and layers that training moves."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from bench.errors import Impossible
from bench.model.adapted import OWN, encodes

MEND = "call .eval() on it before measuring"


def shown(name: str) -> str:
    """What the owner of a model calls this layer."""
    return name.removeprefix(OWN) or "the model"


def tied(model: nn.Module) -> list[list[str]]:
    """The names of each parameter that several modules hold, of which autograd has one gradient and not several.

    Raises Impossible where the encoder shares one with the rest: it would be a part of both.
    """
    places: dict[int, dict[int, str]] = {}  # parameter -> module -> name
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.requires_grad:
            places.setdefault(id(parameter), {})[id(model.get_submodule(name.rpartition(".")[0]))] = name
    found = [list(names.values()) for names in places.values() if len(names) > 1]
    for names in found:
        if len({encodes(model, name) for name in names}) > 1:
            raise Impossible(
                f"{' and '.join(names)} are one parameter, of the encoder and of the decoder: their gradients cannot "
                "be told apart; give each its own."
            )
    return found


@contextmanager
def unmoved(model: nn.Module) -> Iterator[None]:
    """Raise Impossible where a forward pass inside depends on its batch, has noise of its own, or moves a buffer, which
    is put back."""
    for name, module in model.named_modules():
        if module.training and isinstance(module, _BatchNorm):
            raise Impossible(f"{shown(name)} normalises by its batch in training mode, so that examples meet: {MEND}.")
        if module.training and isinstance(module, _DropoutNd) and module.p > 0:
            raise Impossible(f"{shown(name)} drops out in training mode, and its noise is not the estimator's: {MEND}.")
    held = {name: (buffer, buffer.detach().clone(), buffer._version) for name, buffer in model.named_buffers()}
    yield
    moved = [name for name, (buffer, _, version) in held.items() if buffer._version != version]
    for name in moved:
        held[name][0].copy_(held[name][1])
    if moved:
        raise Impossible(f"{shown(moved[0])} moves in a forward pass, which measuring must not do: {MEND}.")
