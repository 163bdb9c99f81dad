"""A variational autoencoder as somebody else wrote it, before she knew of this suite: none of its names are ours."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Bernoulli, kl_divergence


class DiscreteVAE(nn.Module):
    """Binary images of `side` x `side` pixels, a code of `n_bits` bits."""

    def __init__(self, side=4, n_bits=6, width=20):
        super().__init__()
        self.side, self.n_bits = side, n_bits
        n_pixels = side * side
        self.fc1 = nn.Linear(n_pixels, width)
        self.fc2 = nn.Linear(width, width)
        self.to_code = nn.Linear(width, n_bits)
        self.fc3 = nn.Linear(n_bits, width)
        self.fc4 = nn.Linear(width, width)
        self.to_pixels = nn.Linear(width, n_pixels)
        self.act = nn.ReLU(inplace=True)

    def recognise(self, images):
        h = images.view(images.size(0), -1)
        h = self.act(self.fc1(h))
        h = self.act(self.fc2(h))
        return self.to_code(h)

    def generate(self, code):
        h = self.act(self.fc3(code))
        h = self.act(self.fc4(h))
        return self.to_pixels(h).view(-1, 1, self.side, self.side)

    def forward(self, images, temperature=0.5):
        logits = self.recognise(images)
        noise = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
        relaxed = torch.sigmoid((logits + noise.log() - (-noise).log1p()) / temperature)
        return self.generate(relaxed), logits

    def loss(self, images):
        reconstruction, logits = self(images)
        nll = F.binary_cross_entropy_with_logits(reconstruction, images, reduction="none").sum((1, 2, 3))
        prior = Bernoulli(logits=torch.zeros_like(logits))
        kl = kl_divergence(Bernoulli(logits=logits), prior).sum(-1)
        return (nll + kl).mean()


def train_epoch(model, loader, optimiser):
    model.train()
    total = 0.0
    for images in loader:
        optimiser.zero_grad()
        loss = model.loss(images)
        loss.backward()
        optimiser.step()
        total += loss.item()
    return total / max(len(loader), 1)
