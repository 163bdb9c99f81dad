"""Modules of other people's making: what they are built of goes beyond linear layers with draws along an axis."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.model.objective import Objective
from bench.model.vae import VAE
from estimators import Bernoulli, Categorical, Gaussian
from tests.support.loop import numbered
from tests.support.someones_vae import DiscreteVAE


class Adopted(DiscreteVAE):
    """Somebody's VAE with the two methods."""

    def encode(self, x):
        return Bernoulli(self.recognise(x))

    def log_likelihood(self, x, z):
        logits = self.generate(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        return -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum((-3, -2, -1))


class Ours(nn.Module):
    """One of our own VAEs as another module, which is handed images `[B, 1, height, width]` and `z [K, B, *]`."""

    def __init__(self, vae: VAE):
        super().__init__()
        self.inner = vae
        if vae.prior_params is not None:
            self.prior = vae.prior
        if vae.codebook is not None:
            self.fixed = vae.codebook.loss

    def encode(self, x: Tensor):
        return self.inner.encode(x.flatten(1))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        assert z.shape[1] == len(x)
        return self.inner.log_likelihood(x.flatten(1), z)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding="same", bias=False),
            nn.GroupNorm(1, width), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x):
        return x + self.body(x)


class ResNet(nn.Module):
    """128 bits for images of three channels; its likelihood is Gaussian with a learned width."""

    def __init__(self, side=32, width=4, bits=128):
        super().__init__()
        small = side // 4
        self.down = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), Residual(width), nn.Conv2d(width, width, 4, 2, 1), Residual(width),
            nn.Flatten(), nn.Linear(width * small**2, bits),
        )  # fmt: skip
        self.up = nn.Sequential(
            nn.Linear(bits, width * small**2), nn.Unflatten(1, (width, small, small)), Residual(width),
            nn.ConvTranspose2d(width, width, 4, 2, 1), Residual(width), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, 3, 4, 2, 1),
        )  # fmt: skip
        self.log_scale = nn.Parameter(torch.zeros(3, 1, 1))

    def encode(self, x):
        return Bernoulli(self.down(x))

    def log_likelihood(self, x, z):
        mean = self.up(2 * z.flatten(0, 1) - 1).unflatten(0, z.shape[:2])
        return torch.distributions.Normal(mean, self.log_scale.exp()).log_prob(x).sum((-3, -2, -1))


class Sentences(nn.Module):
    """A transformer that writes tokens `[B, T]` from two categorical variables; its axes are time, then examples."""

    def __init__(self, vocabulary=5, length=4, width=8, dim=2, categories=3):
        super().__init__()
        self.shape = dim, categories
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(torch.randn(length, 1, width))
        self.reader = nn.GRU(width, width, batch_first=True)
        self.words = nn.Embedding(vocabulary, width)
        self.to_q = nn.Linear(width, dim * categories)
        self.memory = nn.Linear(dim * categories, width)
        self.writer = nn.TransformerDecoderLayer(width, 2, 2 * width, dropout=0.1)
        self.head = nn.Linear(width, vocabulary)

    def encode(self, x):
        states, _ = self.reader(self.words(x))
        return Categorical(self.to_q(states[:, -1]).unflatten(-1, self.shape))

    def log_likelihood(self, x, z):
        memory = self.memory(z.flatten(-2)).flatten(0, 1)[None]  # [1, K B, width]
        tokens = x.expand(len(z), *x.shape).flatten(0, 1).mT  # [T, K B]
        inputs = torch.cat([torch.zeros_like(self.place[:1]).expand(1, *memory.shape[1:]), self.embed(tokens)[:-1]])
        mask = torch.full((len(tokens), len(tokens)), -torch.inf, dtype=memory.dtype).triu(1)
        logits = self.head(self.writer(inputs + self.place, memory, tgt_mask=mask))  # [T, K B, V]
        found = logits.log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1).sum(0)
        return found.unflatten(0, z.shape[:2])


class Odd(nn.Module):
    """Linear layers in every form that is not a product of one input with one weight of its own."""

    def __init__(self, form: str, width=4):
        super().__init__()
        self.form = form
        self.enter, self.again = nn.Linear(6, width), nn.Linear(width, width)
        self.mean, self.leave = nn.Linear(width, 4), nn.Linear(2, width)
        self.deep, self.out = nn.Linear(width, width), nn.Linear(width, 6)
        if form == "weight norm":
            for name in ("again", "deep"):
                setattr(self, name, nn.utils.parametrizations.weight_norm(getattr(self, name)))
        if form == "old weight norm":
            for name in ("again", "deep"):
                made = getattr(self, name)
                made.weight_g = nn.Parameter(torch.ones_like(made.bias[:, None]))
                made.weight_v = nn.Parameter(made.weight.detach().clone())
                del made._parameters["weight"]
                made.register_forward_pre_hook(_normalise)
        if form == "hook":
            for name in ("again", "deep"):
                getattr(self, name).register_forward_hook(lambda layer, args, output: 2 * output)
        if form == "frozen bias":
            self.again.bias.requires_grad_(False)
            self.deep.bias.requires_grad_(False)
        if form == "frozen weight":
            self.again.weight.requires_grad_(False)
            self.deep.weight.requires_grad_(False)

    def _layer(self, layer, h):
        match self.form:
            case "twice":
                return layer(layer(h).tanh())
            case "own weight":
                return layer(h) + h @ layer.weight
            case "not called":
                return F.linear(h, layer.weight, layer.bias)
            case "behind":  # a layer that is not called behind one that is
                return layer(F.linear(h, layer.weight).tanh())
            case "in place":
                return layer(h).relu_() + layer(h).tanh_()
            case "checkpoint":
                return torch.utils.checkpoint.checkpoint(lambda h: layer(h).tanh(), h, use_reentrant=False)
            case "sequence":  # three rows for each example
                return layer(torch.stack([h, 2 * h, h.sin()], -2)).sum(-2)
            case "turned":  # examples first, then points
                return layer(h.transpose(0, 1).contiguous()).transpose(0, 1) if h.ndim == 3 else layer(h)
            case "positions first":
                return layer(torch.stack([h, 2 * h, h.sin(), h.cos()])).sum(0)
        return layer(h)

    def encode(self, x):
        return Gaussian(self.mean(self._layer(self.again, self.enter(x.flatten(1)).tanh()).tanh()))

    def log_likelihood(self, x, z):
        h = self._layer(self.deep, self.leave(z).tanh())
        return -((self.out(h.tanh()) - x.flatten(1)) ** 2).sum(-1)


def _normalise(layer, args):
    v = layer.weight_v
    layer.weight = layer.weight_g * v / v.norm(dim=1, keepdim=True)


FORMS = (
    "plain", "weight norm", "old weight norm", "hook", "frozen bias", "frozen weight", "twice", "own weight",
    "not called", "behind", "in place", "checkpoint", "sequence", "turned", "positions first",
)  # fmt: skip


def by_part(objective: Objective, x: Tensor, draws: int, first: int = 0) -> dict[str, Tensor]:
    """Part -> gradients `[R, P]` of all its parameters, one backward pass each, whatever layers there are."""
    model, found = objective.model, {"latent": [], "encoder": [], "decoder": []}
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    feeding = [model.encodes(n) for n, _ in named]
    with numbered(objective.estimator, first):
        for _ in range(draws):
            q = model.encode(x)
            loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
            wanted = [q.params, *(p for _, p in named)]
            latent, *grads = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
            found["latent"].append(latent.flatten())
            for part, own in (("encoder", True), ("decoder", False)):
                found[part].append(torch.cat([g.flatten() for g, f in zip(grads, feeding, strict=True) if f is own]))
    return {part: torch.stack(rows) for part, rows in found.items()}
