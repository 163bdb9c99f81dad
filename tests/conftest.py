"""Every test: one thread, a fixed seed, hypothesis without clocks or chance. CUDA tests need CUDA, or are skipped."""

import signal

import pytest
import torch
from hypothesis import settings

from bench.data import download

settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
settings.load_profile("fixed")
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs, and what they start, ignore it


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        no_cuda = pytest.mark.skip(reason="needs CUDA")
        for item in items:
            if item.get_closest_marker("gpu"):  # the room of that name is a keyword too
                item.add_marker(no_cuda)


@pytest.fixture(autouse=True)
def _seed():
    """No test depends on which ones ran before it, or on which worker."""
    torch.manual_seed(0)


@pytest.fixture
def no_network(monkeypatch):
    """No test of downloads leaves this machine, whatever proxies it has."""
    for name in download.HOMES:
        monkeypatch.setitem(download.HOMES, name, [])
    monkeypatch.setenv("no_proxy", "*")
