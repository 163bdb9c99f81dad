"""Parts of a user's module that a user names."""

from collections.abc import Mapping, Sequence

from torch import nn

from bench.errors import BadInput, nearest
from bench.model.adapted import OWN, Adapted

TAKEN = ("latent", "encoder", "decoder")


def blocks_of(model: Adapted, parts: Mapping[str, str | Sequence[str]]) -> dict[str, set[str]]:
    """Part -> every block that may hold a gradient of the submodules or parameters it names.

    Raises BadInput where there is none of such a name, or none that learns.
    """
    listed = list(parts.values()) if isinstance(parts, Mapping) else [None]
    if not all(isinstance(names, str | list | tuple) and all(isinstance(n, str) for n in names) for names in listed):
        raise BadInput(f"parts needs a dict from names to a submodule or parameter, or a list of them; got {parts!r}.")
    found: dict[str, set[str]] = {}
    for part, names in parts.items():
        if part in TAKEN:
            raise BadInput(f"parts names {part}, which is there already: {', '.join(TAKEN)} always are.")
        found[part] = set()
        for name in [names] if isinstance(names, str) else names:
            found[part] |= _blocks(model, part, name)
    return found


def _blocks(model: Adapted, part: str, name: str) -> set[str]:
    learned = [n.removeprefix(OWN) for n, p in model.named_parameters() if p.requires_grad]
    inside = [n for n in learned if n == name or n.startswith(f"{name}.")]
    if not inside:
        there = {n for n, _ in model.module.named_modules() if n} | {*learned}
        if name in there:
            raise BadInput(f"{name} of parts[{part!r}] has no trainable parameter.")
        raise BadInput(f"There is no {name} in the model for parts[{part!r}]: {nearest(name, there)}")
    owners = {n.rpartition(".")[0] for n in inside}
    if inside == [name] and isinstance(model.module.get_submodule(name.rpartition(".")[0]), nn.Linear):
        raise BadInput(f"{name} is measured with all of its layer: name {name.rpartition('.')[0]} in parts[{part!r}].")
    layers = {owner for owner in owners if owner == name or owner.startswith(f"{name}.")}
    return {model.block(OWN + n) for n in [*inside, *layers]}
