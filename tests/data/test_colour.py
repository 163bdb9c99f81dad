"""CIFAR-10 and SVHN, from small archives of their formats."""

import io
import tarfile

import numpy as np
import pytest
import torch
from scipy.io import savemat

from bench.data import download
from bench.data.datasets import load_dataset
from bench.data.splits import FACTS
from tests.support.dataset_files import left, refused, sha256, write

pytestmark = pytest.mark.usefixtures("no_network")
ARCHIVE = "cifar-10-binary.tar.gz"


def tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def records(images: np.ndarray) -> bytes:
    """A byte for the class before each image."""
    labels = np.arange(len(images), dtype=np.uint8)[:, None] % 10
    return np.concatenate([labels, images.reshape(len(images), -1)], axis=1).tobytes()


def mat(images: np.ndarray) -> bytes:
    raw = io.BytesIO()
    savemat(raw, {"X": images.transpose(2, 3, 1, 0), "y": np.ones((len(images), 1), np.uint8)}, do_compression=True)
    return raw.getvalue()


@pytest.fixture(params=["cifar10", "svhn"])
def published(request, monkeypatch):
    """The name of the data set, its images `[22, 3, 32, 32]` and its files by name."""
    name = request.param
    images = np.random.default_rng(0).integers(0, 256, (22, 3, 32, 32), dtype=np.uint8)
    if name == "cifar10":
        parts = {f"data_batch_{i}.bin": records(images[4 * i - 4 : 4 * i]) for i in (5, 2, 1, 4, 3)}
        files = {ARCHIVE: tar({"readme.html": b"<p>", "test_batch.bin": records(images[20:])} | parts)}
    else:
        files = {"train_32x32.mat": mat(images[:20]), "test_32x32.mat": mat(images[20:])}
    monkeypatch.setitem(download.FILES, name, {file: sha256(raw) for file, raw in files.items()})
    monkeypatch.setitem(FACTS, name, FACTS[name]._replace(valid=3))
    return name, images, files


def test_the_images_are_those_of_the_archive(tmp_path, published):
    name, images, files = published
    write(tmp_path / name, files)
    data = load_dataset(name, tmp_path, "none", None, download=False, dtype=torch.float64)
    assert (data.shape, data.levels) == ((3, 32, 32), 255)
    assert [len(x) for x in data.splits.values()] == [17, 3, 2]
    found = torch.cat(list(data.splits.values())).reshape(-1, 3, 32, 32)
    torch.testing.assert_close(found, torch.tensor(images).double() / 255, rtol=0, atol=1e-15)
    assert len(load_dataset(name, tmp_path, "dynamic", 20, download=False).train) == 20


def test_the_archive_is_fetched_and_checked(tmp_path, published, monkeypatch):
    name, _, files = published
    write(tmp_path / "home", files)
    monkeypatch.setitem(download.HOMES, name, [(tmp_path / "home").as_uri() + "/"])
    assert len(load_dataset(name, tmp_path / "data", "none", None, download=True).train) == 17
    assert left(tmp_path / "data") == sorted(files)
    write(tmp_path / "data" / name, {file: raw[: len(raw) // 2] for file, raw in files.items()})
    refused(tmp_path / "data", "is corrupt or another file: SHA-256", name=name, fetch=False)
    refused(tmp_path / "nothing", f"{name} needs {next(iter(files))}", "data.download=true", name=name, fetch=False)
