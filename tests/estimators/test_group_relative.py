"""Group-relative estimators: exact means and variances over every group, and what their scales do to a gradient."""

import math

import pytest
import torch

import bench
from estimators import Bernoulli, Categorical, Gaussian
from estimators.group_relative import GroupRelative
from estimators.rloo import RLOO
from tests.support.enumerate import outcomes, replay

GOLDEN = torch.tensor([0.2, -0.4, 0.9, -1.3], dtype=torch.float64)  # reward 1 on categories 0 and 3, groups of 4
PRESETS = {"dr_grpo": "none", "grpo": "std", "maxrl": "mean"}


def rewarded(*categories):
    """Minus a reward of 1 on these categories of the first coordinate."""
    return lambda z, q=None: -z[..., 0, list(categories)].sum(-1)


def over_groups(estimator, logits, cost):
    """Mean and trace of the covariance of the gradient `[C]`, over every group of one categorical variable."""
    q = Categorical(logits.view(1, 1, -1))
    noise, weights = outcomes(q, estimator.k)
    replicas = replay(q, noise)
    each = torch.autograd.grad(estimator(replicas, cost, None).loss.sum(), replicas.params)[0].flatten(1)
    mean = weights @ each
    return mean, float(weights @ (each - mean).square().sum(1))


def true_gradient(logits, cost):
    """d E cost / d logits, by the definition of softmax."""
    p, c = logits.softmax(0), cost(torch.eye(len(logits), dtype=logits.dtype).unsqueeze(1))
    return p * (c - p @ c)


def factor(scale, p, k):
    """By how much the mean is longer than the gradient, for rewards of 0 and 1 with mean p."""
    if scale == "none":
        return (k - 1) / k
    if scale == "mean":
        return (1 - (1 - p) ** (k - 1)) / p
    binomial = [math.comb(k, j) * p**j * (1 - p) ** (k - j) for j in range(k + 1)]
    return sum(b * math.sqrt(j * (k - j) * (k - 1) / k**3) for j, b in enumerate(binomial)) / (p * (1 - p))


@pytest.mark.parametrize(
    ("scale", "length", "variance"),
    [("none", 0.75, 0.024256), ("std", 1.4120977409, 0.083558), ("mean", 2.1351108540, 0.233691)],
)
def test_golden_factors_and_variances(scale, length, variance):
    cost = rewarded(0, 3)
    assert -(GOLDEN.softmax(0) @ torch.tensor([-1.0, 0, 0, -1]).double()).item() == pytest.approx(
        0.3230926740, abs=5e-11
    )
    mean, trace = over_groups(GroupRelative(4, scale), GOLDEN, cost)
    torch.testing.assert_close(mean, length * true_gradient(GOLDEN, cost), rtol=0, atol=1e-10)
    assert trace == pytest.approx(variance, abs=5e-7)


def test_rloo_against_grpo_depends_on_the_length():
    """RLOO has the smaller variance, and the larger one after both are brought to the gradient's length."""
    cost = rewarded(0, 3)
    rloo, grpo = (over_groups(e, GOLDEN, cost)[1] for e in (RLOO(4), GroupRelative(4, "std")))
    assert (rloo, grpo) == (pytest.approx(0.0431, abs=5e-5), pytest.approx(0.0836, abs=5e-5))
    assert grpo / factor("std", 0.3230926740, 4) ** 2 == pytest.approx(0.0419, abs=5e-5)


@pytest.mark.parametrize("scale", PRESETS.values())
@pytest.mark.parametrize(("seed", "categories", "k"), [(0, 2, 2), (1, 3, 5), (2, 5, 3), (3, 4, 4), (4, 3, 7)])
def test_factors_of_other_groups(scale, seed, categories, k):
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(categories, dtype=torch.float64, generator=generator)
    winners = range(0, categories, 2)
    cost, p = rewarded(*winners), logits.softmax(0)[list(winners)].sum().item()
    mean, trace = over_groups(GroupRelative(k, scale), logits, cost)
    torch.testing.assert_close(mean, factor(scale, p, k) * true_gradient(logits, cost), rtol=0, atol=1e-12)
    assert trace > 0


@pytest.mark.parametrize(("scale", "parallel"), [("none", True), ("std", False), ("mean", False)])
def test_the_bias_lies_between_examples(scale, parallel):
    """Two examples that share their logits' sign but not their difficulty: each mean is parallel, the sum is not."""
    easy, hard = torch.tensor([2.0, 0.0, -1.0]).double(), torch.tensor([-2.0, 0.5, 0.0]).double()
    cost = rewarded(0)
    means = torch.stack([over_groups(GroupRelative(4, scale), logits, cost)[0] for logits in (easy, hard)])
    truths = torch.stack([true_gradient(logits, cost) for logits in (easy, hard)])
    assert torch.allclose(torch.cosine_similarity(means, truths), torch.ones(2).double(), atol=1e-12)
    together = torch.cosine_similarity(means.sum(0), truths.sum(0), 0).item()
    assert (together > 1 - 1e-12) == parallel


@pytest.mark.parametrize("scale", ["std", "mean"])
def test_costs_of_more_than_two_values_turn_the_gradient_of_one_example(scale):
    cost = lambda z, q=None: -((z[..., 0, :] @ torch.tensor([0.1, 0.5, 1.0, 0.0]).double()) ** 2)  # noqa: E731
    mean, _ = over_groups(GroupRelative(4, scale), GOLDEN, cost)
    assert torch.cosine_similarity(mean, true_gradient(GOLDEN, cost), 0).item() < 1 - 1e-6


def live(family, size=50):
    generator = torch.Generator().manual_seed(7)
    params = torch.randn(*{Categorical: (2, 3)}.get(family, (4,)), dtype=torch.float64, generator=generator)
    return family(params.expand(size, 2, *params.shape).clone().requires_grad_())


def curved(z, q=None):
    flat = z.flatten(-2) if z.shape[-2:] == (2, 3) else z
    return (flat.cumsum(-1) - 0.3).square().sum(-1) + flat.prod(-1)


def drawn(estimator, q, cost):
    torch.manual_seed(3)
    return torch.autograd.grad(estimator(q, cost, None).loss.sum(), q.params)[0]


@pytest.mark.parametrize("family", [Gaussian, Bernoulli, Categorical])
@pytest.mark.parametrize("k", [2, 5])
def test_none_is_rloo_shrunk_draw_by_draw(family, k):
    q = live(family)
    rloo = drawn(RLOO(k), q, curved)
    torch.testing.assert_close(drawn(GroupRelative(k), q, curved), (k - 1) / k * rloo, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", [Gaussian, Bernoulli, Categorical])
def test_what_leaves_every_draw_as_it_is(family):
    q, std, mean = live(family), GroupRelative(5, "std"), GroupRelative(5, "mean")
    rewards = lambda z, q=None: -(-curved(z)).exp()  # noqa: E731
    for estimator, cost, other in [
        (std, curved, lambda z, q=None: 3 * curved(z) + 7),
        (mean, rewards, lambda z, q=None: 3 * rewards(z)),
    ]:
        expected = drawn(estimator, q, cost)
        assert expected.abs().max() > 0.01
        torch.testing.assert_close(drawn(estimator, q, other), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.1, -0.1, 0.0, 1e-30, -1e8])
@pytest.mark.parametrize("scale", PRESETS.values())
def test_equal_costs_say_nothing(scale, value, dtype):
    """Also where their mean is off by rounding: 0.1 three times is not 0.3."""
    q = Bernoulli(torch.zeros(20, 2, 3, dtype=dtype, requires_grad=True))
    for k in (3, 7, 10):
        cost = lambda z, q=None: torch.full_like(z[..., 0], value)  # noqa: E731
        gradient = drawn(GroupRelative(k, scale), q, cost)
        assert gradient.abs().max() <= (0 if scale == "std" else 1e-5 * max(abs(value), 1) if scale == "none" else 1e-5)


def test_the_mean_of_costs_that_are_no_rewards():
    q = live(Bernoulli)
    assert not drawn(GroupRelative(4, "mean"), q, lambda z, q=None: curved(z).exp()).any()
    assert drawn(GroupRelative(4, "mean"), q, lambda z, q=None: -curved(z).exp()).any()


@pytest.mark.parametrize("scale", ["std", "mean"])
def test_eps_is_added_to_the_scale(scale):
    """Against the formula written out, group by group."""
    logits, cost = GOLDEN, lambda z, q=None: -z[..., 0, :] @ torch.tensor([0.2, 0.0, 0.7, 1.0]).double()
    q = Categorical(logits.view(1, 1, -1))
    noise, weights = outcomes(q, 3)
    c = cost(noise).squeeze(-1)  # [K, J]
    spread = c.std(0) if scale == "std" else -c.mean(0)
    advantages = torch.where(spread > 1e-12, (c - c.mean(0)) / (spread + 0.5), 0)
    score = noise.squeeze((-3, -2)) - logits.softmax(0)  # [K, J, C]
    expected = weights @ (advantages.unsqueeze(-1) * score).mean(0)
    mean, _ = over_groups(GroupRelative(3, scale, 0.5), logits, cost)
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("preset", "scale"), PRESETS.items())
def test_presets(preset, scale):
    made = bench.estimator(preset, k=6)
    assert isinstance(made, GroupRelative)
    assert (made.k, made.scale, made.eps, made.unbiased) == (6, scale, 0.0, False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"k": 1}, "k >= 2; got k=1"), ({"scale": "median"}, "none, std, mean; got"), ({"eps": -1.0}, "eps >= 0; got")],
)
def test_refused_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        GroupRelative(**arguments)
