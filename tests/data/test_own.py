"""Images of one's own: every form of a file gives the same images, what is none is refused, and nothing in it runs."""

import numpy as np
import pytest
import torch
from PIL import Image

from bench.config.identity import identity
from bench.config.prepare import prepare
from bench.errors import BadInput, DataError
from tests.support.bad_files import Code
from tests.support.composed import resolved
from tests.support.own_images import load_own

SHAPE = (3, 6, 5)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)


def write_pngs(folder, images, mode="RGB"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i:03d}.png")


def test_every_form_holds_the_same_images(tmp_path, images):
    train, test = images[:8], images[8:]
    channels_last = {"train": train.transpose(0, 2, 3, 1), "test": test.transpose(0, 2, 3, 1)}
    np.savez(tmp_path / "first.npz", train=train, test=test, labels=np.arange(8))
    np.savez_compressed(tmp_path / "last.npz", **channels_last)
    torch.save({"train": torch.tensor(train), "test": torch.tensor(test), "note": "mine"}, tmp_path / "tensors.pt")
    np.savez(tmp_path / "reals.npz", train=train / 255, test=test / 255)
    write_pngs(tmp_path / "pngs" / "train", train)
    write_pngs(tmp_path / "pngs" / "test" / "deeper", test)
    (tmp_path / "pngs" / "train" / "._000.png").write_bytes(b"of another system")
    for name in ("first.npz", "last.npz", "tensors.pt", "reals.npz", "pngs"):
        data = load_own(tmp_path / name)
        assert (data.shape, data.valid, data.levels) == (SHAPE, None, None if name == "reals.npz" else 255), name
        torch.testing.assert_close(data.train, torch.tensor(train).flatten(1).double() / 255, rtol=0, atol=1e-15)
        torch.testing.assert_close(data.test, torch.tensor(test).flatten(1).double() / 255, rtol=0, atol=1e-15)
        torch.testing.assert_close(data.mean, data.train.mean(0), rtol=1e-12, atol=0)


def test_validation_is_what_train_size_takes_from(tmp_path, images):
    np.savez(tmp_path / "x.npz", train=images[:6], validation=images[6:9], test=images[9:])
    data, more = load_own(tmp_path / "x.npz"), load_own(tmp_path / "x.npz", train_size=8)
    assert [len(x) for x in data.splits.values()] == [6, 3, 3]
    assert [len(x) for x in more.splits.values()] == [8, 1, 3]
    assert torch.equal(more.train[6:], data.valid[:2])


def test_a_type_that_numpy_lacks_is_read_too(tmp_path, images):
    halves = torch.tensor(images / 255.0).bfloat16()
    torch.save(halves, tmp_path / "x.pt")
    torch.save(halves.float(), tmp_path / "y.pt")
    assert torch.equal(load_own(tmp_path / "x.pt").train, load_own(tmp_path / "y.pt").train)


def test_what_is_not_split_is_split_by_the_seed_of_the_split(tmp_path, images):
    np.save(tmp_path / "x.npy", images)
    torch.save(torch.tensor(images), tmp_path / "x.pt")
    write_pngs(tmp_path / "pngs" / "a", images[:5])
    write_pngs(tmp_path / "pngs" / "b", images[5:])
    found = [load_own(tmp_path / name) for name in ("x.npy", "x.pt", "pngs")]
    other = load_own(tmp_path / "x.npy", split_seed=1)
    for data in found:
        assert (len(data.train), len(data.test)) == (9, 3)
        assert torch.equal(data.train, found[0].train)
        everything = torch.cat([data.train, data.test]) * 255
        assert sorted(everything.sum(1).tolist()) == sorted(images.reshape(12, -1).sum(1).astype(float).tolist())
    assert not torch.equal(other.test, found[0].test)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA"])
def test_pictures_of_every_kind(tmp_path, images, mode):
    write_pngs(tmp_path, images, mode)
    channels = {"1": 1, "L": 1, "P": 3, "RGBA": 4, "LA": 2}[mode]
    data = load_own(tmp_path)
    assert data.shape == (channels, *SHAPE[1:])
    assert mode != "1" or set(data.train.unique().tolist()) == {0, 1}
    if mode in ("LA", "RGBA"):
        assert bool((data.train.unflatten(1, data.shape)[:, -1] == 1).all())  # opaque


def test_grey_bool_and_many_channels(tmp_path, images):
    np.save(tmp_path / "grey.npy", images[:, 0])
    np.save(tmp_path / "bool.npy", images[:, 0] > 99)
    np.save(tmp_path / "many.npy", images.repeat(4, axis=1))
    assert load_own(tmp_path / "grey.npy").shape == (1, 6, 5)
    binary = load_own(tmp_path / "bool.npy")
    assert (binary.levels, set(binary.train.unique().tolist())) == (1, {0, 1})
    with pytest.raises(DataError, match=r"\[12, 12, 6, 5\], of which axis 1 or axis 3 may be the channels"):
        load_own(tmp_path / "many.npy")
    assert load_own(tmp_path / "many.npy", layout="nchw").shape == (12, 6, 5)
    assert load_own(tmp_path / "many.npy", layout="nhwc").shape == (5, 12, 6)
    np.savez(tmp_path / "one_to_test.npz", train=images[1:], test=images[:1])
    assert len(load_own(tmp_path / "one_to_test.npz").test) == 1
    np.save(tmp_path / "levels.npy", images % 17)
    assert float(load_own(tmp_path / "levels.npy", levels=16).train.max()) == 1


BROKEN = {
    "a NaN": (lambda x: np.where(x == x.max(), np.nan, x / 255), "holds a NaN or an infinity"),
    "an infinity": (lambda x: np.where(x == x.max(), np.inf, x / 255), "holds a NaN or an infinity"),
    "too high": (lambda x: x / 254, "must be from 0 to 1"),
    "too low": (lambda x: x / 255 - 0.1, "must be from 0 to 1"),
    "complex": (lambda x: x * 1j, "holds complex128"),
    "text": (lambda x: x.astype(str), "holds <U3"),
    "five axes": (lambda x: x[None], r"has the shape \[1, 12, 3, 6, 5\]"),
    "no image": (lambda x: x[:0], r"is empty, of shape \[0, 3, 6, 5\]"),
    "no pixel": (lambda x: x[:, :, :0], r"is empty, of shape \[12, 3, 0, 5\]"),
    "one image": (lambda x: x[:1], "holds one image; there must be two at least"),
}


@pytest.mark.parametrize(
    ("case", "split"), [(c, s) for c in BROKEN for s in ("train", "test") if (c, s) != ("one image", "test")]
)
def test_what_is_no_image_is_refused(tmp_path, images, case, split):
    make, said = BROKEN[case]
    arrays = {"train": make(images)} if split == "train" else {"train": images / 255.0, "test": make(images)}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=said) as error:
        load_own(tmp_path / "x.npz")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("form", ["npz", "npy", "pt", "png"])
def test_a_torn_file_is_refused_wherever_it_is_torn(tmp_path, images, form):
    if form == "npz":
        np.savez_compressed(tmp_path / "x.npz", train=images, test=images)
    elif form == "npy":
        np.save(tmp_path / "x.npy", images)
    elif form == "pt":
        torch.save(torch.tensor(images), tmp_path / "x.pt")
    else:
        write_pngs(tmp_path / "x.png", images[:1])
    file = tmp_path / "x.png" / "000.png" if form == "png" else tmp_path / f"x.{form}"
    whole = file.read_bytes()
    for cut in range(0, len(whole) - 20, max(1, len(whole) // 12)):  # what ends a PNG is no pixel
        file.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"is damaged|cannot be read as a PNG") as error:
            load_own(tmp_path / f"x.{form}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["npz", "npy", "pt"])
def test_nothing_that_a_file_holds_is_run(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    if form == "npz":
        np.savez("x.npz", train=np.array([Code()], dtype=object))
    elif form == "npy":
        np.save("x.npy", np.array([Code()], dtype=object))
    else:
        torch.save(Code(), "x.pt")
    with pytest.raises(DataError, match="not read since they may run code"):
        load_own(tmp_path / f"x.{form}")
    assert not (tmp_path / "owned").exists()


def asked(path, *more: str) -> dict:
    return prepare(resolved("device=cpu", "data=file", f"data.path={path}", *more))


@pytest.mark.parametrize("form", ["x.npy", "pngs"])
def test_the_identity_is_of_the_content_and_not_of_the_place(tmp_path, images, form):
    def write(folder, x):
        folder.mkdir(exist_ok=True)
        np.save(folder / "x.npy", x) if form == "x.npy" else write_pngs(folder / "pngs", x)
        return folder / form

    one, moved = write(tmp_path / "a", images), write(tmp_path / "b", images)
    first, second = asked(one), asked(moved)
    assert first["data"]["digest"] == second["data"]["digest"] != ""
    assert identity(first) == identity(second) == identity(asked(moved, f"data.digest={first['data']['digest']}"))
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1  # the size stays
    write(tmp_path / "a", changed)
    assert identity(asked(one)) != identity(first)
    with pytest.raises(DataError, match=r"has changed: SHA-256 .* start the command anew"):
        load_own(one, digest=first["data"]["digest"])
    with pytest.raises(BadInput, match=r"data\.digest=.* is not that of data\.path="):
        asked(one, f"data.digest={first['data']['digest']}")
    if form == "pngs":
        write(tmp_path / "a", images)
        (one / "011.png").rename(one / "012.png")  # names decide the order
        assert identity(asked(one)) != identity(first)
