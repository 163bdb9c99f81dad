"""Gradients by a loop of single backward passes, and noise that depends on nothing but the number of the draw."""

from contextlib import contextmanager
from itertools import count

import torch
from torch import Tensor, nn

from bench.model.objective import Objective
from estimators import Estimate, Estimator, Gaussian
from tests.support.planted import Planted

SOURCES = {
    "normal": torch.randn,
    "uniform": torch.rand,
    "gumbel": lambda *a, **k: -torch.rand(*a, **k).log().neg().log(),
}


@contextmanager
def numbered(estimator: Estimator, first: int = 0):
    """Make the noise of a draw a function of its number: a call with `[r, B]` takes the next r numbers. Yields what
    gives the next number."""
    forward, numbers = estimator.forward, count(first)

    def replayed(q, cost, x):
        draws = [next(numbers) for _ in range(q.batch_shape[0])] if len(q.batch_shape) > 1 else [next(numbers)]
        requests = count()

        def source(name: str):
            original = getattr(type(q), name)

            def noise(self, k: int) -> Tensor:
                shape, request = list(original(self, k).shape), next(requests)
                one, axis = shape.copy(), len(self.batch_shape) - 1  # of the replicas, whatever stands before them
                if len(q.batch_shape) > 1:
                    del one[axis]
                rows = [SOURCES[name](*one, generator=_generator(n, request), dtype=torch.float64) for n in draws]
                return (torch.stack(rows, axis) if one != shape else rows[0]).to(self.params.dtype)

            return noise

        own = {name: source(name) for name in SOURCES if hasattr(q, name)}
        noisy = type(q).__new__(type("Numbered", (type(q),), own))
        noisy.__dict__.update(q.__dict__)
        return forward(noisy, cost, x)

    estimator.forward = replayed
    yield numbers
    del estimator.forward


def _generator(number: int, request: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * number + request)


def one_gradient(objective: Objective, x: Tensor) -> dict[str, Tensor]:
    """Block -> gradient `[P]` of the mean loss, by one plain backward pass."""
    model = objective.model
    q = model.encode(x)
    loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(loss, [q.params, *named.values()], allow_unused=True, materialize_grads=True)
    by_name = dict(zip(named, grads[1:], strict=True))
    blocks = {"latent": grads[0].flatten()}
    for name, grad in by_name.items():
        layer, _, kind = name.rpartition(".")
        if not isinstance(model.get_submodule(layer), nn.Linear):
            blocks[name] = grad.flatten()
        elif kind == "weight":
            bias = [by_name[f"{layer}.bias"]] if f"{layer}.bias" in by_name else []
            blocks[layer] = torch.cat([grad.mT.flatten(), *bias])
    return blocks


def explicit(objective: Objective, x: Tensor, draws: int, first: int = 0) -> dict[str, Tensor]:
    """Block -> all gradients `[R, P]`, one backward pass each."""
    with numbered(objective.estimator, first):
        found = [one_gradient(objective, x) for _ in range(draws)]
    return {name: torch.stack([g[name] for g in found]) for name in found[0]}


class CostInsideVjp(Planted):
    """Calls the cost inside a functional transform, once without gradient, and differentiates it with respect to z."""

    def forward(self, q, cost, x):
        z = q.sample(self.k)
        with torch.no_grad():
            baseline = cost(q.sample(self.k)).mean(0)
        c, pull_back = torch.func.vjp(cost, z)
        (slope,) = pull_back(torch.ones_like(c))
        reward = c.detach() - baseline + 0.1 * slope.detach().flatten(c.ndim).sum(-1)
        return Estimate((reward * q.log_prob(z) + c).mean(0), c.mean(0))


class Slope(Planted):
    """A term of the loss holds the derivative of the cost with respect to z: the decoder gets a second derivative."""

    latents = (Gaussian,)

    def forward(self, q, cost, x):
        z = q.mean + q.std * q.normal(self.k)
        c = cost(z, q)
        (slope,) = torch.autograd.grad(c.sum(), z, create_graph=True)
        return Estimate((c + 0.1 * (slope**2).sum(-1)).mean(0), c.mean(0))


class SlopeInsideVjp(Planted):
    """The same, inside a functional transform."""

    latents = (Gaussian,)

    def forward(self, q, cost, x):
        z = q.mean + q.std * q.normal(self.k)
        c, pull_back = torch.func.vjp(cost, z)
        (slope,) = pull_back(torch.ones_like(c))
        return Estimate((c + 0.1 * (slope**2).sum(-1)).mean(0), c.mean(0))
