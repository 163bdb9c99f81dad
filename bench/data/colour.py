"""CIFAR-10 and SVHN from the archives in which they are published; neither holds pickled objects.

A. Krizhevsky, Learning multiple layers of features from tiny images, 2009, in its binary form; Y. Netzer et al.,
Reading digits in natural images with unsupervised feature learning, 2011, cropped digits without the extra ones.
"""

import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np

from bench.data.download import FILES, content

TRAINING = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)


def cifar10(root: Path, download: bool) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images, uint8 `[N, 3072]`: red, green, blue. DataError as `bench.data.readers.read`."""
    (archive,) = FILES["cifar10"]
    with tarfile.open(fileobj=BytesIO(content("cifar10", archive, root, download))) as tar:
        held = {Path(member.name).name: tar.extractfile(member) for member in tar if member.isfile()}
        raws = {name: file.read() for name, file in held.items() if file and name in (*TRAINING, *TEST)}
    parts = {name: np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3072)[:, 1:] for name, raw in raws.items()}
    return np.concatenate([parts[name] for name in TRAINING]), parts[TEST[0]].copy()


def svhn(root: Path, download: bool) -> tuple[np.ndarray, np.ndarray]:
    """The same of SVHN, whose files have the images on the last axis and the channels on the last but one."""
    from scipy.io import loadmat  # needed nowhere else

    raws = (content("svhn", file, root, download) for file in FILES["svhn"])
    images = (loadmat(BytesIO(raw), variable_names=["X"])["X"].transpose(3, 2, 0, 1) for raw in raws)
    train, test = (np.ascontiguousarray(x).reshape(len(x), -1) for x in images)
    return train, test
