"""What a model of images may be beyond what each key holds: keys that ask for one another."""

from collections.abc import Mapping
from typing import Any

from bench.config.rules import RULES, SAMPLED, Rule
from bench.errors import BadInput, nearest


def check_images(leaves: Mapping[str, Any]) -> None:
    """Raise BadInput, with one sentence, where images, latents and likelihood do not go together."""
    if leaves.get("data.path", "") is None:
        raise BadInput("data=file needs data.path=<a file .npz, .npy or .pt, or a folder of PNGs>.")
    likelihood, binarisation = leaves.get("model.likelihood"), leaves.get("data.binarisation")
    possible = [("gaussian", "none"), (None, "none")]  # of a model that is a class nothing is known
    if leaves.get("data.dequantise") and (likelihood, binarisation) not in possible:
        raise BadInput(
            "data.dequantise=true is for the density of grey levels: set model.likelihood=gaussian and "
            f"data.binarisation=none; got {likelihood} and {binarisation}."
        )
    if likelihood == "categorical256" and binarisation != "none":
        raise BadInput(
            f"model.likelihood=categorical256 is of 256 levels, and data.binarisation={binarisation} leaves two: set "
            "data.binarisation=none."
        )
    if (layers := leaves.get("latent.layers")) is not None:
        _check_layers(layers, leaves)
    if len(balance := leaves.get("model.balance", [1, 1])) != 2:
        raise BadInput(f"model.balance needs two numbers, of the dynamics and of the representation; got {balance}.")


def _check_layers(layers: list[Any], leaves: Mapping[str, Any]) -> None:
    """Raise BadInput unless every layer that is no size is a family with its sizes, the first that of the group."""
    if not layers:
        raise BadInput("latent.layers needs the sizes of one layer or more, or null; got [].")
    for number, layer in enumerate(layers, 1):
        if isinstance(layer, Mapping):
            _check_layer(f"Layer {number} of latent.layers", layer)
    if isinstance(first := layers[0], Mapping):
        for key in ("family", "categories"):
            if first.get(key) != leaves.get(f"latent.{key}"):
                raise BadInput(
                    f"Layer 1 of latent.layers is the latent of the other keys, latent.{key}="
                    f"{leaves.get(f'latent.{key}')}, and not {key}={first.get(key)}: change that key too."
                )


def plain_layers(latent: Mapping[str, Any]) -> list[Any]:
    """`latent.layers` with a size alone for a layer that differs from the latent of the other keys in nothing else, so
    that one model is one run."""
    own = {key: latent[key] for key in ("family", "categories") if key in latent}
    return [
        layer["dim"] if isinstance(layer, Mapping) and own | {"dim": layer["dim"]} == dict(layer) else layer
        for layer in latent["layers"]
    ]


def _check_layer(which: str, layer: Mapping[str, Any]) -> None:
    """Raise BadInput unless a layer has a family that may be one of several, and its sizes."""
    if (family := layer.get("family")) not in SAMPLED[1:]:
        if family == "vq":
            raise BadInput(f"{which} cannot be vq, which has stages instead: {', '.join(SAMPLED[1:])} can be layers.")
        raise BadInput(f"{which} needs family, one of {', '.join(SAMPLED[1:])}; got {family!r}.")
    sizes = ("dim", "categories") if family == "categorical" else ("dim",)
    for key in layer:
        if key not in ("family", *sizes):
            raise BadInput(f"{which} is {family}, which has no {key}: {nearest(str(key), ('family', *sizes))}")
    for key in sizes:
        rule: Rule = RULES[f"latent.{key}"]
        size = layer.get(key)
        if not isinstance(size, int) or isinstance(size, bool) or not rule.holds(size):
            raise BadInput(f"{which} needs {key}, {rule.expected}; got {size!r}.")
