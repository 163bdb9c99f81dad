"""Small data without files: the built-in digits, and a ramp whose images and pixels are told apart by their grey."""

import torch

from bench.data.datasets import Data, load_dataset


def digits(binarisation="dynamic", train_size=None, dtype=torch.float32, seed=0):
    return load_dataset("digits", "data", binarisation, train_size, download=False, dtype=dtype, seed=seed)


def ramp(n=10, pixels=6, binarisation="none"):
    """Data whose grey levels tell which image and which pixel they belong to."""
    x = torch.linspace(0.05, 0.95, n * pixels).reshape(n, pixels)
    return Data("ramp", binarisation, (1, 1, pixels), x, None, x[:4], x.mean(0))
