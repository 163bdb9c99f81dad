"""The C library's heap, which decides whether memory that was freed a moment ago is at hand."""

from functools import cache

import torch

LARGEST = 31 * 2**20  # bytes; glibc does not raise its thresholds to blocks of 32 MiB


@cache
def keep_freed_blocks() -> None:
    """From now on, keep what is freed for the next allocation, where the C library is glibc; elsewhere, nothing.

    glibc hands large blocks back to the system when they are freed, and each new one then costs a page fault every
    4 KiB: a fifth of the time of gradient draws on a processor. What is large it learns from the largest block freed
    so far. This frees one, of memory that was never touched; twice its size at most stays with the process.
    """
    torch.empty(LARGEST, dtype=torch.uint8)
