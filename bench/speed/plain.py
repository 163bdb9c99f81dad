"""What a user would write without this suite: the loops that its speed is compared with."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.model.hierarchy import Hierarchy
from bench.model.objective import Objective
from bench.speed.handwritten import Cost, Function


def plain_draws(objective: Objective, x: Tensor, draws: int, parameters: list[nn.Parameter]) -> Tensor:
    """The trace of the covariance of the gradient with respect to `parameters`, one backward pass per draw."""
    total: list[Tensor] = [torch.zeros_like(p) for p in parameters]
    squares: list[Tensor] = [torch.zeros_like(p) for p in parameters]
    for _ in range(draws):
        q = objective.model.encode(x)
        loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
        for t, s, g in zip(total, squares, torch.autograd.grad(loss, parameters), strict=True):
            t += g
            s += g**2
    variances = (s - t**2 / draws for t, s in zip(total, squares, strict=True))
    return sum((v.sum() for v in variances), torch.zeros(())) / max(draws - 1, 1)


class BareLoop:
    """Training RLOO-2 on Bernoulli latents in bare PyTorch: two networks, a score term, a closed-form KL, Adam."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, batches: Iterator[Tensor], lr: float):
        self.encoder, self.decoder, self.batches = encoder, decoder, batches
        self.parameters = [*encoder.parameters(), *decoder.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, lr, fused=True)

    def step(self) -> None:
        x = next(self.batches)
        logits = self.encoder(x)
        with torch.no_grad():
            z = torch.bernoulli(torch.sigmoid(logits).expand(2, *logits.shape))
        output = self.decoder(z)
        cost = -(x * output - nn.functional.softplus(output)).sum(-1)  # [2, B]
        log_q = (z * logits - nn.functional.softplus(logits)).sum(-1)
        score = (cost - cost.flip(0)).detach() * log_q
        p = torch.sigmoid(logits)
        kl = (p * logits - nn.functional.softplus(logits) + 0.6931471805599453).sum(-1)
        loss = ((score + cost).mean(0) + kl).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


class BareLayers:
    """Training two layers of bits in bare PyTorch: a hand-written estimator on each, log q and log p written out."""

    def __init__(self, model: Hierarchy, estimator: Function, batches: Iterator[Tensor], lr: float):
        assert model.prior_params is not None  # `SBN` of `bench.speed.problems` learns it
        self.encoders, self.decoders = [*model.encoder.values()], [*model.decoder.values()]
        self.centre, self.offset, self.prior = model.centre, model.output_offset, model.prior_params
        self.estimator, self.batches = estimator, batches
        self.optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr, fused=True)

    def second(self, logits: Tensor, before: Tensor) -> Cost:
        """The terms of layer 2, given points of layer 1."""
        held = logits.detach()

        def cost(z: Tensor) -> Tensor:
            return log_bits(z, held) - log_bits(before, self.decoders[1](2 * z - 1)) - log_bits(z, self.prior)

        return cost

    def step(self) -> None:
        x = next(self.batches)
        logits = self.encoders[0](x - self.centre)
        held = logits.detach()

        def cost(z: Tensor) -> Tensor:
            read = 2 * z - 1
            nats = log_bits(z, held) - log_bits(x, self.decoders[0](read) + self.offset)
            with torch.no_grad():
                after = self.encoders[1](read)
                rest = self.second(after, z)(bits(after))
            return nats + rest

        loss = self.estimator(logits, cost)
        z = bits(held)
        after = self.encoders[1](2 * z - 1)
        loss = (loss + self.estimator(after, self.second(after, z))).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def bits(logits: Tensor) -> Tensor:
    """A sample, for logits without a graph."""
    return (torch.rand_like(logits) > torch.sigmoid(-logits)).to(logits.dtype)


def log_bits(z: Tensor, logits: Tensor) -> Tensor:
    """log p(z), as one writes it."""
    return (z * logits - nn.functional.softplus(logits)).sum(-1)
