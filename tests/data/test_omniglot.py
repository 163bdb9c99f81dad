"""Omniglot: derived once from the original zip files, refused where they are others, and split by character."""

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.data import datasets, download, readers
from tests.support.dataset_files import left, refused, sha256, write

pytestmark = pytest.mark.usefixtures("no_network")
IMAGE_FILES = Path(__file__).resolve().parents[3] / "shared" / "data"


def png(ink):
    file = io.BytesIO()
    Image.fromarray(~ink).save(file, "png")  # one bit per pixel, ink is black
    return file.getvalue()


def zipped(drawings):
    """A zip of drawings by number, in reverse order, among files that are none."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__MACOSX/images/A/character01/._0001_01.png", b"junk")
        archive.writestr("images/README.txt", b"junk")
        for name in sorted(drawings, reverse=True):
            archive.writestr(f"images/A/character01/{name}.png", png(drawings[name]))
    return file.getvalue()


@pytest.fixture
def drawings(monkeypatch):
    """Three characters by two people, and their 28x28 form counted one pixel at a time."""
    names = [f"{character:04d}_{drawer:02d}" for character in (1, 2, 3) for drawer in (1, 2)]
    ink = np.random.default_rng(0).random((6, 105, 105)) < np.linspace(0.1, 0.9, 6)[:, None, None]
    x = np.zeros((6, 28, 28), np.uint8)
    for image, row, column in zip(*ink.nonzero(), strict=True):
        x[image, (row + 3) // 4, (column + 3) // 4] += 1
    monkeypatch.setitem(download.ARRAYS, "omniglot", {"x": sha256(x.tobytes())})
    by_name = dict(zip(names, ink, strict=True))
    background = {name: by_name[name] for name in names[:4]}
    evaluation = {name: by_name[name] for name in names[4:]}
    return SimpleNamespace(x=x, files=dict(zip(readers.ZIPS, map(zipped, (background, evaluation)), strict=True)))


@pytest.mark.parametrize("where", ["home", "data", "data/omniglot"])
def test_omniglot_is_derived_once(tmp_path, drawings, monkeypatch, where):
    write(tmp_path / where, drawings.files)
    monkeypatch.setitem(download.HOMES, "omniglot", [(tmp_path / "home").as_uri() + "/"])
    root = tmp_path / "data"
    assert np.array_equal(readers.omniglot(root, where == "home"), drawings.x)
    monkeypatch.setattr(readers, "derive", None)
    assert np.array_equal(readers.omniglot(root, False), drawings.x)
    assert left(root) == sorted([*drawings.files, "omniglot28.npz"])


def test_other_drawings_are_refused(tmp_path, drawings):
    swapped = dict(zip(readers.ZIPS, [drawings.files[readers.ZIPS[0]]] * 2, strict=True))
    write(tmp_path, swapped)
    refused(tmp_path, *swapped, download.ARRAYS["omniglot"]["x"], "delete them", name="omniglot")
    write(tmp_path, dict.fromkeys(readers.ZIPS, zipped({})))
    refused(tmp_path, *swapped, "delete them", name="omniglot")
    assert left(tmp_path) == sorted(readers.ZIPS)


def test_a_damaged_zip_or_picture_is_refused(tmp_path, drawings):
    first = readers.ZIPS[0]
    whole = drawings.files[first]
    at = whole.index(b"IDAT")
    with_small = zipped({"0001_01": np.zeros((28, 28), bool)})
    for wrong in (b"", b"sorry", whole[:-30], whole[:at] + b"XXXX" + whole[at + 4 :], with_small):
        write(tmp_path, drawings.files | {first: wrong})
        refused(tmp_path, tmp_path / first, "delete it", name="omniglot")
        assert left(tmp_path) == sorted(readers.ZIPS)


def test_a_missing_omniglot_names_both_forms(tmp_path, drawings):
    refused(tmp_path, "images_background.zip or omniglot28.npz", name="omniglot", fetch=False)


def test_every_omniglot_image_is_in_its_split(monkeypatch):
    x = np.repeat(np.arange(1623, dtype=np.int64), 20)[:, None, None] * np.ones((1, 28, 28), np.int64)  # the character
    monkeypatch.setattr(readers, "omniglot", lambda root, download: x)
    train, test = readers.read("omniglot", Path(), False)
    cut = len(train) - datasets.FACTS["omniglot"].valid
    splits = [set((part[:, 0] + 1).tolist()) for part in (train[:cut], train[cut:], test)]
    assert splits == [set(range(1, 869)), set(range(869, 965)), set(range(965, 1624))]


@pytest.mark.skipif(not IMAGE_FILES.is_dir(), reason="the image files are not in ../shared/data")
def test_shrinking_real_drawings():
    packed = np.load(IMAGE_FILES / "omniglot" / "omniglot105.npz")["x"][::500]
    ink = np.unpackbits(packed, axis=1)[:, :11025].reshape(-1, 105, 105).astype(bool)
    x = np.load(IMAGE_FILES / "omniglot" / "omniglot28.npz")["x"][::500]
    assert all(np.array_equal(readers.shrink(a), b) for a, b in zip(ink, x, strict=True))
