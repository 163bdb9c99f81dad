"""Sequences short enough to enumerate, and the statistics of their gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from bench.check.measured import MODEL
from bench.config.plugins import estimator
from bench.model.rssm import RSSM, Cell
from bench.model.steps import Stepped
from tests.support.small import LATENTS

TWO = {"family": "categorical", "dim": 2, "categories": 2}
PIXELS = 3  # of a step


def rssm(steps: int, latent: dict[str, Any] | None = None, **model: Any) -> RSSM:
    """A model of T frames of 1x3 pixels, whose weights are not small."""
    latent = TWO if latent is None else LATENTS["categorical"] | latent
    group = MODEL | {"task": "sequence", "hidden": [3], "prior": "learned", "center_input": True, "steps": None,
                     "state": 3, "unimix": 0.01, "balance": [1.0, 1.0]} | model  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        made = RSSM(
            latent, group, (steps, 1, PIXELS) if steps > 1 else (1, 1, PIXELS), torch.full((steps * PIXELS,), 0.4)
        )
        made = made.double()
        for parameter in made.parameters():
            parameter.data += 0.6 * torch.randn_like(parameter)
    return made


def sequences(steps: int, number: int = 2) -> Tensor:
    """Binary `[number, T * 3]`."""
    noise = torch.Generator().manual_seed(2)
    return (torch.rand(number, steps * PIXELS, generator=noise, dtype=torch.float64) < 0.5).double()


def stepped(model: RSSM, name: str, kl: str = "analytic", beta: float = 1.0, **hyper: Any) -> Stepped:
    """The model's objective under an estimator whose lazy layers have their size."""
    objective = Stepped(model, estimator(name, **hyper).double(), kl, beta)
    x = sequences(model.layers)
    assert objective.impossible(model.encode(x)) is None
    objective.estimate(model.encode(x), x)
    objective.estimator.double()
    return objective


def enumerated(model: RSSM, x: Tensor, beta: float = 1.0) -> Tensor:
    """-ELBO of each sequence `[B]`, by its definition, written out for one trajectory after another."""
    size, categories = model.params_shape
    one = torch.eye(categories, dtype=x.dtype)
    states = [torch.stack(rows) for rows in _words(list(one), size)]  # each [D, C]
    frames = x.unflatten(-1, (model.layers, PIXELS))

    def rest(step: int, h: Tensor) -> Tensor:
        if step > model.layers:
            return x.new_zeros(len(x))
        seen = torch.cat([frames[:, step - 1] - model.centre, h], -1)
        q = mixed(model.encoder.net(seen).unflatten(-1, (size, categories)), model.unimix)
        p = mixed(model.guess.net(h).unflatten(-1, (size, categories)), model.unimix)
        total = beta * (q * (q.log() - p.log())).sum((-2, -1))
        for z in states:
            given = torch.cat([z.flatten().expand(len(x), -1), h], -1)
            logits = model.decoder.net(given) + model.output_offset
            coin = torch.distributions.Bernoulli(logits=logits).log_prob(frames[:, step - 1]).sum(-1)
            total = total + (q * z).sum(-1).prod(-1) * (rest(step + 1, gru(model.cell, given, h)) - coin)
        return total

    return rest(1, x.new_zeros(len(x), model.state))


def mixed(logits: Tensor, share: float) -> Tensor:
    """Probabilities, with a share of the uniform ones."""
    return (1 - share) * logits.softmax(-1) + share / logits.shape[-1]


def gru(cell: Cell, given: Tensor, h: Tensor) -> Tensor:
    """The next state, gate by gate."""
    weight, bias, width = cell.gates.weight, cell.gates.bias, h.shape[-1]
    reset, candidate, update = (given @ weight[i * width : (i + 1) * width].mT + bias[i * width : (i + 1) * width]
                                for i in range(3))  # fmt: skip
    keep = 1 - torch.sigmoid(update - 1)
    return keep * h + (1 - keep) * torch.tanh(torch.sigmoid(reset) * candidate)


def _words(letters: list[Tensor], length: int) -> list[list[Tensor]]:
    return [[]] if length == 0 else [[a, *rest] for a in letters for rest in _words(letters, length - 1)]


@contextmanager
def cut(what: str) -> Iterator[None]:
    """A mistake: latents without what they cost later (`later`), or a state without its graph (`state`)."""
    from bench.model.steps import StepPass

    after, onward = StepPass.after, StepPass.onward
    wrong: dict[str, Any] = {
        "later": ("after", lambda self, layer, before, z: 0 * after(self, layer, before, z).detach()),
        "state": ("onward", lambda self, layer, before, z: onward(self, layer, before, z).detach()),
    }
    with patch.object(StepPass, *wrong[what]):
        yield
