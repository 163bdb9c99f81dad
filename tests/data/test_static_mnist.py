"""Static MNIST: its files as npz or amat, found, fetched and refused, on a small synthetic one."""

import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.data import datasets, download
from bench.data.batches import Batches
from bench.data.splits import Facts
from tests.support.dataset_files import left, load_grey, refused, sha256, write

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def static(monkeypatch):
    """The bits of a small static MNIST, and its two forms."""
    rng = np.random.default_rng(0)
    bits = {
        split: rng.integers(0, 2, (n, 784), dtype=np.uint8) for split, n in [("train", 6), ("valid", 3), ("test", 2)]
    }
    text = {
        f"binarized_mnist_{k}.amat": "".join(" ".join(map(str, r)) + "\n" for r in x).encode() for k, x in bits.items()
    }
    packed = {split: np.packbits(x, axis=1) for split, x in bits.items()}
    npz = io.BytesIO()
    np.savez_compressed(npz, **packed)
    monkeypatch.setitem(download.FILES, "static_mnist", {name: sha256(raw) for name, raw in text.items()})
    monkeypatch.setitem(download.ARRAYS, "static_mnist", {split: sha256(x.tobytes()) for split, x in packed.items()})
    monkeypatch.setitem(datasets.FACTS, "static_mnist", Facts((1, 28, 28), 1, 3))
    return SimpleNamespace(bits=bits, text=text, npz={"binarized_mnist.npz": npz.getvalue()})


@pytest.mark.parametrize("form", ["text", "npz"])
@pytest.mark.parametrize("folder", ["binarized-mnist", "."])
def test_static_mnist_is_read_in_both_forms(tmp_path, static, form, folder):
    write(tmp_path / folder, getattr(static, form))
    found = load_grey(tmp_path, "static_mnist", fetch=False)
    for split, x in static.bits.items():
        assert torch.equal(found.splits[{"valid": "validation"}.get(split, split)], torch.tensor(x).float())


@pytest.mark.parametrize("binarisation", datasets.BINARISATIONS)
def test_static_mnist_is_the_same_under_every_binarisation(tmp_path, static, binarisation):
    write(tmp_path, static.npz)
    found = datasets.load_dataset("static_mnist", tmp_path, binarisation, None, False)
    assert torch.equal(found.test, torch.tensor(static.bits["test"]).float())
    assert torch.equal(found.fixed("train", None, seed=0), torch.tensor(static.bits["train"]).float())
    batches = Batches(found, 6, seed=0)
    ones = torch.tensor(static.bits["train"]).float().sum(0)
    assert all(torch.equal(next(batches).sum(0), ones) for _ in range(5))


def test_static_mnist_is_fetched_as_text(tmp_path, static, monkeypatch):
    write(tmp_path / "home", static.text)
    monkeypatch.setitem(download.HOMES, "static_mnist", [(tmp_path / "home").as_uri() + "/"])
    load_grey(tmp_path / "data", "static_mnist")
    assert left(tmp_path / "data") == sorted(static.text)


def test_a_missing_static_mnist_names_both_forms(tmp_path, static):
    refused(tmp_path, "binarized_mnist_train.amat or binarized_mnist.npz", name="static_mnist", fetch=False)


def test_a_damaged_npz_is_refused(tmp_path, static):
    (raw,) = static.npz.values()
    expected = download.ARRAYS["static_mnist"]["train"]
    damaged = [b"", b"not a zip", raw[: len(raw) // 2]]
    start = raw.index(b"train.npy") + 9 + 20  # the compressed array, after its name and the zip64 field
    damaged += [raw[:i] + bytes([raw[i] ^ 255]) + raw[i + 1 :] for i in range(start, start + 300, 7)]
    for wrong in damaged:
        write(tmp_path, {"binarized_mnist.npz": wrong})
        refused(tmp_path, tmp_path / "binarized_mnist.npz", expected, "was found", "delete it", name="static_mnist")
    other = {k: np.packbits(1 - x, axis=1) for k, x in static.bits.items()}
    np.savez_compressed(tmp_path / "binarized_mnist.npz", **other)
    refused(tmp_path, expected, sha256(other["train"].tobytes()), name="static_mnist")


def test_pickles_are_never_loaded(tmp_path, static):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "binarized_mnist.npz", train=np.array([Trap()], dtype=object))
    refused(tmp_path, name="static_mnist")
    (tmp_path / "binarized_mnist.npz").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path, name="static_mnist")
    assert not (tmp_path / "sprung").exists()
