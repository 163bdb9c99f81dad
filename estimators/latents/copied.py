"""What copies of one policy share: a table of its sequences, drawn from and differentiated for each copy."""

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from estimators.latents.sequence import Sequence


class Table(NamedTuple):
    """Of a policy with parameters `[..., B, N, V]`, without gradient.

    Attributes:
        tokens: every sequence `[V^L, L]`.
        log_q: log-probability of every sequence `[..., B, V^L]`.
        bounds: their cumulated chances `[..., B, 2^m]`; infinite from the last sequence on.
        chances: of the next token after each prefix `[..., B, N V]`; 0 where a logit is infinite.
        rest: of all other tokens together `[..., B, N V]`, right to the last digits where a chance is near 1.
    """

    tokens: Tensor
    log_q: Tensor
    bounds: Tensor
    chances: Tensor
    rest: Tensor


def table_of(q: "Sequence") -> Table:
    """The table of a policy, as its parameters are now."""
    probs, fixed = q.logits.detach().softmax(-1), ~q.params.detach().isfinite()
    likely = probs > 0.5  # one token at most
    rest = torch.where(likely, probs.masked_fill(likely, 0).sum(-1, keepdim=True), 1 - probs)
    cumulative = q.cumulative()
    bounds = F.pad(cumulative[..., :-1], (0, (1 << (q.states - 1).bit_length()) - q.states + 1), value=torch.inf)
    chances, rest = (each.masked_fill(fixed, 0).flatten(-2) for each in (probs, rest))
    return Table(q.tokens(torch.arange(q.states, device=probs.device)), q.log_probs().detach(), bounds, chances, rest)


def drawn(bounds: Tensor, noise: Tensor) -> Tensor:
    """How many bounds of a row `[..., 2^m]` are not above the noise `[..., n]`: as `torch.searchsorted` counts them on
    the right, at a third of its time on a CPU, where it waits for every guess of a branch."""
    if noise.is_cuda:
        return torch.searchsorted(bounds, noise, right=True)
    step = bounds.shape[-1] // 2
    numbers = (bounds[..., step - 1, None] <= noise).long() * step
    while step := step // 2:
        numbers = numbers.add(bounds[..., step - 1 :].gather(-1, numbers) <= noise, alpha=step)
    return numbers


class LogProbs(torch.autograd.Function):
    """log q `[R, ..., B, K]` of sequences by their numbers, with the gradient for each of R copies of a policy.

    With c the summed cotangents of the sequences that go through a token, and C those that reach its prefix, the logit
    of a token with chance p has the gradient c - p C = (1 - p) c - p (C - c). The policy's table has p and 1 - p.
    """

    @staticmethod
    def forward(params: Tensor, numbers: Tensor, original: "Sequence") -> Tensor:
        return original.table.log_q.expand(*params.shape[:-2], -1).gather(-1, numbers)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        params, numbers, ctx.original = inputs
        ctx.save_for_backward(params, numbers)

    @staticmethod
    def backward(ctx: Any, cotangents: Tensor) -> tuple[Tensor | None, None, None]:
        params, numbers = ctx.saved_tensors
        if torch.is_grad_enabled():  # it is differentiated again
            total = ctx.original.with_params(params).log_probs().gather(-1, numbers)
            return torch.autograd.grad(total, params, cotangents, create_graph=True)[0], None, None
        table, vocabulary = ctx.original.table, params.shape[-1]
        last = cotangents.new_zeros(*params.shape[:-2], table.log_q.shape[-1])
        levels = [last.scatter_add_(-1, numbers, cotangents)]
        while levels[-1].shape[-1] > 1:
            levels.append(functools.reduce(torch.add, levels[-1].unflatten(-1, (-1, vocabulary)).unbind(-1)))
        through = torch.cat(levels[::-1], -1)  # [R, ..., B, 1 + N V], of prefixes from the empty one on
        reached = through[..., : params.shape[-2]].repeat_interleave(
            vocabulary, -1, output_size=params.shape[-2] * vocabulary
        )
        through = through[..., 1:]
        gradient = torch.addcmul(through * table.rest, table.chances, reached - through, value=-1)
        return gradient.view_as(params), None, None
