"""Many draws of one estimator's gradient at fixed parameters on one probe batch.

The encoder runs once. All draws of a chunk are one batched computation along a replica axis, up to the cotangents of
`q.params`; from there the gradient is linear in them, and linear layers need no gradient formed per draw (`layers`).
"""

import torch
from torch import Tensor

from bench.measure.decoder import Drawn, Generative
from bench.measure.encoder import EncoderPull
from bench.measure.layers import squared_length
from bench.measure.tally import Tally
from bench.objective import Objective

GROUPS = 32  # of draws, for the jackknife


def take(
    objective: Objective, x: Tensor, draws: int, *, encoder: bool = True, decoder: bool = True, memory: float = 256
) -> dict[str, Tally]:
    """Tallies of the gradient of the mean loss over `x [B, X]`, by block of coordinates.

    Blocks are `latent` (q.params), the encoder's layers and the decoder's layers and loose parameters. An estimator
    without noise is drawn once, and so is one whose only noise is a posterior that has none.

    Args:
        objective: model and estimator; neither is changed.
        draws: R, the number of independent draws.
        encoder, decoder: whether these parts are measured.
        memory: MiB that one chunk of draws may take.
    """
    pull = EncoderPull(objective.model, x)
    estimator = objective.estimator
    if estimator.noiseless or (pull.q.deterministic and not estimator.own_noise):
        draws = 1
    groups = torch.arange(draws) * min(draws, GROUPS if draws >= GROUPS else max(2, draws // 2)) // draws
    tallies: dict[str, Tally] = {}

    def block(name: str) -> Tally:
        return tallies.setdefault(name, Tally(torch.bincount(groups), x.device))

    generative = Generative(objective.model) if decoder else None
    if generative is not None and not generative.named:  # a problem with a fixed cost
        generative = None
    fixed = objective.fixed(pull.q).mean()
    fixed_latent = torch.zeros_like(pull.q.params)
    if fixed.requires_grad:
        (fixed_latent,) = torch.autograd.grad(fixed, [pull.q.params], retain_graph=True)
        for name, grad in generative.fixed(fixed).items() if generative else ():
            block(name).constant = grad

    q = pull.q.detach()
    alone = generative is not None and generative.convolutional  # a convolution sees one draw at a time
    drawn = Drawn(objective, q, x, 1 if alone else min(2, draws), generative)
    if generative is not None and not alone and not drawn.separable:
        alone, drawn = True, Drawn(objective, q, x, 1, generative)
    shift = drawn.cotangents.mean(0)  # near the mean: subtracting it keeps precision
    chunk = 1 if alone else max(1, int(memory * 2**20 / (2 * drawn.values * x.element_size())))
    start = 0
    while True:
        part = groups[start : start + len(drawn.cotangents)]
        cotangents = drawn.cotangents - shift
        block("latent").add_vectors(part.to(x.device), cotangents.flatten(1))
        if encoder and not block("latent").single:
            for name, squares in pull.squares(cotangents).items():
                block(name).add_squares(part.to(x.device), squares)
        if generative is not None:
            drawn.tally(block, part)
        start += len(part)
        if start == draws:
            break
        drawn = Drawn(objective, q, x, min(chunk, draws - start), generative)

    latent = block("latent")
    latent.constant = (shift + fixed_latent).flatten()
    if encoder:
        stacked = torch.cat([latent.sums, latent.constant[None]]).unflatten(1, q.params.shape)
        for name, vectors in pull.vectors(stacked).items():
            block(name).sums, block(name).constant = vectors[:-1], vectors[-1]
            if latent.single:
                block(name).squares = squared_length(vectors[:-1])
    return tallies
