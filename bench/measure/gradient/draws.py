"""Many draws of one estimator's gradient at fixed parameters on one probe batch.

The encoder runs once. All draws of a chunk are one batched computation along a replica axis, up to the cotangents of
`q.params`. The encoder's gradient is linear in these, and linear layers need no explicit gradient per draw (`layers`).
"""

import torch
from torch import Tensor

from bench.measure.gradient.decoder import Generative, GradientDraws
from bench.measure.gradient.encoder import EncoderPull
from bench.measure.gradient.heap import keep_freed_blocks
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.sizes import counted_outputs
from bench.measure.gradient.tally import Tally
from bench.measure.gradient.ties import tied, unmoved
from bench.model.adapted import block_of, encodes
from bench.model.objective import Objective

GROUPS = 32  # of draws, for the jackknife
LATENT = "latent"  # the block of q.params


def take(
    objective: Objective, x: Tensor, draws: int, *, encoder: bool = True, decoder: bool = True, memory: float = 256
) -> dict[str, Tally]:
    """Draw gradients of the mean loss over `x [B, X]`. Returns a tally for each block of coordinates.

    Blocks are `latent` (q.params), the encoder's layers, and the decoder's layers and loose parameters. One draw is
    taken if the estimator has no noise at this q.

    Args:
        objective: model and estimator; neither is changed.
        draws: R, the number of independent draws.
        encoder, decoder: whether these parts are measured.
        memory: MiB that one chunk of draws may take.

    Raises:
        Impossible: a layer of the model is in training mode and depends on its batch, or encoder and decoder share a
            parameter.
    """
    keep_freed_blocks()
    plan = PLANS[x.device.type]
    shared = tied(objective.model)
    with unmoved(objective.model):
        pull = EncoderPull(objective.model, x, [name for names in shared for name in names])
    if objective.noiseless(pull.q):
        draws = 1
    groups = torch.arange(draws) * min(draws, GROUPS if draws >= GROUPS else max(2, draws // 2)) // draws
    on_device = groups.to(x.device)  # copied once, for all chunks
    tallies: dict[str, Tally] = {}

    def block(name: str) -> Tally:
        name = block_of(objective.model, name) if name != LATENT else name
        if name not in tallies:
            tallies[name] = Tally(torch.bincount(groups), x.device)
        return tallies[name]

    generative = Generative(objective.model, decoder, plan.folds)
    decoder = generative.measured
    fixed = objective.fixed(pull.q).mean()
    fixed_latent = torch.zeros_like(pull.q.params)
    if fixed.requires_grad:
        (fixed_latent,) = torch.autograd.grad(fixed, [pull.q.params], retain_graph=True)
        for name, grad in generative.fixed(fixed).items() if decoder else ():
            block(name).constant = grad

    q = pull.q.detach()
    through_q = decoder and objective.estimator.learns_codes  # copies of the codebook would not get this gradient
    generative.plain = through_q or any(not encodes(objective.model, names[0]) for names in shared)
    alone = generative.plain or (decoder and generative.one_by_one)
    with counted_outputs() as outputs, unmoved(objective.model):
        drawn = GradientDraws(objective, q, x, 1 if alone else min(2, draws), generative)
    held = outputs.kept if plan.kept else outputs.all
    values = held // len(drawn.cotangents) + 4 * q.params.numel()  # held per draw, approximately
    first_order = generative.plain or drawn.first_order()
    if not (first_order and (alone or drawn.separable)):
        alone, generative.plain = True, not first_order
        drawn = GradientDraws(objective, q, x, 1, generative)
    shift = drawn.cotangents.mean(0)  # near the mean: subtracting it keeps precision

    def fitting(values: int) -> int:
        return max(1, int(plan.room(memory) * 2**20 / (2 * values * x.element_size())))

    chunk = 1 if alone else fitting(values)
    most = values + outputs.passing // len(drawn.cotangents)  # if all that is not kept grew with the draws
    unknown = (
        plan.kept and not alone and fitting(most) < min(chunk, draws - len(drawn.cotangents))
    )  # how much of it grows
    start = 0
    while True:
        stop = start + len(drawn.cotangents)
        part, cotangents = on_device[start:stop], drawn.cotangents - shift
        block(LATENT).add_vectors(part, cotangents.flatten(1))
        if encoder:
            pull.tally(block, part, cotangents, memory)
        drawn.tally(block, part, groups[start:stop], memory)
        start = stop
        if start == draws:
            break
        del drawn, cotangents  # hold one chunk at a time
        with counted_outputs() as of_one:
            drawn = GradientDraws(objective, q, x, 1 if unknown else min(chunk, draws - start), generative)
        if unknown:
            chunk, unknown = fitting(values + max(0, outputs.passing - of_one.passing)), False

    block(LATENT).constant = (shift + fixed_latent).flatten()
    if encoder:
        pull.constant(block, shift + fixed_latent)
    return tallies
