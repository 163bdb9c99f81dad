"""Streams of random numbers: each belongs to one seed and one purpose, and none disturbs another."""

import hashlib
from contextlib import contextmanager

import torch


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose stream belongs to this seed and this purpose alone."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)  # seeds have 63 bits


@contextmanager
def own_stream(seed: int):
    """Noise of one's own inside; the surrounding random streams go on as if nothing had happened."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
