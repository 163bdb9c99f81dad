"""Images of stripes: data that a program makes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from bench import Dataset


class Stripes(Dataset):
    """Bars across the image, each row or each column of pixels black or white by a coin.

    Args:
        side: of a square image, in pixels.
        n: images, a tenth of which are for testing.
    """

    def __init__(self, side: int = 6, n: int = 500):
        if min(side, n) < 2:
            raise ValueError(f"Stripes needs side and n of 2 or more; got side={side} and n={n}.")
        self.side, self.n = side, n

    def arrays(self) -> Mapping[str, Tensor]:
        noise = torch.Generator().manual_seed(0)
        bars = torch.rand(self.n, 1, self.side, generator=noise) < 0.5  # [N, 1, W]
        images = bars.expand(-1, self.side, -1)  # [N, H, W]
        upright = torch.rand(self.n, 1, 1, generator=noise) < 0.5
        return {"train": images.where(upright, images.mT)}
