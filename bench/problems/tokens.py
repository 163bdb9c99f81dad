"""A policy that writes a few tokens, and a verifier that says whether they are an answer: everything enumerated.

What language models are trained with after pre-training, small enough to know the truth. Z. Shao et al. 2024,
arXiv:2402.03300 (GRPO); A. Ahmadian et al., Back to Basics, 2024, arXiv:2402.14740 (RLOO).
"""

import torch
from torch import Tensor, nn

from bench.data.datasets import Data
from bench.problems.base import Problem
from bench.problems.groups import Groups, advantages
from estimators import Estimator, Latent, Sequence

MOST_STATES = 2**16  # sequences: a policy has as many parameters, and a little more, for every prompt
START, ANSWERS = 20, 21  # streams of the logits at the start, and of the accepted sequences


class Policies(nn.Module):
    """Logits `[P, N, V]` of each prompt, or `[1, N, V]` of all."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x: Tensor) -> Tensor:
        """`x [B, 1]`, the numbers of prompts -> `[B, N, V]`."""
        return self.logits.index_select(0, x.squeeze(-1).long() % len(self.logits))


class Tokens(Problem):
    """min -E reward(tokens) over a policy of L tokens out of V, for P prompts.

    The verifier of prompt i accepts a set of its own, drawn once and for all from the V^L sequences: one half of them,
    a quarter, an eighth and so on down to a single one, and again. The reward is 1 for an accepted sequence, else 0. An
    example is a prompt, and its datum is the prompt's number. The prior, which an objective may hold a KL to, is the
    uniform policy.

    Args:
        vocabulary: V, 2 or more.
        length: L; V^L is at most 65,536.
        prompts: P.
        policy: own: each prompt has logits of its own. shared: all prompts have the same, so that they compete.
        spread: standard deviation of the logits at the start; at 0 the policy starts uniform.
    """

    name = "tokens"
    family = Sequence
    has_prior = True
    rewards = True

    encoder: Policies
    answers: Tensor

    def __init__(self, vocabulary: int, length: int, prompts: int, policy: str, spread: float):
        states = vocabulary**length
        if states > MOST_STATES:
            raise ValueError(
                f"problem=tokens enumerates its sequences, at most {MOST_STATES} of them; "
                f"problem.vocabulary={vocabulary} and problem.length={length} make {states}."
            )
        rows = prompts if policy == "own" else 1
        nodes = (states - 1) // (vocabulary - 1)
        noise = torch.Generator().manual_seed(START)
        logits = spread * torch.randn(rows, nodes, vocabulary, generator=noise, dtype=torch.float64)
        super().__init__(Policies(logits))
        self.register_buffer("answers", accepted(prompts, states))

    def encode(self, x: Tensor) -> Latent:
        """q with `params [B, N, V]` of the prompts `x [B, 1]`."""
        return Sequence(self.encoder(x))

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        """-1 `[K, ..., B]` where the tokens `z [K, ..., B, L]` answer the prompts `x [B, 1]`, else 0."""
        numbers = self._policy().numbers(z)  # [K, ..., B]
        places = self.answers.shape[1] * x.squeeze(-1).long() + numbers
        return -self.answers.take(places.movedim(0, -1)).movedim(-1, 0)  # a prompt's answers are looked up together

    def data(self, device: torch.device, dtype: torch.dtype) -> Data:
        """The prompts, by their numbers `[P, 1]`."""
        x = torch.arange(len(self.answers), device=device, dtype=dtype)[:, None]
        return Data(self.name, "none", (1, 1, 1), train=x, valid=None, test=None, mean=x.new_zeros(1))

    def value(self) -> float:
        """-E reward, the mean over all prompts."""
        return -float(self.successes().mean())

    def divergence(self) -> float:
        """KL to the uniform policy, the mean over all prompts."""
        return float(self._policy().kl().detach().double().mean())

    def successes(self) -> Tensor:
        """Probability `[P]` of an accepted sequence, for each prompt at the present parameters."""
        log_q = self._policy().log_probs().detach().double()
        return (log_q.exp() * self.answers.double()).sum(-1)

    def variances(self, estimator: Estimator, probe: Tensor) -> dict[str, float]:
        signal = advantages(estimator)
        if signal is None:
            return {}
        batches, examples = probe.shape[:2]
        total = sum(float(self.groups(x).variance(signal).sum()) for x in probe) / batches / examples**2
        return dict.fromkeys(("latent", "encoder", "encoder.logits"), total)

    def groups(self, x: Tensor) -> Groups:
        """What is known of groups of samples for the prompts `x [B, 1]`, in float64."""
        q = Sequence(self.encoder(x).detach().double())
        return Groups.of(q, self.answers[x.squeeze(-1).long()].double())

    def _policy(self) -> Sequence:
        return Sequence(self.encoder.logits)


def accepted(prompts: int, states: int) -> Tensor:
    """Which sequences each verifier accepts `[P, V^L]`, 0 or 1."""
    noise = torch.Generator().manual_seed(ANSWERS)
    levels = max(states.bit_length() - 1, 1)
    table = torch.zeros(prompts, states, dtype=torch.float64)
    for prompt in range(prompts):
        size = max(states >> (1 + prompt % levels), 1)
        table[prompt, torch.randperm(states, generator=noise)[:size]] = 1
    return table
