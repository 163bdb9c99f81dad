"""Joint states of independent categorical coordinates without replacement, and what a set of them says about its order.

* W. Kool, H. van Hoof, M. Welling, Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for Sampling
  Sequences Without Replacement, ICML 2019, arXiv:1903.06059.
* W. Kool, H. van Hoof, M. Welling, Estimating Gradients for Discrete Random Variables by Sampling without Replacement,
  ICLR 2020, arXiv:2002.06043.
"""

from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from estimators.base import Cost
from estimators.latents import OneHot
from estimators.latents.base import possible
from estimators.latents.categorical import log_probabilities

IMPOSSIBLE = -1e6  # log-probability, in a float64 whose sums over sets keep ten decimals


def without_replacement(q: OneHot, k: int) -> Tensor:
    """k different states, one-hot `[K, ..., B, D, C]`, in the order of drawing them one by one from what is left of q.

    A state is all D coordinates at once; k is at most `q.states`. Perturb the log-probability of every state by its own
    Gumbel noise: the k largest, in falling order, are such a sample. They are found by a beam over the coordinates
    (`q.gumbel(k)` is its only noise): the largest value below a prefix belongs to the prefix, and its C continuations
    are Gumbels whose maximum is that value. Only the order matters, which the value at the root does not touch.
    """
    return beam(q, k, q.gumbel(k))


def most_probable(q: OneHot, k: int) -> Tensor:
    """The k most probable states, one-hot `[K, ..., B, D, C]`, in falling order; k is at most `q.states`.

    The same beam without noise. It is exact: a state's prefix that k others beat would, by sharing its own
    continuation with them, leave the state beaten k times.
    """
    return beam(q, k, None)


@torch.no_grad()
def beam(q: OneHot, k: int, gumbel: Tensor | None) -> Tensor:
    """The k states of largest (perturbed) log-probability `[K, ..., B, D, C]`; `gumbel [K, ..., B, D, C]`."""
    log_probs = q.log_probs.detach()  # [..., B, D, C]
    size, categories = log_probs.shape[-2:]
    prefix = log_probs.new_zeros(*q.batch_shape, 1)  # [..., B, W] log-probability of each prefix in the beam
    value = prefix  # its perturbed log-probability
    chosen = torch.zeros(*prefix.shape, 0, dtype=torch.long, device=prefix.device)  # [..., B, W, d] categories so far
    for d in range(size):
        prefix = prefix.unsqueeze(-1) + log_probs[..., d, :].unsqueeze(-2)  # [..., B, W, C]
        values = prefix
        if gumbel is not None:
            noise = gumbel[: value.shape[-1], ..., d, :].movedim(0, -2)
            values = with_maximum(prefix + noise, value.unsqueeze(-1))
        value, index = values.flatten(-2).topk(min(k, prefix.shape[-2:].numel()), -1)  # [..., B, W'], in falling order
        prefix = prefix.flatten(-2).gather(-1, index)
        chosen = chosen.gather(-2, (index // categories).unsqueeze(-1).expand(*index.shape, d))
        chosen = torch.cat([chosen, (index % categories).unsqueeze(-1)], -1)
    one_hot = chosen.unsqueeze(-1) == torch.arange(categories, device=chosen.device)
    return one_hot.to(log_probs.dtype).movedim(-3, 0)


def with_maximum(values: Tensor, maximum: Tensor) -> Tensor:
    """Independent Gumbels `[..., C]`, moved so that their maximum is `maximum [..., 1]`, their order kept.

    -log(exp(-maximum) - exp(-their maximum) + exp(-value)), in a form that does not overflow.
    """
    gap = maximum - values + torch.log(-torch.expm1(values - values.amax(-1, keepdim=True)))
    return maximum - gap.clamp(min=0) - torch.log1p(torch.exp(-gap.abs()))


def joint_log_probs(q: OneHot, z: Tensor) -> Tensor:
    """log q(z) `[K, ..., B]` of `z [K, ..., B, D, C]` in float64, without gradient: 1 - sum q(z) needs the digits.

    That of an impossible state is a number, low enough for its probability to be 0.
    """
    log_p = (z.double() * log_probabilities(q.logits.detach().double())).sum((-2, -1))
    return log_p.clamp(min=IMPOSSIBLE)


def remainder(log_p: Tensor) -> Tensor:
    """1 - sum_k p_k `[...]`, the probability of all states that are not among those of `log_p [K, ...]`."""
    nothing = log_p.new_full((1, *log_p.shape[1:]), IMPOSSIBLE)  # of which a set of no states consists
    falling = torch.cat([log_p, nothing]).sort(0, descending=True).values
    return (-torch.expm1(falling[0]) - falling[1:].exp().sum(0)).clamp(min=0)  # digits kept where one is nearly all


def scored(q: OneHot, cost: Cost, z: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z) and cost(z) `[K, ..., B]`, both 0 at impossible states: a set larger than the support holds some."""
    log_q = q.log_prob(z)
    return possible(log_q, log_q), possible(log_q, cost(z))


@torch.no_grad()
def order(log_p: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Given the set that was drawn without replacement, who came first, and who came second after each.

    `first [K, ...]`: the probability that state s was drawn first; Kool's p(s) R(S, s). It sums to 1.
    `second [K, K - 1, ...]`: given that s was first (first axis), that t was second, for the other t in their order.

    Sums over all 2 ** K subsets A already drawn: the probability of drawing the others of the set next, in any order,
    is a sum over who comes next, t, of p_t / (1 - sum of A) times that of A with t.

    Args:
        log_p: `[K, ...]` log-probabilities of the set's states, in float64.
        rest: `[...]` probability of all other states.
    """
    k = len(log_p)
    log_rest, completion = rest.log(), torch.zeros_like(log_p[:1])  # [N, ...]: a row for each subset of this size
    turns = log_p.new_zeros(1, 0, *log_p.shape[1:])  # [N, K - drawn, ...]
    for drawn in range(k - 1, 0, -1):
        next_state, grown = successors(k, drawn, log_p.device)  # [N, K - drawn] each
        log_next = log_p[next_state]  # [N, K - drawn, ...]
        left = torch.logaddexp(log_next.logsumexp(1), log_rest)
        turns = log_next + completion[grown]
        completion = turns.logsumexp(1) - left
    return torch.softmax(log_p + completion, 0), torch.softmax(turns, 1)


@cache
def successors(k: int, drawn: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each subset of `drawn` of k states: the others, and the numbers of the subsets grown by one of them; sent to
    the device once."""
    row = {subset: i for i, subset in enumerate(combinations(range(k), drawn + 1))}
    others, grown = [], []
    for subset in combinations(range(k), drawn):
        others.append([t for t in range(k) if t not in subset])
        grown.append([row[tuple(sorted((*subset, t)))] for t in others[-1]])
    return torch.tensor(others).to(device), torch.tensor(grown).to(device)
