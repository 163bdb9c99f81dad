"""Failures that have a remedy."""

import torch


def out_of_memory(error: BaseException) -> str | None:
    """The sentence for an error that says so, in the words of Python, of PyTorch's CPU allocator or of CUDA; or None.

    Cached blocks are given back, so that the next run of the process has them.
    """
    words = str(error)
    gpu = isinstance(error, torch.OutOfMemoryError)
    cpu = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in words)
    if not gpu and not cpu:
        return None
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return (
        f"Out of memory of the {'GPU' if gpu else 'machine'}: lower train.batch_size, measure.memory, "
        "evaluate.examples or evaluate.samples, or the samples of the estimator."
    )
