"""Images of one's own: from an npz, an npy or a pt file, or a folder of PNGs, checked and split.

Nothing that a file holds is run: pickled objects are refused, and so is whatever is no plain array of images.
"""

import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from bench.data.digest import Content, files
from bench.errors import DataError
from bench.streams import generator

SPLITS = ("train", "validation", "test")
FEW = range(1, 5)  # channels of a picture: grey, grey and opacity, red-green-blue, and opacity
MODES = {"1": "L", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "P": "RGB"}  # of Pillow -> what it is read as


class Stored(NamedTuple):
    """The splits as they are stored, each `[N, C, H, W]`; validation may be missing."""

    train: np.ndarray
    valid: np.ndarray | None
    test: np.ndarray
    levels: int | None  # whole numbers 0..levels; None: real numbers from 0 to 1


def read_own(
    path: Path, layout: str, levels: int | None, test_size: float, split_seed: int, digest: str | None
) -> Stored:
    """The images behind `path`.

    Args:
        path: a file, or a folder of PNGs, whose subfolders train, validation and test are the splits if there are such.
        layout: nchw or nhwc, of arrays with four axes; auto: the channels are the axis with at most four of them.
        levels: the highest value of whole numbers; None: 255. Real numbers are from 0 to 1.
        test_size: what share of the images is for testing where they are not split yet.
        split_seed: which.
        digest: what they must hash to; None: whatever they do.

    Raises:
        DataError: a file is missing, damaged, changed, or holds what is no such image.
    """
    content, layout = Content(path), "nchw" if path.is_dir() else layout
    arrays = _of_folder(path, content) if path.is_dir() else _of_file(path, content.read(files(path)[0]))
    if digest not in (None, content.digest()):
        raise DataError(
            f"{path} has changed: SHA-256 {digest} was expected, {content.digest()} was found; start the command anew."
        )
    return checked(path, arrays, layout, levels, test_size, split_seed)


def checked(
    place: Any, arrays: Mapping[str, np.ndarray], layout: str, levels: int | None, test_size: float, split_seed: int
) -> Stored:
    """The splits that these arrays are, or are made to; `place` says where they are from, the rest is of `read_own`.
    DataError where one holds what is no image."""
    found = {split: _images(f"{place} ({split})", array, layout, levels) for split, array in arrays.items()}
    _agree(place, found)
    if sum(map(len, found.values())) < 2 or len(found["train"]) < 1 + ("test" not in found):
        raise DataError(f"{place} holds one image; there must be two at least, to train and to test.")
    if "test" not in found:
        found["train"], found["test"] = _split(place, found["train"], test_size, split_seed)
    highest = None if found["train"].dtype.kind == "f" else 1 if found["train"].dtype == bool else levels or 255
    return Stored(found["train"], found.get("validation"), found["test"], highest)


def _of_file(path: Path, raw: bytes) -> dict[str, Any]:
    """Split -> array, of a file with one array or with one for each split."""
    try:
        with warnings.catch_warnings(action="ignore"):
            if path.suffix.lower() == ".pt":
                held = torch.load(BytesIO(raw), map_location="cpu", weights_only=True)
                named = {k: _array(v) for k, v in _named(held).items() if isinstance(v, torch.Tensor)}
            else:
                held = np.load(BytesIO(raw), allow_pickle=False)
                named = {k: held[k] for k in held.files} if hasattr(held, "files") else {"train": held}
    except Exception as error:  # a damaged archive fails in a dozen ways
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".").partition(". ")[0]
        raise DataError(
            f"{path} is damaged, or holds other objects than arrays, which are not read since they may run code "
            f"({reason})."
        ) from None
    if "train" not in named and len(named) == 1:
        named = {"train": next(iter(named.values()))}
    if "train" not in named:
        raise DataError(
            f"{path} holds {', '.join(map(str, named)) or 'no array'}; it needs one array, or train and test "
            "(and validation)."
        )
    return {split: named[split] for split in SPLITS if split in named}


def _array(held: torch.Tensor) -> np.ndarray:
    return (held.float() if held.dtype == torch.bfloat16 else held).detach().numpy()  # a type that NumPy lacks


def _named(held: Any) -> dict[str, Any]:
    return held if isinstance(held, dict) else {"train": held}


def _of_folder(path: Path, content: Content) -> dict[str, np.ndarray]:
    """Split -> pictures."""
    splits: dict[str, list[np.ndarray]] = {}
    first: tuple[Path, tuple[int, ...]] | None = None
    parted = (path / "train").is_dir()
    for file in files(path):
        raw, top = content.read(file), file.relative_to(path).parts[0]
        if parted and top not in SPLITS:
            continue
        picture = _picture(file, raw)
        if first and picture.shape != first[1]:
            raise DataError(
                f"{file} is a picture of {_size(picture.shape)}, and {first[0]} one of {_size(first[1])}; all must be "
                "of one size and one kind."
            )
        first = first or (file, picture.shape)
        splits.setdefault(top if parted else "train", []).append(picture)
    if "train" not in splits:
        raise DataError(f"{path / 'train'} holds no PNG.")
    return {split: np.stack(pictures) for split, pictures in splits.items()}


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]} with {shape[0]} channel{'s' if shape[0] > 1 else ''}"


def _picture(file: Path, raw: bytes) -> np.ndarray:
    """uint8 `[C, H, W]`."""
    try:
        with Image.open(BytesIO(raw), formats=["PNG"]) as image:
            mode = image.mode
            values = np.asarray(image.convert(MODES[mode])) if mode in MODES else None
    except Exception as error:  # a damaged picture fails in a dozen ways
        raise DataError(f"{file} cannot be read as a PNG ({str(error).splitlines()[0].rstrip('.')}).") from None
    if values is None:
        raise DataError(f"{file} has pixels of the kind {mode}; those of 8 bits are read, grey or in colour.")
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _images(name: str, array: np.ndarray, layout: str, levels: int | None) -> np.ndarray:
    """`[N, C, H, W]`, refused where a value is none of a pixel."""
    refusal = next(_refusals(array, levels), None)
    if refusal:
        raise DataError(f"{name} {refusal}.")
    if array.ndim == 3:
        return array[:, None]
    last, second = array.shape[3] in FEW, array.shape[1] in FEW
    if layout == "auto" and last == second:
        raise DataError(
            f"{name} has the shape {list(array.shape)}, of which axis 1 or axis 3 may be the channels: set "
            "data.layout=nchw or data.layout=nhwc."
        )
    return array.transpose(0, 3, 1, 2) if layout == "nhwc" or (layout == "auto" and last) else array


def _refusals(array: np.ndarray, levels: int | None) -> Iterator[str]:
    real, whole = array.dtype.kind == "f", array.dtype in (np.uint8, np.bool_)
    if not (real or whole):
        yield f"holds {array.dtype}; images are of uint8, bool, or real numbers from 0 to 1"
    if array.ndim not in (3, 4):
        yield f"has the shape {list(array.shape)}; images are [N, H, W], [N, C, H, W] or [N, H, W, C]"
    if not array.size:
        yield f"is empty, of shape {list(array.shape)}"
    if real and levels is not None:
        yield f"holds {array.dtype}, and data.levels={levels} is of whole numbers"
    if real and not np.isfinite(array).all():
        yield "holds a NaN or an infinity"
    low, high = array.min(), array.max()
    top = 1 if real or array.dtype == bool else levels or 255
    if low < 0 or high > top:
        yield f"has values from {low:g} to {high:g}, which must be from 0 to {top}"


def _agree(path: Any, found: dict[str, np.ndarray]) -> None:
    """DataError unless all splits are of one kind."""
    train = found["train"]
    for split, array in found.items():
        if array.shape[1:] != train.shape[1:] or array.dtype.kind != train.dtype.kind:
            raise DataError(
                f"{path} has images of {_size(array.shape[1:])} of {array.dtype} in {split}, and of "
                f"{_size(train.shape[1:])} of {train.dtype} in train."
            )


def _split(path: Any, images: np.ndarray, test_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Those to train with and those to test with, in an order drawn from the seed."""
    n = round(len(images) * test_size)
    if not 0 < n < len(images):
        raise DataError(f"data.test_size={test_size:g} of the {len(images)} images of {path} leaves one part empty.")
    order = torch.randperm(len(images), generator=generator(seed, "split")).numpy()
    return images[order[n:]], images[order[:n]]
