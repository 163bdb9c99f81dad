"""A setting of the C library's heap, with which freed memory is used again without page faults."""

from functools import cache

import torch

LARGEST = 31 * 2**20  # bytes; glibc does not raise its thresholds to blocks of 32 MiB


@cache
def keep_freed_blocks() -> None:
    """Make glibc keep freed blocks for the next allocation, from now on. Another C library is not affected.

    glibc returns a large block to the system when it is freed, so that each new one costs a page fault every 4 KiB: a
    fifth of the time of gradient draws on a CPU. glibc takes as large what exceeds the largest block freed so far. This
    function frees a large block that was never written. At most twice its size stays with the process.
    """
    torch.empty(LARGEST, dtype=torch.uint8)
