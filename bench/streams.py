"""Streams of random numbers: each belongs to one seed and one purpose, and none disturbs another."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRAINING = "training"  # the purpose of the estimator's noise while a model is trained


def derived(seed: int, purpose: str) -> int:
    """The seed, of 63 bits, of the stream that belongs to this seed and this purpose alone.

    A hash, since PyTorch's generator of the CPU takes only the lowest 32 bits of a seed, and since neighbouring seeds
    and purposes must not meet.
    """
    return int.from_bytes(hashlib.sha256(f"{purpose} {seed}".encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose stream belongs to this seed and this purpose alone."""
    return torch.Generator(device).manual_seed(derived(seed, purpose))


@contextmanager
def own_stream(seed: int, purpose: str) -> Iterator[None]:
    """The stream of this seed and this purpose inside; the surrounding ones go on as if nothing had happened."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(derived(seed, purpose))
        yield
