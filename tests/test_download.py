"""Finding, checking, fetching and deriving the files of the data sets, on small synthetic ones."""

import gzip
import hashlib
import io
import pickle
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench import data, download, readers

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TRAIN, TEST = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"


def sha256(raw):
    return hashlib.sha256(raw).hexdigest()


def idx(images):
    header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">i4").tobytes()
    return gzip.compress(header + images.tobytes())


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test leaves this machine, whatever proxies it has."""
    for name in download.HOMES:
        monkeypatch.setitem(download.HOMES, name, [])
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def mnist(monkeypatch):
    """Thirty training and five test images in place of MNIST's: `files` by name, and the `images` in them."""
    images = np.random.default_rng(0).integers(0, 256, (35, 28, 28), dtype=np.uint8)
    files = {TRAIN: idx(images[:30]), TEST: idx(images[30:])}
    monkeypatch.setitem(download.FILES, "mnist", {name: sha256(raw) for name, raw in files.items()})
    monkeypatch.setitem(data.FACTS, "mnist", data.Facts(28, 255, 10))
    return SimpleNamespace(files=files, images=images)


@pytest.fixture
def home(tmp_path, monkeypatch, mnist):
    """A folder that is MNIST's home on the web."""
    folder = tmp_path / "home"
    write(folder, mnist.files)
    monkeypatch.setitem(download.HOMES, "mnist", [folder.as_uri() + "/"])
    return folder


@pytest.fixture
def serve():
    """Serve a body over HTTP, announced as `length` bytes: serve(body, length) -> URL."""
    servers = []

    def start(body, length, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)


def load(root, name="mnist", fetch=True):
    return data.load(name, root, "none", None, fetch)


def refused(root, *parts, name="mnist", fetch=True):
    """The message of the DataError, which is one sentence with `parts` in it."""
    with pytest.raises(download.DataError) as error:
        load(root, name, fetch)
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message
    for part in parts:
        assert str(part) in message
    return message


def left(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


# Files on disk


@pytest.mark.parametrize("folder", ["mnist", "."])
def test_files_are_found_in_the_folder_and_in_the_root(tmp_path, mnist, folder):
    write(tmp_path / folder, mnist.files)
    found = load(tmp_path, fetch=False)
    pixels = torch.tensor(mnist.images.reshape(35, 784)) / 255
    assert [len(x) for x in found.splits.values()] == [20, 10, 5]
    assert torch.equal(torch.cat(list(found.splits.values())), pixels)


def test_the_folder_goes_before_the_root(tmp_path, mnist):
    write(tmp_path, {TRAIN: b"another data set's", TEST: b"files"})
    write(tmp_path / "mnist", mnist.files)
    load(tmp_path, fetch=False)


def test_a_corrupt_file_is_refused_and_kept(tmp_path, mnist, home):
    root = tmp_path / "data"
    corrupt = mnist.files[TRAIN][:-1]
    write(root / "mnist", mnist.files | {TRAIN: corrupt})
    expected = download.FILES["mnist"][TRAIN]
    refused(root, root / "mnist" / TRAIN, expected, sha256(corrupt), "delete it")
    assert (root / "mnist" / TRAIN).read_bytes() == corrupt


def test_a_missing_file_is_not_fetched_unasked(tmp_path, home):
    root = tmp_path / "data"
    refused(root, TRAIN, root / "mnist", "data.download=true", fetch=False)
    assert not root.exists()


# Fetching


def test_missing_files_are_fetched_once(tmp_path, mnist, home, monkeypatch):
    root = tmp_path / "data"
    first = load(root)
    assert {path.name: path.read_bytes() for path in (root / "mnist").iterdir()} == mnist.files
    monkeypatch.setitem(download.HOMES, "mnist", [])
    assert torch.equal(load(root).train, first.train)


def test_only_what_is_missing_is_fetched(tmp_path, mnist, home):
    write(tmp_path / "data", {TRAIN: mnist.files[TRAIN]})
    (home / TRAIN).unlink()
    load(tmp_path / "data")


def test_the_next_home_is_tried(tmp_path, mnist, home, serve, monkeypatch):
    wrong = serve(b"sorry", 5)
    absent = serve(b"", 0, status=404)
    monkeypatch.setitem(download.HOMES, "mnist", [absent, wrong, *download.HOMES["mnist"]])
    load(tmp_path / "data")
    assert left(tmp_path / "data") == sorted(mnist.files)


def test_http(tmp_path, mnist, serve, monkeypatch):
    raw = mnist.files[TEST]
    write(tmp_path, {TRAIN: mnist.files[TRAIN]})
    monkeypatch.setitem(download.HOMES, "mnist", [serve(raw, len(raw))])
    load(tmp_path)
    assert (tmp_path / "mnist" / TEST).read_bytes() == raw


def test_no_network(tmp_path, mnist, serve, monkeypatch):
    url = "http://127.0.0.1:9/"  # nothing listens there
    monkeypatch.setitem(download.HOMES, "mnist", [url])
    refused(tmp_path, TRAIN, url, "could not be fetched", f"put it in {tmp_path / 'mnist'}")
    assert left(tmp_path) == []


def test_a_wrong_file_at_the_home_leaves_nothing(tmp_path, mnist, home):
    (home / TRAIN).write_bytes(b"a page that says sorry")
    root = tmp_path / "data"
    refused(root, TRAIN, download.FILES["mnist"][TRAIN], sha256(b"a page that says sorry"))
    assert left(root) == []


def test_a_broken_connection_leaves_nothing(tmp_path, mnist, serve, monkeypatch):
    raw = mnist.files[TRAIN]
    monkeypatch.setitem(download.HOMES, "mnist", [serve(raw[:100], len(raw))])
    refused(tmp_path, TRAIN, f"100 of {len(raw)} bytes came")
    assert left(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, mnist, monkeypatch):
    seen = []

    class Response(io.BytesIO):
        headers = {"Content-Length": "1000"}

        def read(self, size):
            seen.extend(left(tmp_path))
            if seen and self.tell():
                raise KeyboardInterrupt
            return super().read(100)

    monkeypatch.setitem(download.HOMES, "mnist", ["http://home/"])
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: Response(mnist.files[TRAIN]))
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path)
    assert any(name.endswith(".part") for name in seen)  # it was under way
    assert left(tmp_path) == []


def test_a_root_that_cannot_be_made(tmp_path, home):
    (tmp_path / "data").write_text("a file")
    refused(tmp_path / "data", tmp_path / "data" / "mnist", "set data.root")


def test_every_data_set_with_files_has_a_home_and_hashes():
    assert set(download.HOMES) == set(download.FOLDERS) == set(data.FACTS) - {"digits"}
    assert set(download.FILES) | set(download.ARRAYS) == set(download.HOMES)
    digests = [
        digest for table in (download.FILES, download.ARRAYS) for group in table.values() for digest in group.values()
    ]
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)
    assert len(set(digests)) == len(digests) == 11


# Static MNIST: npz or amat


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
    monkeypatch.setitem(data.FACTS, "static_mnist", data.Facts(28, 1, 3))
    return SimpleNamespace(bits=bits, text=text, npz={"binarized_mnist.npz": npz.getvalue()})


@pytest.mark.parametrize("form", ["text", "npz"])
@pytest.mark.parametrize("folder", ["binarized-mnist", "."])
def test_static_mnist_is_read_in_both_forms(tmp_path, static, form, folder):
    write(tmp_path / folder, getattr(static, form))
    found = load(tmp_path, "static_mnist", fetch=False)
    for split, x in static.bits.items():
        assert torch.equal(found.splits[split], torch.tensor(x).float())


@pytest.mark.parametrize("binarisation", data.BINARISATIONS)
def test_static_mnist_is_the_same_under_every_binarisation(tmp_path, static, binarisation):
    write(tmp_path, static.npz)
    found = data.load("static_mnist", tmp_path, binarisation, None, False)
    assert torch.equal(found.test, torch.tensor(static.bits["test"]).float())
    assert torch.equal(found.fixed("train", None, seed=0), torch.tensor(static.bits["train"]).float())
    batches = data.Batches(found, 6, seed=0)
    ones = torch.tensor(static.bits["train"]).float().sum(0)
    assert all(torch.equal(next(batches).sum(0), ones) for _ in range(5))


def test_static_mnist_is_fetched_as_text(tmp_path, static, monkeypatch):
    write(tmp_path / "home", static.text)
    monkeypatch.setitem(download.HOMES, "static_mnist", [(tmp_path / "home").as_uri() + "/"])
    load(tmp_path / "data", "static_mnist")
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


# Omniglot: derived from the original zip files


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
    cut = len(train) - data.FACTS["omniglot"].valid
    splits = [set((part[:, 0] + 1).tolist()) for part in (train[:cut], train[cut:], test)]
    assert splits == [set(range(1, 869)), set(range(869, 965)), set(range(965, 1624))]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the image files are not in ../shared/data")
def test_shrinking_real_drawings():
    packed = np.load(SHARED / "omniglot" / "omniglot105.npz")["x"][::500]
    ink = np.unpackbits(packed, axis=1)[:, :11025].reshape(-1, 105, 105).astype(bool)
    x = np.load(SHARED / "omniglot" / "omniglot28.npz")["x"][::500]
    assert all(np.array_equal(readers.shrink(a), b) for a, b in zip(ink, x, strict=True))
