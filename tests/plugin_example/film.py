"""A model that was written without the suite's networks: it takes images, and any of the suite's latents."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from estimators import Latent


class Film(nn.Module):
    """An encoder with a convolution, and a decoder whose hidden units are scaled and shifted by z.

    Args:
        shape: (channels, height, width) of an image; the suite gives it.
        latent: what q is made of; the suite gives it.
        width: hidden units.
    """

    def __init__(self, shape, latent, width: int = 16):
        super().__init__()
        channels, height, width_of_image = shape
        pixels = channels * height * width_of_image
        self.latent, self.shape = latent, shape
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 2, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * pixels // channels, latent.outputs),
        )
        self.basis = nn.Parameter(torch.linspace(-1, 1, width))
        self.scale, self.shift = nn.Linear(latent.inputs, width), nn.Linear(latent.inputs, width)
        self.out = nn.Linear(width, pixels)

    def encode(self, x: Tensor) -> Latent:
        return self.latent(self.encoder(x))

    def mean_images(self, z: Tensor) -> Tensor:
        return self._logits(z).sigmoid()

    def _logits(self, z: Tensor) -> Tensor:
        read = self.latent.read(z)  # [K, B, inputs]
        hidden = torch.tanh(self.basis * self.scale(read) + self.shift(read))
        return self.out(hidden)  # [K, B, pixels]

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        logits = self._logits(z)
        x = x.flatten(1).expand_as(logits)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
