"""Sequences of tokens, each drawn given all before it."""

from functools import cached_property
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from estimators.latents.base import Enumerable, finite, relative_entropy, ruled_out, with_impossible
from estimators.latents.categorical import log_probabilities
from estimators.latents.copied import LogProbs, Table, drawn, table_of


class Sequence(Enumerable):
    """An autoregressive policy: L tokens out of V, each drawn given its whole prefix.

    `params [..., B, N, V]`: a row of logits for each of the N = 1 + V + ... + V^(L-1) prefixes, short ones first, and
    those of one length in the order of their tokens, the first token counting most. z `[K, ..., B, L]`: the tokens,
    whole numbers from 0 to V - 1. There are fewer sequences than parameters, so a table of them is always affordable.

    A logit of -inf rules its token out after that prefix; each row keeps at least one token. With one token it is the
    categorical variable of one coordinate.

    Raises:
        ValueError: fewer than two tokens, or rows that are not those of all prefixes.
    """

    family = "sequence"
    event_ndim = 2
    point_ndim = 1

    def __init__(self, params: Tensor):
        super().__init__(params)
        rows, self.vocabulary = params.shape[-2:]
        if self.vocabulary < 2:
            raise ValueError(f"A sequence needs two tokens to choose from, or more; params have {self.vocabulary}.")
        self.length, prefixes = 0, 0
        while prefixes < rows:
            prefixes += self.vocabulary**self.length
            self.length += 1
        if prefixes != rows or not rows:
            raise ValueError(
                f"A sequence of {self.vocabulary} tokens has a row of logits for each prefix: 1, "
                f"{1 + self.vocabulary}, {1 + self.vocabulary + self.vocabulary**2} and so on; params have {rows} rows."
            )

    @property
    def logits(self) -> Tensor:
        """`[..., B, N, V]`, finite."""
        return finite(self.params)

    @property
    def states(self) -> int:
        return self.vocabulary**self.length

    def levels(self, rows: Tensor) -> list[Tensor]:
        """What belongs to the prefixes, `[..., N, *]`, split by their length: L tensors `[..., V^t, *]`."""
        return list(rows.split([self.vocabulary**t for t in range(self.length)], -2))

    def along_paths(self, terms: Tensor) -> list[Tensor]:
        """Sums of terms `[..., N, V]` of (prefix, next token) along the way to every prefix, and at last to every
        sequence: L + 1 tensors `[..., V^t]`."""
        sums = [terms.new_zeros(*terms.shape[:-2], 1)]
        for level in self.levels(terms):
            sums.append((sums[-1].unsqueeze(-1) + level).flatten(-2))
        return sums

    def log_probs(self) -> Tensor:
        """Of every sequence `[..., B, V^L]`, in the order of `enumerate`; finite also where one is impossible."""
        return self.along_paths(log_probabilities(self.logits))[-1]

    @cached_property
    def table(self) -> Table:
        """What all copies of this policy share; made once, so the parameters of an `original` never change."""
        return table_of(self)

    def cumulative(self) -> Tensor:
        """Cumulated chances of the sequences `[..., B, V^L]`, without gradient; the last is 1. All are 1 where
        logits are no numbers, so that a policy which has diverged still draws sequences."""
        rows = self.logits.detach().softmax(-1)
        chances = rows.new_ones(*rows.shape[:-2], 1)
        for level in self.levels(rows):
            chances = (chances.unsqueeze(-1) * level).flatten(-2)
        cumulative = chances.cumsum(-1)
        return (cumulative / cumulative[..., -1:]).nan_to_num(1.0)  # so that noise below 1 is below the last

    def numbers(self, z: Tensor) -> Tensor:
        """Which of the sequences `z [..., L]` are, `[...]`: their place in the order of `enumerate`."""
        number, *others = z.unbind(-1)
        for token in others:
            number = torch.add(token, number, alpha=self.vocabulary)
        return number

    def tokens(self, numbers: Tensor) -> Tensor:
        """The sequences `[..., L]` with these numbers `[...]`."""
        powers = self.vocabulary ** torch.arange(self.length - 1, -1, -1, device=numbers.device)
        every = torch.arange(self.states, device=numbers.device)[:, None] // powers % self.vocabulary  # [V^L, L]
        return F.embedding(numbers, every)

    def uniform(self, k: int) -> Tensor:
        """Uniform noise `[K, ..., B]`: one number from [0, 1) decides a sequence."""
        return torch.rand(k, *self.batch_shape, dtype=self.params.dtype, device=self.params.device)

    def sample(self, k: int) -> Tensor:
        noise = self.uniform(k).movedim(0, -1)  # [..., B, K]
        if self.original is None:
            return self.tokens(torch.searchsorted(self.cumulative(), noise.contiguous(), right=True)).movedim(-2, 0)
        every, table = noise.movedim(0, -2).flatten(-2).contiguous(), self.original.table  # [..., B, R K], of R copies
        numbers = drawn(table.bounds, every).unflatten(-1, (len(noise), k)).movedim(-2, 0)
        return F.embedding(numbers, table.tokens).movedim(-2, 0)

    def log_prob(self, z: Tensor) -> Tensor:
        numbers = self.numbers(z)  # [K, ..., B]
        shape = torch.broadcast_shapes(self.batch_shape, numbers.shape[1:])
        numbers = numbers.expand(-1, *shape).movedim(0, -1)
        if self.original is None or shape != self.batch_shape:
            total = self.log_probs().expand(*shape, -1).gather(-1, numbers)
        else:
            total = LogProbs.apply(self.params, numbers, self.original)
        return with_impossible(total.movedim(-1, 0))

    def score(self, z: Tensor) -> Tensor:
        """d log q(z) / d params `[K, ..., B, N, V]` of samples, without gradient: on the way of a sequence its token,
        one-hot, less the probabilities; 0 elsewhere."""
        probs = self.logits.detach().softmax(-1)
        numbers, rows = self.numbers(z)[..., None], []  # [K, ..., B, 1]
        for t, level in enumerate(self.levels(probs)):
            after = numbers // self.vocabulary ** (self.length - 1 - t)  # prefix and next token in one number
            chosen = after == torch.arange(self.vocabulary ** (t + 1), device=z.device)
            chosen = chosen.unflatten(-1, (-1, self.vocabulary))  # [K, ..., B, V^t, V]
            rows.append((chosen.to(probs.dtype) - level) * chosen.any(-1, keepdim=True))
        return torch.cat(rows, -2)

    def standard(self) -> Self:
        return type(self)(torch.zeros_like(self.params[..., :1, :, :]))

    def kl(self, prior: Any = None) -> Tensor:
        # Row by row, each as likely as its prefix: no row counts that cannot be reached.
        log_p = log_probabilities(self.logits)
        rows = relative_entropy(log_p, log_probabilities((self.standard() if prior is None else prior).logits)).sum(-1)
        reached = torch.cat(self.along_paths(log_p)[:-1], -1)  # [..., B, N]
        return (reached.exp() * rows.masked_fill(ruled_out(reached), 0)).sum(-1)

    def enumerate(self, start: int = 0, stop: int | None = None) -> Tensor:
        numbers = torch.arange(start, self.states if stop is None else stop, device=self.params.device)
        return self.tokens(numbers).view(-1, *[1] * len(self.batch_shape), self.length)
