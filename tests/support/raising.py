"""One part of each kind that raises, where and what its arguments say."""

import torch
from torch import nn

import bench
from bench.problems.base import Parameters
from estimators import Bernoulli, Estimator
from tests.support.planted_families import Die
from tests.support.planted_models import Bits

ERRORS = {
    "type": lambda: None + 1,
    "key": lambda: {}["moon"],
    "runtime": lambda: torch.zeros(2, 3) @ torch.zeros(2, 3),
    "import": lambda: __import__("nowhere_at_all"),
    "assertion": lambda: (_ for _ in ()).throw(AssertionError()),
    "exit": lambda: exit(3),
    "lines": lambda: (_ for _ in ()).throw(ValueError("one\ntwo")),
    "mute": lambda: (_ for _ in ()).throw(ValueError()),
    "memory": lambda: torch.zeros(2**60),
    "value": lambda: (_ for _ in ()).throw(ValueError("It needs a moon.")),
}


class Coins(bench.Dataset):
    def __init__(self, error: str = "key", at: str = "init"):
        self.error, self.at = error, at
        if at == "init":
            ERRORS[error]()

    def arrays(self):
        ERRORS[self.error]()


class Net(Bits):
    def __init__(self, shape, latent, error: str = "key", at: str = "init"):
        super().__init__(shape, latent)
        self.error, self.at = error, at
        if at == "init":
            ERRORS[error]()

    def encode(self, x):
        if self.at == "encode":
            ERRORS[self.error]()
        return super().encode(x)

    def log_likelihood(self, x, z):
        if self.at == "likelihood":
            ERRORS[self.error]()
        return super().log_likelihood(x, z)


class Cube(Die):
    family = "cube"

    @classmethod
    def sizes(cls, faces: int = 6, error: str = "key", at: str = "init"):
        if at == "sizes":
            ERRORS[error]()
        return (faces,), faces

    def __init__(self, params, error: str = "key", at: str = "init"):
        super().__init__(params, 0.5)
        if at == "init":
            ERRORS[error]()


class Toss(bench.Problem):
    name = "toss"
    family = Bernoulli

    def __init__(self, error: str = "key", at: str = "init"):
        super().__init__(Parameters(logits=torch.zeros(3)))
        self.error, self.at = error, at
        if at == "init":
            ERRORS[error]()

    def cost(self, x, z):
        ERRORS[self.error]()


class Guess(Estimator):
    latents = (Bernoulli,)
    unbiased = True
    evaluations = "1 / 0"

    def __init__(self, error: str = "key", at: str = "init"):
        super().__init__()
        self.error, self.at, self.layer = error, at, nn.Linear(2, 2)
        if at == "init":
            ERRORS[error]()

    def forward(self, q, cost, x):
        self.layer(torch.zeros(1, 3)) if self.error == "inside" else ERRORS[self.error]()
