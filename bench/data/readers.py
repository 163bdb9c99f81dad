"""From the files of a data set to arrays of pixels as they are stored.

The 28x28 form of Omniglot has no home: it is derived from the two original zip files of B. M. Lake, R. Salakhutdinov,
J. B. Tenenbaum, Human-level concept learning through probabilistic program induction, Science 350(6266), 2015.
"""

import gzip
import hashlib
import os
import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from bench.data.colour import cifar10, svhn
from bench.data.download import ARRAYS, FILES, FOLDERS, NPZ, STDERR, arrays, beside, content, fetch, find
from bench.errors import DataError

COLOURED = {"cifar10": cifar10, "svhn": svhn}
ZIPS = ("images_background.zip", "images_evaluation.zip")
DRAWING = re.compile(r"(?:.*/)?(\d{4}_\d{2})\.png")  # character and drawer; also skips the ._ files of some archivers


def read(name: str, root: Path, download: bool) -> tuple[np.ndarray, np.ndarray]:
    """Training (validation at its end) and test images, uint8 `[N, X]`, as they are stored.

    Raises:
        DataError: a file is missing and cannot be fetched, is corrupt, or is not what it should be.
    """
    if name == "digits":
        x = digits()
        x = x[np.random.RandomState(0).permutation(len(x))]  # RandomState's streams are frozen for ever
        return x[:1500], x[1500:]
    if name in COLOURED:
        return COLOURED[name](root, download)
    if name == "omniglot":
        x = omniglot(root, download).reshape(-1, 784)
        return x[: 964 * 20], x[964 * 20 :]  # 20 drawings of each character; the background set has the first 964
    if name == "static_mnist" and (path := find(name, NPZ[name], root)):
        packed = arrays(name, path)
        train, valid, test = (np.unpackbits(packed[split], axis=1) for split in ("train", "valid", "test"))
        return np.concatenate([train, valid]), test
    raws = (content(name, file, root, download) for file in FILES[name])
    if name == "static_mnist":
        train, valid, test = (np.frombuffer(raw, np.uint8)[::2].reshape(-1, 784) - ord("0") for raw in raws)
        return np.concatenate([train, valid]), test
    train, test = (np.frombuffer(gzip.decompress(raw), np.uint8, offset=16).reshape(-1, 784) for raw in raws)
    return train, test


def digits() -> np.ndarray:
    """All digits `[1797, 64]`: the file that scikit-learn brings, which takes a second to import."""
    spec = find_spec("sklearn")
    file = Path((spec and spec.origin) or "").parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():
        return np.ascontiguousarray(np.loadtxt(file, np.uint8, delimiter=",")[:, :-1])  # the last one names the digit
    from sklearn.datasets import load_digits

    return load_digits().data.astype(np.uint8)


def omniglot(root: Path, download: bool) -> np.ndarray:
    """All drawings `[32460, 28, 28]` as ink counts 0..16, ordered by character, then drawer.

    Read from `omniglot28.npz`; where that is missing, it is derived once from the original zip files.

    Raises:
        DataError: a file is missing and cannot be fetched, is corrupt, or does not give the expected images.
    """
    path = find("omniglot", NPZ["omniglot"], root)
    if path:
        return arrays("omniglot", path)["x"]
    zips = [find("omniglot", file, root) or fetch("omniglot", file, root, download) for file in ZIPS]
    x = derive(zips)
    found, expected = hashlib.sha256(x.tobytes()).hexdigest(), ARRAYS["omniglot"]["x"]
    if found != expected:
        raise DataError(
            f"{zips[0]} and {zips[1]} do not hold the drawings of Omniglot: SHA-256 of the 28x28 images {expected} was "
            f"expected, {found} was found; delete them to have them fetched again."
        )
    target = root / FOLDERS["omniglot"] / NPZ["omniglot"]
    part = beside(target)
    try:
        with open(part, "xb") as out:
            np.savez_compressed(out, x=x)
        os.replace(part, target)
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error}): set data.root to a folder that can.") from None
    finally:
        part.unlink(missing_ok=True)
    return x


def derive(zips: list[Path]) -> np.ndarray:
    """The 28x28 ink counts `[N, 28, 28]` of all PNG drawings in `zips`, ordered by file name.

    Raises:
        DataError: a zip, or a picture in it, cannot be read.
    """
    drawings = {}
    for path in zips:
        try:
            with zipfile.ZipFile(path) as archive:
                for member in track(archive.namelist(), f"deriving from {path.name}", console=STDERR):
                    if name := DRAWING.fullmatch(member):
                        with archive.open(member) as file, Image.open(file) as image:
                            drawings[name[1]] = shrink(np.asarray(image.convert("L")) < 128)  # ink is black
        except Exception as error:  # a damaged zip or picture fails in a dozen ways
            raise DataError(
                f"{path} cannot be read ({error}): delete it to have it fetched again, or put the right file there."
            ) from None
    return np.array([drawings[name] for name in sorted(drawings)])


def shrink(ink: np.ndarray) -> np.ndarray:
    """Ink pixels in each 4x4 block, uint8 `[28, 28]`, of a drawing bool `[105, 105]` padded to 112x112."""
    padded = np.pad(ink, (3, 4))
    return padded.reshape(28, 4, 28, 4).sum((1, 3), dtype=np.uint8)
