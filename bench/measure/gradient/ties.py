"""Models that the fast measurement must treat apart or refuse: shared weights, and layers in training mode."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from bench.errors import Impossible
from bench.model.adapted import OWN, encodes

MEND = "call .eval() on it before measuring"


def shown(name: str) -> str:
    """The name of a layer in the user's model."""
    return name.removeprefix(OWN) or "the model"


def tied(model: nn.Module) -> list[list[str]]:
    """The names of every parameter that several modules share. Autograd gives one gradient for all of its uses.

    Raises:
        Impossible: encoder and decoder share a parameter, which would belong to both parts.
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
    """A context for forward passes that must not change the model or mix examples.

    Raises:
        Impossible: a layer in training mode normalises by its batch or drops out, or a forward pass has changed a
            buffer, which is restored.
    """
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
