"""Finding, checking and fetching the files of a data set, on a small synthetic MNIST."""

import gzip
import io
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.data import datasets, download
from bench.data.splits import Facts
from tests.support.dataset_files import left, load_grey, refused, sha256, write

pytestmark = pytest.mark.usefixtures("no_network")
TRAIN, TEST = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"


def idx(images):
    header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">i4").tobytes()
    return gzip.compress(header + images.tobytes())


@pytest.fixture
def mnist(monkeypatch):
    """Thirty training and five test images in place of MNIST's: `files` by name, and the `images` in them."""
    images = np.random.default_rng(0).integers(0, 256, (35, 28, 28), dtype=np.uint8)
    files = {TRAIN: idx(images[:30]), TEST: idx(images[30:])}
    monkeypatch.setitem(download.FILES, "mnist", {name: sha256(raw) for name, raw in files.items()})
    monkeypatch.setitem(datasets.FACTS, "mnist", Facts((1, 28, 28), 255, 10))
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


# Files on disk


@pytest.mark.parametrize("folder", ["mnist", "."])
def test_files_are_found_in_the_folder_and_in_the_root(tmp_path, mnist, folder):
    write(tmp_path / folder, mnist.files)
    found = load_grey(tmp_path, fetch=False)
    pixels = torch.tensor(mnist.images.reshape(35, 784)) / 255
    assert [len(x) for x in found.splits.values()] == [20, 10, 5]
    assert torch.equal(torch.cat(list(found.splits.values())), pixels)


def test_the_folder_goes_before_the_root(tmp_path, mnist):
    write(tmp_path, {TRAIN: b"another data set's", TEST: b"files"})
    write(tmp_path / "mnist", mnist.files)
    load_grey(tmp_path, fetch=False)


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
    first = load_grey(root)
    assert {path.name: path.read_bytes() for path in (root / "mnist").iterdir()} == mnist.files
    monkeypatch.setitem(download.HOMES, "mnist", [])
    assert torch.equal(load_grey(root).train, first.train)


def test_only_what_is_missing_is_fetched(tmp_path, mnist, home):
    write(tmp_path / "data", {TRAIN: mnist.files[TRAIN]})
    (home / TRAIN).unlink()
    load_grey(tmp_path / "data")


def test_the_next_home_is_tried(tmp_path, mnist, home, serve, monkeypatch):
    wrong = serve(b"sorry", 5)
    absent = serve(b"", 0, status=404)
    monkeypatch.setitem(download.HOMES, "mnist", [absent, wrong, *download.HOMES["mnist"]])
    load_grey(tmp_path / "data")
    assert left(tmp_path / "data") == sorted(mnist.files)


def test_http(tmp_path, mnist, serve, monkeypatch):
    raw = mnist.files[TEST]
    write(tmp_path, {TRAIN: mnist.files[TRAIN]})
    monkeypatch.setitem(download.HOMES, "mnist", [serve(raw, len(raw))])
    load_grey(tmp_path)
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
        load_grey(tmp_path)
    assert any(name.endswith(".part") for name in seen)  # it was under way
    assert left(tmp_path) == []


def test_a_root_that_cannot_be_made(tmp_path, home):
    (tmp_path / "data").write_text("a file")
    refused(tmp_path / "data", tmp_path / "data" / "mnist", "set data.root")


def test_every_data_set_with_files_has_a_home_and_hashes():
    assert set(download.HOMES) == set(download.FOLDERS) == set(datasets.FACTS) - {"digits"}
    assert set(download.FILES) | set(download.ARRAYS) == set(download.HOMES)
    digests = [
        digest for table in (download.FILES, download.ARRAYS) for group in table.values() for digest in group.values()
    ]
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)
    assert len(set(digests)) == len(digests) == 14
