"""Images of one's own, read as a data set."""

import torch

from bench.data.datasets import Data, load_dataset


def load_own(path, binarisation="none", train_size=None, dequantise=False, dtype=torch.float64, **more) -> Data:
    own = {"layout": "auto", "levels": None, "test_size": 0.25, "split_seed": 0, "digest": None} | more
    return load_dataset(
        "file", "/", binarisation, train_size, False, dtype=dtype, dequantise=dequantise, path=str(path), **own
    )
