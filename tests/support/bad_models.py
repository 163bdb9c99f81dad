"""Models that miss the protocol of `bench.Model` by one thing each, for `bad_calls`."""

import torch
from torch import nn

from estimators import Bernoulli
from tests.support.own_models import Adopted


class NoLikelihood(nn.Module):
    """Half of the protocol."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(16, 6)

    def encode(self, x):
        return Bernoulli(self.enc(x.flatten(1)))


class MeanOverBatch(Adopted):
    def log_likelihood(self, x, z):
        return super().log_likelihood(x, z).mean(1, keepdim=True).expand(len(z), len(x))


class NextExample(Adopted):
    def log_likelihood(self, x, z):
        return super().log_likelihood(x.roll(1, 0), z)


class BatchOfOne(Adopted):
    def encode(self, x):
        return Bernoulli(self.recognise(x).mean(0, keepdim=True))


class MapOfBits(Adopted):
    def encode(self, x):
        return Bernoulli(self.recognise(x).unflatten(-1, (2, 3)))


class Centred(Adopted):
    def encode(self, x):
        return Bernoulli(self.recognise(x - x.mean(0)))


class Logits(Adopted):
    def encode(self, x):
        return self.recognise(x)


class Summed(Adopted):
    def log_likelihood(self, x, z):
        return super().log_likelihood(x, z).sum(0)


class BestPoint(Adopted):
    def log_likelihood(self, x, z):
        return super().log_likelihood(x, z).max(0, keepdim=True).values.expand(len(z), len(x))


class Noisy(Adopted):
    def log_likelihood(self, x, z):
        return nn.functional.dropout(super().log_likelihood(x, z), 0.5)


class Infinite(Adopted):
    def log_likelihood(self, x, z):
        return super().log_likelihood(x, z) / 0


class Skip(Adopted):
    def log_likelihood(self, x, z):
        return super().log_likelihood(x, z) + self.recognise(x).sum(-1)


class Constant(Adopted):
    def encode(self, x):
        return Bernoulli(self.recognise(x).detach())


class OtherPrior(Adopted):
    def prior(self):
        return Bernoulli(torch.ones(1, 6))

    def log_prior(self, z):
        return Bernoulli(torch.zeros(1, 6)).log_prob(z)


class Frozen(Adopted):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)
