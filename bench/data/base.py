"""Images that a package or a module of one's own makes or reads, as an option of `data`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from bench.data.own import SPLITS, Stored, checked
from bench.errors import DataError


class Dataset(ABC):
    """Images by a class: the arguments of its constructor are the keys of the option.

    The suite splits them where they are not split, makes them binary and takes batches of them, as of a file.

    Attributes:
        levels: the highest value of whole numbers; None: 255. Real numbers are from 0 to 1.
        test_size: what share of the images is for testing where `arrays` has no `test`.
        split_seed: which.
    """

    levels: ClassVar[int | None] = None
    test_size: ClassVar[float] = 0.1
    split_seed: ClassVar[int] = 0

    @abstractmethod
    def arrays(self) -> Mapping[str, Any]:
        """`train`, and `test` and `validation` where there are such: each an array or a tensor `[N, H, W]` or
        `[N, C, H, W]` of uint8, bool or real numbers. The same ones at every call."""

    def stored(self) -> Stored:
        """The checked splits. DataError where `arrays` gives no images."""
        name = type(self).__name__
        held = self.arrays()
        if not isinstance(held, Mapping) or "train" not in held or not {*held} <= {*SPLITS}:
            said = f"a {type(held).__name__}" if not isinstance(held, Mapping) else ", ".join(map(str, held)) or "none"
            raise DataError(f"arrays() of {name} has to give train, and may give test and validation; it gives {said}.")
        arrays = {split: _array(f"{name} ({split})", array) for split, array in held.items()}
        return checked(name, arrays, "nchw", self.levels, self.test_size, self.split_seed)


def _array(what: str, held: Any) -> np.ndarray:
    found = held.detach().cpu().numpy() if isinstance(held, Tensor) else held
    if not isinstance(found, np.ndarray):
        raise DataError(f"{what} has to be an array or a tensor; it is a {type(held).__name__}.")
    return found
