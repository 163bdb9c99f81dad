"""Sequences of tokens against products of conditional probabilities written out, enumeration and counts."""

import itertools
import math

import pytest
import scipy.stats
import torch

import bench
from estimators import Sequence
from estimators.disarm import Disarm
from estimators.group_relative import GroupRelative
from estimators.rloo import RLOO
from tests.support.enumerate import assert_exactly_unbiased, outcomes, replay, z_scores
from tests.support.injection import live
from tests.support.sequences import SIZES, policy


def written_out(q, tokens):
    """log q of one sequence `[..., B]`: each token's logit less the log of its row's sum, the row of its prefix."""
    total, row, first = 0, 0, 0
    for t, token in enumerate(tokens):
        logits = q.params[..., first + row, :]
        total = total + logits[..., token] - logits.exp().sum(-1).log()
        row, first = row * q.vocabulary + token, first + q.vocabulary**t
    return total


@pytest.mark.parametrize(("vocabulary", "length"), SIZES)
@pytest.mark.parametrize("batch", [(2,), (3, 2)])
def test_log_prob_and_its_gradient(vocabulary, length, batch):
    q = live(policy(vocabulary, length, batch))
    states = q.enumerate()
    listed = list(itertools.product(range(vocabulary), repeat=length))
    assert states.shape == (q.states, *[1] * len(batch), length)
    assert [tuple(z.flatten().tolist()) for z in states] == listed
    assert torch.equal(q.enumerate(1, 2), states[1:2])
    found, expected = q.log_prob(states), torch.stack([written_out(q, tokens) for tokens in listed])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.exp().sum(0), torch.ones(batch).double(), rtol=0, atol=1e-12)
    weights = torch.linspace(-1, 2, len(listed)).double()
    one, two = (
        torch.autograd.grad(torch.einsum("s,s...->", weights, each), q.params, retain_graph=True)[0]
        for each in (found, expected)
    )
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
    scores = q.score(states.expand(-1, *batch, -1))
    torch.testing.assert_close(torch.einsum("s,s...->...", weights, scores), one, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("vocabulary", "length"), SIZES)
def test_kl_is_the_sum_over_sequences(vocabulary, length):
    q, other = live(policy(vocabulary, length)), policy(vocabulary, length, (1,), seed=1)
    states = q.enumerate()
    log_q = q.log_prob(states)
    for prior, uniform in ((q.standard(), True), (other, False)):
        expected = (log_q.exp() * (log_q - prior.log_prob(states))).sum(0)
        for found in [q.kl(prior)] + [q.kl()] * uniform:
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
            one, two = (torch.autograd.grad(v.sum(), q.params, retain_graph=True)[0] for v in (found, expected))
            torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
    assert q.standard().log_prob(states).flatten().tolist() == pytest.approx([-math.log(q.states)] * q.states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_have_the_law(dtype):
    q = Sequence(policy(3, 2).params.to(dtype))
    torch.manual_seed(1)
    counts = torch.stack([torch.bincount(q.numbers(q.sample(100_000))[:, b], minlength=9) for b in range(2)])
    p = q.log_probs().exp().double()
    assert not q.sample(2).requires_grad
    for seen, chances in zip(counts, p, strict=True):
        assert scipy.stats.chisquare(seen.double(), 100_000 * chances / chances.sum()).pvalue > 1e-4
    assert scipy.stats.chisquare(counts[0].double(), 100_000 * p[1] / p[1].sum()).pvalue < 1e-9  # another law is seen


def test_impossible_tokens():
    """A logit of -inf rules out all sequences through it; rows that are never reached count nowhere."""
    params = policy(2, 2).params.clone()
    params[:, 0, 1] = -math.inf
    q = live(Sequence(params))
    assert not q.sample(1000)[..., 0].any()
    log_q = q.log_prob(q.enumerate())
    assert bool((log_q[2:] == -math.inf).all())
    far = params.clone()
    far[:, 2] += torch.tensor([900.0, -900.0]).double()  # after the token that cannot be
    torch.testing.assert_close(Sequence(far).kl(), q.kl(), rtol=0, atol=1e-12)
    loss = RLOO(3)(q, lambda z, q=None: -z[..., 1].double(), None).loss
    for value in (loss, q.kl(), log_q[:2]):
        assert torch.autograd.grad(value.sum(), q.params)[0].isfinite().all()


def test_a_policy_that_has_diverged_draws_and_is_no_number():
    params = policy(3, 2).params.clone()
    params[0, 0, 1] = math.nan
    q = live(Sequence(params))
    z = q.sample(7)
    assert ((z >= 0) & (z < 3)).all()
    assert q.log_prob(z).isnan().tolist() == [[True, False]] * 7


@pytest.mark.parametrize("shape", [(2, 1), (2, 2), (6, 2), (0, 3)])
def test_rows_that_are_not_those_of_all_prefixes(shape):
    with pytest.raises(ValueError, match=r"^A sequence (needs two tokens|of \d tokens has a row) [^\n]*\.$"):
        Sequence(torch.zeros(1, *shape))


class Reward(torch.nn.Module):
    """Minus a scaled reward for a sequence that ends as it began, and a half for another; it has one parameter."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, z, q=None):
        return -self.scale * ((z[..., 0] == z[..., -1]).double() + 0.5 * z.prod(-1))


@pytest.mark.parametrize(("name", "hyper"), [("reinforce", {"k": 2}), ("rloo", {"k": 2}), ("vargrad", {"k": 2})])
def test_means_over_all_joint_outcomes(name, hyper):
    """Two examples, two tokens of two values, two samples: 256 joint outcomes."""
    assert_exactly_unbiased(bench.estimator(name, **hyper), policy(2, 2), Reward(), None, 2, tolerance=1e-12)


@pytest.mark.parametrize("name", ["rloo", "vargrad", "reinforce"])
def test_longer_sequences_by_z(name):
    torch.manual_seed(2)
    q = policy(3, 2, (1,))
    assert z_scores(bench.estimator(name), q, Reward(), None).abs().max() < 4.5
    assert z_scores(GroupRelative(4), q, Reward(), None).abs().max() > 10  # a quarter too short


GOLDEN = torch.tensor([0.2, -0.4, 0.9, -1.3], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "length", "variance"),
    [("dr_grpo", 0.75, 0.024256), ("grpo", 1.4120977409, 0.083558), ("maxrl", 2.1351108540, 0.233691)],
)
def test_golden_values_of_one_token(name, length, variance):
    """The 4-way categorical of tests/estimators/test_group_relative.py, as a sequence of one token."""
    q = Sequence(GOLDEN.view(1, 1, 4))
    cost = lambda z, q=None: -((z[..., 0] == 0) | (z[..., 0] == 3)).double()  # noqa: E731
    noise, weights = outcomes(q, 4)
    replicas = replay(q, noise)
    each = torch.autograd.grad(bench.estimator(name, k=4)(replicas, cost, None).loss.sum(), replicas.params)[0]
    mean = weights @ each.flatten(1)
    p, reward = GOLDEN.softmax(0), torch.tensor([1.0, 0.0, 0.0, 1.0]).double()
    torch.testing.assert_close(mean, -length * p * (reward - p @ reward), rtol=0, atol=1e-10)
    assert float(weights @ (each.flatten(1) - mean).square().sum(1)) == pytest.approx(variance, abs=5e-7)


def test_other_estimators_refuse_by_their_tag():
    said = Disarm().refuses(policy(2, 2))
    assert said == "disarm does not differentiate sequence latents; it is made for bernoulli."


def test_compare_takes_sequences():
    table = bench.compare(Reward(), policy(2, 2), ["rloo", "exact", "maxrl", "disarm"], draws=2000, repetitions=0)
    rows = table.set_index("estimator")
    assert rows.reference["rloo"] == "exact"
    assert abs(rows.bias_sq["rloo"]) < 4.5 * rows.bias_sq_se["rloo"]
    assert rows.variance["exact"] == 0
    assert rows.variance["maxrl"] > 0
    assert "does not differentiate sequence" in rows.reason["disarm"]
    no_reward = bench.compare(lambda z: (z.sum(-1) + 1.0).double(), policy(2, 2), ["maxrl"], draws=50, repetitions=0)
    assert "no rewards: its signal is 0" in no_reward.reason[0]
