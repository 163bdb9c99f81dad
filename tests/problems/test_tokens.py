"""A policy over tokens: what the problem knows of itself, against enumeration, closed forms and measured draws."""

import math

import pytest
import torch

import bench
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from bench.problems import problem
from bench.problems.groups import Groups, advantages
from bench.run.single import run
from estimators import Sequence
from estimators.exact import Exact
from estimators.group_relative import GroupRelative
from estimators.rloo import RLOO
from tests.support.enumerate import outcomes, replay
from tests.support.runs import config, numbers

SMALL = {"name": "tokens", "vocabulary": 2, "length": 2, "prompts": 2, "policy": "own", "spread": 1.0}
DRAWS, BOUND = 20_000, 4.5
USED = [
    ("reinforce", {"k": 3}),
    ("reinforce_constant", {"value": -0.4, "k": 2}),
    ("rloo", {"k": 3}),
    ("vargrad", {"k": 2}),
    ("dr_grpo", {"k": 4}),
    ("grpo", {"k": 4}),
    ("maxrl", {"k": 3}),
    ("exact", {}),
    ("detached", {}),
]


def everything(made, used, draws):
    """Mean `[B, P]` and trace `[B]` of the covariance over every joint outcome of one prompt at a time."""
    means, traces = [], []
    for prompt in range(len(made.answers)):
        x = torch.full((1, 1), float(prompt), dtype=torch.float64)
        q = made.encode(x).detach()
        noise, weights = outcomes(q, draws)
        replicas = replay(q, noise)
        loss = used(replicas, lambda z, q=None, x=x: made.cost(x, z), x).loss
        each = torch.autograd.grad(loss.sum(), replicas.params)[0].flatten(1)
        means.append(weights @ each)
        traces.append(weights @ (each - means[-1]).square().sum(1))
    return torch.stack(means), torch.stack(traces)


@pytest.mark.parametrize(("name", "hyper"), USED)
def test_groups_are_those_of_every_joint_outcome(name, hyper):
    made, used = problem(**SMALL), bench.estimator(name, **hyper)
    groups, signal = made.groups(torch.arange(2.0)[:, None]), advantages(used)
    draws = 1 if name in ("exact", "detached") else used.k
    mean, trace = everything(made, used, draws)
    torch.testing.assert_close(groups.variance(signal), trace, rtol=0, atol=1e-12)
    if name not in ("exact", "detached"):  # whose gradients are no sum of signals
        torch.testing.assert_close(groups.mean(signal), mean, rtol=0, atol=1e-12)
    exact, _ = everything(made, Exact(), 1)
    torch.testing.assert_close(groups.gradient, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [2, 8, 64])
def test_factors_between_prompts_are_the_published_ones(size):
    made = problem(**SMALL | {"vocabulary": 4, "length": 4, "prompts": 8})
    groups = made.groups(torch.arange(8.0)[:, None])
    j = torch.arange(size + 1).double()
    for b, p in enumerate(groups.success.tolist()):
        ways = [math.comb(size, int(i)) * p**i * (1 - p) ** (size - i) for i in j.tolist()]
        std = sum(w * math.sqrt(i * (size - i) * (size - 1) / size**3) for i, w in enumerate(ways)) / (p * (1 - p))
        factors = {"dr_grpo": (size - 1) / size, "grpo": std, "maxrl": (1 - (1 - p) ** (size - 1)) / p, "rloo": 1.0}
        for name, factor in factors.items():
            mean = groups.mean(advantages(bench.estimator(name, k=size)))[b]
            torch.testing.assert_close(mean, factor * groups.gradient[b], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("policy", ["own", "shared"])
@pytest.mark.parametrize("name", ["rloo", "grpo", "maxrl"])
def test_measured_variances_are_the_exact_ones(name, policy):
    made, used = problem(**SMALL | {"length": 3, "prompts": 3, "policy": policy}), bench.estimator(name, k=8)
    x = torch.tensor([[0.0], [2.0]]).double()
    rows = measure(Objective(made, used, beta=0.0), x[None], DRAWS, seed=4, layers=True)
    exact = made.variances(used, x[None])
    assert {row["part"] for row in rows} == exact.keys()
    for row in rows:
        assert abs(row["variance_noise"] - exact[row["part"]]) < BOUND * row["variance_noise_se"], row["part"]
        assert row["variance_noise_se"] < 0.1 * row["variance_noise"]


@pytest.mark.parametrize("name", ["rloo", "reinforce"])
def test_the_mean_is_the_exact_gradient_by_z(name):
    made, x = problem(**SMALL | {"vocabulary": 4, "length": 4}), torch.arange(2.0)[:, None].double()
    reference = Objective(made, Exact(), beta=0.0)
    rows = measure(Objective(made, bench.estimator(name), beta=0.0), x[None], DRAWS, seed=4, reference=reference)
    assert all(abs(row["bias_sq"]) < BOUND * row["bias_sq_se"] for row in rows)
    wrong = measure(Objective(made, bench.estimator("maxrl"), beta=0.0), x[None], DRAWS, seed=4, reference=reference)
    assert all(row["bias_sq"] > BOUND * row["bias_sq_se"] for row in wrong)


def test_prompts_are_of_different_difficulty():
    made = problem(**SMALL | {"vocabulary": 4, "length": 4, "prompts": 9, "spread": 0.0})
    wanted = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 1 / 2]
    assert made.successes().tolist() == pytest.approx(wanted)
    assert made.value() == pytest.approx(-sum(wanted) / 9)
    assert made.divergence() == pytest.approx(0, abs=1e-12)
    z = made.encode(torch.zeros(9, 1)).sample(5)
    costs = made.cost(torch.arange(9.0)[:, None], z)
    assert z.shape == (5, 9, 4)
    assert set(costs.flatten().tolist()) <= {0.0, -1.0}


def test_own_logits_learn_their_prompts_alone():
    own, shared = (problem(**SMALL | {"policy": policy}) for policy in ("own", "shared"))
    x = torch.ones(1, 1).double()
    for made, rows in ((own, 2), (shared, 1)):
        loss = Exact()(made.encode(x), lambda z, q=None, made=made: made.cost(x, z), x).loss.sum()
        (gradient,) = torch.autograd.grad(loss, made.encoder.parameters())
        assert gradient.shape == (rows, 3, 2)
        assert gradient[-1].any()
        assert rows == 1 or not gradient[0].any()


@pytest.mark.parametrize("policy", ["own", "shared"])
def test_a_run_with_and_without_a_prior(tmp_path, policy):
    words = ("problem=tokens", f"problem.policy={policy}", "dtype=float64", "train.steps=150", "train.lr=0.1")
    words += ("estimator=rloo", "estimator.k=8", "train.batch_size=4", "measure.batch_size=4", "measure.draws=300")
    assert run(config(*words, "problem.prompts=4"), tmp_path / "a").status == "done"
    start, end = (row for row in numbers(tmp_path / "a")["objective"] if row["step"] in (0, 150))
    assert start["elbo"] == start["reconstruction"] == pytest.approx((1 / 2 + 1 / 4 + 1 / 8 + 1 / 16) / 4)
    assert end["reconstruction"] > 2 * start["reconstruction"]
    assert end["kl"] > 0
    first = numbers(tmp_path / "a")["gradient"][0]
    assert first["reference"] == "exact"
    assert first["variance_exact"] == pytest.approx(first["variance_noise"], rel=0.5)
    bound = ("objective.beta=1", "objective.kl=sampled", "estimator=vimco", "train.steps=20", "problem.prompts=4")
    assert run(config(*[w for w in words if "rloo" not in w and "steps" not in w], *bound), tmp_path / "b").status
    rows = numbers(tmp_path / "b")
    assert [row["variance_exact"] for row in rows["gradient"]] == [None] * len(rows["gradient"])
    for row in rows["objective"]:
        assert row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"])


def test_a_space_too_large_to_enumerate():
    with pytest.raises(ValueError, match=r"at most 65536 of them; problem\.vocabulary=4 and problem\.length=9 make"):
        problem(**SMALL | {"vocabulary": 4, "length": 9})


@pytest.mark.parametrize(("vocabulary", "length"), [(3, 2), (4, 2), (2, 4)])
@pytest.mark.parametrize("shift", [0, 40])
def test_a_policy_that_always_succeeds_has_a_known_variance(vocabulary, length, shift):
    # The chances of the accepted sequences sum to 1 up to rounding, above it in some of these policies.
    noise = torch.Generator().manual_seed(0)
    nodes = (vocabulary**length - 1) // (vocabulary - 1)
    params = torch.randn(200, nodes, vocabulary, generator=noise, dtype=torch.float64)
    params[:, 0, 0] += shift
    accepted = torch.zeros(200, vocabulary**length, dtype=torch.float64)
    accepted[:, : accepted.shape[1] // vocabulary if shift else None] = 1  # those that begin with the likely token
    groups = Groups.of(Sequence(params), accepted)
    assert ((Sequence(params).log_probs().exp() * accepted).sum(-1) > 1).any()  # the test meets what it is about
    for estimator in (RLOO(4), *(GroupRelative(4, scale) for scale in ("none", "std", "mean"))):
        signal = advantages(estimator)
        torch.testing.assert_close(groups.mean(signal), torch.zeros_like(groups.means[0]), atol=1e-6, rtol=0)
        variance = groups.variance(signal)
        torch.testing.assert_close(variance, torch.zeros_like(variance), atol=1e-6, rtol=0)
