"""What a model of images may be beyond what each key holds: keys that ask for one another."""

from collections.abc import Mapping
from typing import Any

from bench.errors import BadInput


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
    if leaves.get("latent.layers") == []:
        raise BadInput("latent.layers needs the sizes of one layer or more, or null; got [].")
    if len(balance := leaves.get("model.balance", [1, 1])) != 2:
        raise BadInput(f"model.balance needs two numbers, of the dynamics and of the representation; got {balance}.")
