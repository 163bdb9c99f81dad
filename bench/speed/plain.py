"""What a user would write without this suite: the loops that its speed is compared with."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.model.objective import Objective


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
