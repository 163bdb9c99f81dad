"""The images, split and binarised, and the fixed ones on which a run is measured.

Every stream of random numbers has its own generator, derived from a seed and a purpose: the global random state is
neither read nor moved, and one seed does not make the probe batches the first training batches.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.data.own import Stored
from bench.data.splits import DRAWN, FACTS, OWN, read_splits
from bench.errors import DataError
from bench.streams import generator

BINARISATIONS = ("dynamic", "static", "threshold", "none")


@dataclass(frozen=True, eq=False)
class Data:
    """Images as rows of pixels in [0, 1]; binary already under static and threshold binarisation, else grey.

    The rows of images with channels are the channels one after another.
    """

    name: str
    binarisation: str
    shape: tuple[int, int, int]  # channels, height, width; X is their product
    train: Tensor  # [N, X]
    valid: Tensor | None  # [N, X]; None where train_size took all of it
    test: Tensor | None  # [N, X]; None where there is none
    mean: Tensor  # [X] of the training images before binarisation
    levels: int | None = None  # a pixel is a whole number 0..levels over levels; None: any number from 0 to 1
    dequantise: bool = False  # whether a batch has uniform noise of one level added

    @property
    def splits(self) -> dict[str, Tensor]:
        """The splits that there are, by name."""
        splits = {"train": self.train, "validation": self.valid, "test": self.test}
        return {name: x for name, x in splits.items() if x is not None}

    def fixed(self, split: str, n: int | None, seed: int) -> Tensor:
        """Images `[min(n, N), X]` of a split for evaluation: always the same ones, in the same binarisation.

        They are spread evenly over the split, whose files are sorted by writer or alphabet. `n` None: all.

        Raises:
            DataError: there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"{self.name} has no {split!r} images here; its splits are {', '.join(self.splits)}.")
        x = self.splits[split]
        if n is not None and n < len(x):
            x = x[torch.arange(n, device=x.device) * len(x) // n]
        return self.with_noise(x, generator(seed, f"fixed {split}"))

    def probe(self, batches: int, batch_size: int, seed: int) -> Tensor:
        """Fixed batches `[batches, batch_size, X]` of training images, on which gradients are measured.

        Each is drawn like a training batch, without replacement and independently of the others, so that the
        variance over batches is that of training.

        Raises:
            DataError: batch_size is not in 1..N.
        """
        check_batch_size(self, batch_size)
        noise = generator(seed, "probe")
        order = torch.stack([torch.randperm(len(self.train), generator=noise)[:batch_size] for _ in range(batches)])
        return self.batch(order.to(self.train.device), noise)

    def batch(self, chosen: Tensor, noise: torch.Generator) -> Tensor:
        """Training images `[..., B, X]` of these indices `[..., B]`."""
        return self.with_noise(self.train[chosen], noise)

    @property
    def noisy(self) -> bool:
        """Whether every batch has noise of its own."""
        return self.binarisation == "dynamic" or self.dequantise

    @property
    def level_bits(self) -> float:
        """What a density loses per pixel where it is to be a probability of levels: their width is 2 to minus this."""
        return math.log2(self.levels + 1) if self.dequantise and self.levels else 0.0

    def with_noise(self, x: Tensor, noise: torch.Generator) -> Tensor:
        """What `realised` makes of grey images `x`, or `x` itself where batches have no noise."""
        if not self.noisy:
            return x
        u = torch.rand(x.shape, generator=noise, device=noise.device, dtype=torch.float32)
        return self.realised(x, u.to(x.device))

    def realised(self, x: Tensor, u: Tensor) -> Tensor:
        """A Bernoulli draw with means `x` where binarisation is dynamic, else the level v of `x` and `u`,
        uniform in float32, within it: (v + u) / (levels + 1)."""
        if self.binarisation == "dynamic":
            return (u < x.float()).to(x.dtype)  # in float32, so that the draw does not depend on the dtype of x
        assert self.levels is not None
        return ((x * self.levels).round() + u.to(x.dtype)) / (self.levels + 1)


def load_dataset(
    name: str,
    root: str | Path,
    binarisation: str,
    train_size: int | None,
    download: bool,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    dequantise: bool = False,
    **own: Any,
) -> Data:
    """What `made_of` makes of a data set, whose files are fetched if they are missing and `download` is true.

    Args:
        name: of `FACTS` or `DRAWN`, or file.
        root: the folder under which files are looked for and put.
        own: of file, `path` below `root` and the arguments of `read_own`; of `DRAWN`, how many and what of.

    Raises DataError where an argument is out of range, or a file is missing, is corrupt, or cannot be fetched.
    """
    if name not in (names := (*FACTS, *DRAWN, OWN)):
        raise DataError(f"There is no data set {name!r}; there are {', '.join(names)}.")
    stored, name = read_splits(name, Path(root).expanduser(), download, own), own.get("path", name)
    return made_of(stored, name, binarisation, train_size, device, dtype, seed, dequantise)


def made_of(
    stored: Stored,
    name: str,
    binarisation: str,
    train_size: int | None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    dequantise: bool = False,
) -> Data:
    """The data that these splits become. Raises DataError where an argument is out of range.

    Args:
        binarisation: dynamic (kept grey here, drawn per batch), static (drawn once from `seed`), threshold (x > 0.5)
            or none (grey). All are the identity on static_mnist.
        train_size: the first so many images of train and validation together are train, and what is left of
            validation remains; None: all of train and none of validation.
        dequantise: whether batches have uniform noise of one level added.
    """
    if binarisation not in BINARISATIONS:
        raise DataError(f"There is no binarisation {binarisation!r}; there are {', '.join(BINARISATIONS)}.")
    shape, levels, valid = stored.train.shape[1:], stored.levels, 0 if stored.valid is None else len(stored.valid)
    splits = (x for x in (stored.train, stored.valid) if x is not None)
    training, test = (torch.tensor(x, device=device).flatten(1) for x in (np.concatenate([*splits]), stored.test))
    cut = len(training) - valid
    if dequantise and not levels:
        raise DataError(f"data.dequantise=true is of whole-number images, and {name} holds real numbers.")
    n = cut if train_size is None else train_size
    if not 1 <= n <= len(training):
        raise DataError(
            f"data.train_size={n} is not possible: {name} has {cut} training images and {valid} for validation, "
            f"so it must be in 1..{len(training)}, or null for the {cut}."
        )

    noise = generator(seed, "static")

    def pixels(raw: Tensor) -> Tensor:
        """`[N, X]` in 0..levels to `[N, X]` in [0, 1]."""
        if binarisation == "static":
            u = torch.rand(raw.shape, generator=noise, dtype=torch.float32).to(device)
            return (u * (levels or 1) < raw).to(dtype)
        grey = raw.to(dtype) / (levels or 1)
        return (grey > 0.5).to(dtype) if binarisation == "threshold" else grey

    x = pixels(training)  # binarised whole, so that train_size does not change the draw of an image
    total = training[:n].sum(0, dtype=torch.int64 if levels else torch.float64)  # exact where it is of integers
    mean = total.double() / (n * (levels or 1))
    return Data(
        name=name,
        binarisation=binarisation,
        shape=shape,
        train=x[:n],
        valid=x[max(n, cut) :] if max(n, cut) < len(x) else None,
        test=pixels(test),
        mean=((mean * levels + 0.5) / (levels + 1) if dequantise and levels else mean).to(dtype),
        levels=levels if binarisation == "none" else 1,
        dequantise=dequantise,
    )


def check_batch_size(data: Data, batch_size: int) -> None:
    """DataError unless 1 <= batch_size <= N."""
    if not 1 <= batch_size <= len(data.train):
        raise DataError(
            f"A batch of {batch_size} images is not possible: {data.name} has {len(data.train)} training images here, "
            f"so the batch size must be in 1..{len(data.train)}."
        )
