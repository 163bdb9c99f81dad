"""The images: five data sets, read, split and binarised, and the fixed ones on which a run is measured.

Every stream of random numbers has its own generator, derived from a seed and a purpose: the global random state is
neither read nor moved, and one seed does not make the probe batches the first training batches.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from bench.data.readers import read
from bench.errors import DataError
from bench.streams import generator

BINARISATIONS = ("dynamic", "static", "threshold", "none")


class Facts(NamedTuple):
    side: int  # images are side x side, one channel
    levels: int  # pixels are stored as 0..levels
    valid: int  # the last so many training images are the validation split


FACTS = {
    "digits": Facts(8, 16, 100),
    "mnist": Facts(28, 255, 10_000),
    "fashion_mnist": Facts(28, 255, 10_000),
    "static_mnist": Facts(28, 1, 10_000),
    "omniglot": Facts(28, 16, 1_920),  # the last 96 of the 964 background characters
}


@dataclass(frozen=True, eq=False)
class Data:
    """Images as rows of pixels in [0, 1]; binary already under static and threshold binarisation, else grey."""

    name: str
    binarisation: str
    shape: tuple[int, int, int]  # channels, height, width; X is their product
    train: Tensor  # [N, X]
    valid: Tensor | None  # [N, X]; None where train_size took all of it
    test: Tensor | None  # [N, X]; None where there is none
    mean: Tensor  # [X] of the training images before binarisation

    @property
    def splits(self) -> dict[str, Tensor]:
        """The splits that there are, by name."""
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
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
        return self.binarised(x, generator(seed, f"fixed {split}"))

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
        return self.binarised(self.train[chosen], noise)

    def binarised(self, x: Tensor, noise: torch.Generator) -> Tensor:
        """A Bernoulli draw with means `x` where binarisation is dynamic, else `x` itself."""
        if self.binarisation != "dynamic":
            return x
        # compared in float32, so that the draw does not depend on the dtype of x
        u = torch.rand(x.shape, generator=noise, device=noise.device, dtype=torch.float32)
        return (u.to(x.device) < x.float()).to(x.dtype)


def load_dataset(
    name: str,
    root: str | Path,
    binarisation: str,
    train_size: int | None,
    download: bool,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Data:
    """Read a data set, fetching its files if they are missing and `download` is true.

    Args:
        name: digits, mnist, fashion_mnist, static_mnist or omniglot.
        root: the folder under which files are looked for and put.
        binarisation: dynamic (kept grey here, drawn per batch), static (drawn once from `seed`), threshold (x > 0.5)
            or none (grey). All are the identity on static_mnist.
        train_size: the first so many images of train and validation together are train, and what is left of
            validation remains; None: all of train and none of validation.

    Raises:
        DataError: an argument is out of range; or a file is missing, is corrupt, or cannot be fetched.
    """
    if name not in FACTS:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(FACTS)}.")
    if binarisation not in BINARISATIONS:
        raise DataError(f"There is no binarisation {binarisation!r}; there are {', '.join(BINARISATIONS)}.")
    side, levels, valid = FACTS[name]
    training, test = (torch.tensor(x, device=device) for x in read(name, Path(root).expanduser(), download))
    cut = len(training) - valid
    n = cut if train_size is None else train_size
    if not 1 <= n <= len(training):
        raise DataError(
            f"data.train_size={n} is not possible: {name} has {cut} training images and {valid} for validation, "
            f"so it must be in 1..{len(training)}, or null for the {cut}."
        )

    noise = generator(seed, "static")

    def pixels(raw: Tensor) -> Tensor:
        """uint8 `[N, X]` in 0..levels to `[N, X]` in [0, 1]."""
        if binarisation == "static":
            u = torch.rand(raw.shape, generator=noise, dtype=torch.float32).to(device)
            return (u * levels < raw).to(dtype)
        grey = raw.to(dtype) / levels
        return (grey > 0.5).to(dtype) if binarisation == "threshold" else grey

    x = pixels(training)  # binarised whole, so that train_size does not change the draw of an image
    return Data(
        name=name,
        binarisation=binarisation,
        shape=(1, side, side),
        train=x[:n],
        valid=x[max(n, cut) :] if n < len(x) else None,
        test=pixels(test),
        mean=(training[:n].sum(0).double() / (n * levels)).to(dtype),  # exact: the sum is of integers
    )


def check_batch_size(data: Data, batch_size: int) -> None:
    """DataError unless 1 <= batch_size <= N."""
    if not 1 <= batch_size <= len(data.train):
        raise DataError(
            f"A batch of {batch_size} images is not possible: {data.name} has {len(data.train)} training images here, "
            f"so the batch size must be in 1..{len(data.train)}."
        )
