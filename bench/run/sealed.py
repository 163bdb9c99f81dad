"""Tensors, numbers and text as bytes with a digest in front. Reading runs no code that the bytes may contain."""

import hashlib
import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch

DIGEST = 32  # bytes of a SHA-256


def sealed(content: Mapping[str, Any]) -> bytes:
    """The digest, followed by the content as PyTorch stores it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getvalue()
    return hashlib.sha256(payload).digest() + payload


def opened(stored: bytes) -> dict[str, Any]:
    """The content that `sealed` stored, on the CPU. A changed byte raises ValueError; the unpickler may raise too."""
    digest, payload = stored[:DIGEST], stored[DIGEST:]
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError("it is damaged")
    with warnings.catch_warnings(action="ignore"):  # PyTorch's warnings about another's file
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
