"""Latent families that are right, and copies of them with one thing wrong."""

import math

import torch
from torch import Tensor

from estimators import Enumerable, Latent


class Laplace(Latent):
    """Independent Laplace variables, `params [..., B, 2D]`: means and log scales."""

    family = "laplace"

    @classmethod
    def sizes(cls, dim: int = 3):
        return (2 * dim,), dim

    def __init__(self, params: Tensor):
        super().__init__(params)
        self.mean, self.log_scale = params.chunk(2, -1)

    def noise(self, k: int) -> Tensor:
        u = torch.rand(k, *self.mean.shape, dtype=self.mean.dtype) - 0.5
        return u.sign() * torch.log1p(-2 * u.abs())

    def rsample(self, k: int) -> Tensor:
        return self.mean - self.log_scale.exp() * self.noise(k)

    def sample(self, k: int) -> Tensor:
        return self.rsample(k).detach()

    def log_prob(self, z: Tensor) -> Tensor:
        return (-((z - self.mean) * (-self.log_scale).exp()).abs() - self.log_scale - math.log(2)).sum(-1)

    def standard(self):
        return type(self)(torch.zeros_like(self.params[..., :1, :]))

    def kl(self, prior=None):
        prior = prior or self.standard()
        far, ratio = (self.mean - prior.mean).abs(), self.log_scale - prior.log_scale
        inner = self.log_scale.exp() * (-far * (-self.log_scale).exp()).exp() + far
        return (inner * (-prior.log_scale).exp() - ratio - 1).sum(-1)


class Die(Enumerable):
    """One of `faces`, at a temperature that is an argument of its own, `params [..., B, F]`. z is its number."""

    family = "die"

    @classmethod
    def sizes(cls, faces: int = 6, temperature: float = 0.5):
        return (faces,), 1

    def __init__(self, params: Tensor, temperature: float):
        super().__init__(params)
        self.temperature = temperature

    def with_params(self, params):
        return type(self)(params, self.temperature)

    def log_probs(self):
        return (self.params / self.temperature).log_softmax(-1)

    @property
    def states(self):
        return self.params.shape[-1]

    def sample(self, k):
        noise = torch.rand(k, *self.params.shape, dtype=self.params.dtype).log().neg().log().neg()
        drawn = (self.log_probs().detach() + noise).argmax(-1, keepdim=True)
        return drawn.to(self.params.dtype)

    def log_prob(self, z):
        log_probs = self.log_probs()
        index = z[..., 0].long()
        shape = torch.broadcast_shapes(index.shape, (1, *log_probs.shape[:-1]))
        return log_probs.expand(*shape, -1).gather(-1, index.expand(shape).unsqueeze(-1))[..., 0]

    def score(self, z):
        chosen = torch.nn.functional.one_hot(z[..., 0].long(), self.states)
        return (chosen - self.log_probs().detach().exp()) / self.temperature

    def enumerate(self, start=0, stop=None):
        numbers = torch.arange(start, self.states if stop is None else stop, dtype=self.params.dtype)
        return numbers.view(-1, *[1] * len(self.batch_shape), 1)

    def standard(self):
        return self.with_params(torch.zeros_like(self.params[..., :1, :]))

    def kl(self, prior=None):
        log_p, log_prior = self.log_probs(), (prior or self.standard()).log_probs()
        return (log_p.exp() * (log_p - log_prior)).sum(-1)


class Unnormalised(Laplace):
    def log_prob(self, z):
        return super().log_prob(z) + 0.01


class Narrow(Laplace):
    """Its samples are."""

    def sample(self, k):
        return self.mean.detach() + 0.9 * (super().sample(k) - self.mean.detach())


class WrongKL(Laplace):
    def kl(self, prior=None):
        return super().kl(prior) * 1.01


class NoSlope(Laplace):
    def log_prob(self, z):
        return super().log_prob(z).detach()


class HalfPath(Laplace):
    """rsample forgets the scale's derivative."""

    def rsample(self, k):
        return self.mean - self.log_scale.detach().exp() * self.noise(k)


class OneNoise(Laplace):
    """All examples have the same."""

    def noise(self, k):
        return super().noise(k)[..., :1, :].expand(k, *self.mean.shape)


class Leaking(Laplace):
    """sample has a gradient."""

    def sample(self, k):
        return self.rsample(k)


class LearnedStandard(Laplace):
    def standard(self):
        return type(self)(0 * self.params[..., :1, :])


class Meeting(Laplace):
    """The kl of an example is the mean over all."""

    def kl(self, prior=None):
        found = super().kl(prior)
        return found.mean(-1, keepdim=True).expand(found.shape)


class Lying(Laplace):
    """sizes says what is not so."""

    @classmethod
    def sizes(cls, dim: int = 3):
        return (2 * dim,), dim + 1


class Loaded(Die):
    """Its samples are."""

    def sample(self, k):
        return super().sample(k) * (torch.rand(k, *self.params.shape[:-1], 1) > 0.3)


class Forgetful(Die):
    """Loses its temperature."""

    def __init__(self, params: Tensor, temperature: float = 1.0):
        super().__init__(params, temperature)

    def with_params(self, params):
        return type(self)(params)


class Single(Die):
    """float64 whatever it is given."""

    def log_prob(self, z):
        return super().log_prob(z).double()
