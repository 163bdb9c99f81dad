"""The files behind the data sets: where they lie, what they must hash to, and where they come from.

A file is looked for in `root/<folder>` and in `root`; a missing one is fetched beside its place and renamed into it
when whole, so that there is never half a file under a final name. Files are checked as they are, on every reading, but
for an npz, which is checked by the bytes of its arrays, since the same arrays compress to different files.
"""

import hashlib
import os
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import numpy as np
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from bench.errors import DataError

FOLDERS = {
    "mnist": "mnist",
    "fashion_mnist": "fashion-mnist",
    "static_mnist": "binarized-mnist",
    "omniglot": "omniglot",
    "cifar10": "cifar10",
    "svhn": "svhn",
}

NPZ = {"static_mnist": "binarized_mnist.npz", "omniglot": "omniglot28.npz"}  # compact forms of the originals

STDERR = Console(stderr=True)  # standard output is for results

HOMES = {
    "mnist": [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
    "fashion_mnist": ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
    "static_mnist": ["http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"],
    "omniglot": ["https://github.com/brendenlake/omniglot/raw/master/python/"],
    "cifar10": ["https://www.cs.toronto.edu/~kriz/"],
    "svhn": ["http://ufldl.stanford.edu/housenumbers/"],
}

FILES = {  # SHA-256 of the whole file, in the order training (and validation), test
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    },
    "static_mnist": {
        "binarized_mnist_train.amat": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        "binarized_mnist_valid.amat": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
        "binarized_mnist_test.amat": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
    },
    "cifar10": {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    "svhn": {
        "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    },
}

ARRAYS = {  # SHA-256 of the bytes of each array of an npz
    "static_mnist": {
        "train": "727146c35424b019f3e350e1e69faa05644a0abaf787e3f4e1a9632220a13906",
        "valid": "a256ac44ae26be720fad8616a05ed6ecfd1619930d9a208379bb2a4405df5b6d",
        "test": "9fcd8da6f0fdf09b2ba30fe63a0bb784042a0de82563172530229b983e294ff2",
    },
    "omniglot": {"x": "7a5ecf500a058a54af758402a0aaae633bb664b0ae943360c2e36099717658a1"},
}


def find(name: str, file: str, root: Path) -> Path | None:
    """The path of `file` in the data set's own folder under `root` or in `root` itself, or None."""
    paths = (root / FOLDERS[name] / file, root / file)
    return next((path for path in paths if path.is_file()), None)


def content(name: str, file: str, root: Path, download: bool) -> bytes:
    """The bytes of a file of `FILES`, fetched first if missing; DataError if they are wrong."""
    path = find(name, file, root) or fetch(name, file, root, download)
    raw = path.read_bytes()
    _check(path, hashlib.sha256(raw).hexdigest(), FILES[name][file])
    return raw


def arrays(name: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz of `ARRAYS`; DataError if they are wrong or cannot be read."""
    raw = path.read_bytes()
    found = {}
    for key, expected in ARRAYS[name].items():
        try:
            with np.load(BytesIO(raw), allow_pickle=False) as npz:
                found[key] = npz[key]
            digest = hashlib.sha256(found[key].tobytes()).hexdigest()
        except Exception:  # a damaged zip fails in a dozen ways
            digest = f"{hashlib.sha256(raw).hexdigest()} of a file in which it cannot be read"
        _check(path, digest, expected, f" of array {key!r}")
    return found


def fetch(name: str, file: str, root: Path, download: bool) -> Path:
    """Fetch `file` into the data set's folder under `root`, from the first of its homes that has it whole and right.

    Raises:
        DataError: `download` is false, or no home could be reached or has the right file.
    """
    target = root / FOLDERS[name] / file
    wanted = f"{file} or {NPZ[name]}" if name in NPZ else file
    if not download:
        raise DataError(f"{name} needs {wanted}: put it in {target.parent}, or set data.download=true to fetch it.")
    reasons = []
    for home in HOMES[name]:
        part = beside(target)
        try:
            digest = _copy(home + file, part)
            expected = FILES.get(name, {}).get(file, digest)
            if digest != expected:
                raise OSError(f"SHA-256 {digest} where {expected} was expected")
            os.replace(part, target)
            return target
        except (OSError, HTTPException) as error:  # no network, no such page, a connection that broke, a full disk
            reasons.append(f"{home}{file}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise DataError(
        f"{name} needs {wanted}, which is missing and could not be fetched ({'; '.join(reasons)}): "
        f"download it by other means and put it in {target.parent}."
    )


def beside(target: Path) -> Path:
    """A name next to `target` that no other process uses, to be renamed to `target`; makes the folder."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target.parent} cannot be made ({error}): set data.root to a folder that can.") from None
    return target.with_name(f".{target.name}.{uuid4().hex}.part")


def _copy(url: str, part: Path) -> str:
    """Copy a URL to a file with a progress bar; returns the SHA-256. OSError where fewer bytes come than announced."""
    digest = hashlib.sha256()
    columns = (*Progress.get_default_columns(), DownloadColumn())
    with urlopen(url, timeout=30) as response, open(part, "xb") as out, Progress(*columns, console=STDERR) as bar:
        total = int(response.headers["Content-Length"] or 0) or None
        task = bar.add_task(url.rpartition("/")[2], total=total)
        while chunk := response.read(1 << 18):
            out.write(chunk)
            digest.update(chunk)
            bar.advance(task, len(chunk))
        if total and out.tell() != total:
            raise OSError(f"{out.tell()} of {total} bytes came")
    return digest.hexdigest()


def _check(path: Path, found: str, expected: str, of: str = "") -> None:
    if found != expected:
        raise DataError(
            f"{path} is corrupt or another file: SHA-256{of} {expected} was expected, {found} was found; delete it to "
            "have it fetched again, or put the right file there."
        )
