"""Small problems whose exact gradients are known, one for each latent family, in float64."""

from typing import NamedTuple

import torch
from torch import Tensor

from estimators import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence

DATA = 2  # X


class Setting(NamedTuple):
    """The size and the kind of a problem; by default two examples of two coordinates each, or of three bits."""

    examples: int = 2  # B
    size: int | None = None  # D
    categories: int = 3  # C
    wide: bool = False  # logits beyond ±3, log standard deviations beyond ±2
    binary: bool = False  # x is 0 or 1
    factor: float = 1.0  # multiplies the cost
    shift: float = 0.0  # added to the cost, in nats


BASE = Setting()


class SmallProblem(NamedTuple):
    """The latent distribution `q` of B examples, their data x, and the cost's parameters theta, which stand for the
    decoder's."""

    q: Latent
    x: Tensor  # [B, X]
    theta: Tensor  # [P]
    unit: Tensor | None = None  # [D] the scale on which the cost reads a Gaussian z
    factor: float = 1.0
    shift: float = 0.0

    def first(self, index: int = 0) -> "SmallProblem":
        """The problem of one example, of this index."""
        part = slice(index, index + 1)
        return self._replace(q=self.q.with_params(self.q.params[part]), x=self.x[part])

    def to(self, dtype: torch.dtype, device: str = "cpu") -> "SmallProblem":
        q = self.q.with_params(self.q.params.to(device, dtype))
        if isinstance(q, VQ):
            q = VQ(q.params, q.codebook.to(device, dtype), q.temperature)
        unit = None if self.unit is None else self.unit.to(device, dtype)
        return self._replace(q=q, x=self.x.to(device, dtype), theta=self.theta.to(device, dtype), unit=unit)


class Cost:
    """A nonlinear cost of points `z [K, ..., B, *]`, in which all coordinates interact; it depends on x and theta.

    The kind `sampled` adds log q(z) - log p(z), as `objective.kl=sampled` does. The kind `polynomial` has degree 2 in
    each coordinate.

    Attributes:
        evaluated: the number of points per example of every call.
    """

    def __init__(self, problem: SmallProblem, kind: str = "analytic", constant: float = 0.0):
        self.q, self.x, self.theta, self.unit, self.factor, shift = problem
        self.frozen, self.kind, self.constant = self.q.detach(), kind, constant + shift
        self.evaluated: list[int] = []

    def __call__(self, z: Tensor, q: Latent | None = None) -> Tensor:
        self.evaluated.append(z.shape[0])
        y = self._read(z)  # [K, ..., B, F]
        weights, last = self.theta[..., :-1], self.theta[..., -1]
        squared = ((weights * y).sum(-1) + self.x[:, 0] - 0.4) ** 2
        second = y[..., 1 % y.shape[-1]]
        pair = y[..., 0] * second
        if self.kind == "polynomial":
            return self.factor * (squared + last * pair**2 + self.x[:, 1] * pair) + self.constant
        nats = squared + pair * y[..., -1] / 2 + (last * y[..., 0] - 0.2 * second * self.x[:, 1]).exp()
        nats = self.factor * nats
        if self.kind == "sampled":
            posterior = self.frozen if q is None else q
            nats = nats + posterior.log_prob(z) - self.q.standard().log_prob(z if self.unit is None else z / self.unit)
        return nats + self.constant

    def _read(self, z: Tensor) -> Tensor:
        if isinstance(self.q, VQ):
            codes = self.q.codebook.detach()
            return (z @ codes if z.shape[-1] == len(codes) else z[..., len(codes) :]).flatten(-2)
        if isinstance(self.q, Categorical):
            return (z @ _values(z.shape[-1]).to(z)).flatten(-2)
        if isinstance(self.q, Sequence):
            return _values(self.q.vocabulary).to(self.q.params)[z].flatten(-2)
        return z if self.unit is None else z / self.unit


def _values(categories: int) -> Tensor:
    """The point that the cost reads for each category, `[C, 2]`."""
    if categories == 3:
        return torch.tensor([[0.3, -0.8], [1.1, 0.2], [-0.6, 0.9]], dtype=torch.float64)
    index = torch.arange(categories, dtype=torch.float64)
    return torch.stack([(2.1 * index + 0.4).cos(), (1.3 * index + 0.7).sin()], -1)


def problem(family: str, setting: Setting = BASE) -> SmallProblem:
    """The problem of a latent family and a setting. The same arguments give the same numbers."""
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    examples, categories = setting.examples, setting.categories
    size = setting.size or (3 if family == "bernoulli" else 2)
    x, codes = normal(examples, DATA), normal(categories, 2)
    latents = {
        "gaussian": lambda: Gaussian(0.4 * normal(examples, 2 * size)),
        "bernoulli": lambda: Bernoulli(normal(examples, size)),
        "categorical": lambda: Categorical(normal(examples, size, categories)),
        "vq": lambda: VQ(normal(examples, size, 2), codes, temperature=1.5),
        "sequence": lambda: Sequence(normal(examples, sum(categories**t for t in range(size)), categories)),
    }
    q, unit = latents[family](), None
    features = {"gaussian": size, "bernoulli": size}.get(family, 2 * size)
    theta = torch.cat([0.7 * normal(features), torch.tensor([0.3], dtype=torch.float64)])
    if setting.wide:
        q, unit = _widened(q)
    return SmallProblem(q, (x > 0).double() if setting.binary else x, theta, unit, setting.factor, setting.shift)


def _widened(q: Latent) -> tuple[Latent, Tensor | None]:
    """q with logits beyond ±3.2, or with log standard deviations beyond ±2.1 and the unit [D] that goes with them."""
    if isinstance(q, Gaussian):
        side = 1 - 2 * (torch.arange(q.mean.shape[-1]) % 2).double()
        log_std = side * (2.1 + q.log_std.abs())
        unit = (2.1 * side).exp()
        return Gaussian(torch.cat([q.mean * unit, log_std], -1)), unit
    if isinstance(q, VQ):
        return VQ(q.params, q.codebook, q.temperature / 4), None
    return q.with_params(q.params.sign() * (3.2 + 0.6 * q.params.abs())), None
