"""The batched measurement against a loop of single backward passes that sees the same noise."""

import math
from types import SimpleNamespace

import pytest
import torch

from bench.measure.gradient.draws import GROUPS, take
from bench.measure.gradient.encoder import EncoderPull
from bench.measure.gradient.layers import gradients, gram_pays, squared_norms
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.reference import Reference
from bench.measure.gradient.rows import measure
from bench.measure.gradient.sizes import counted_outputs
from bench.model.objective import Objective
from estimators import chunks
from estimators.exact import Exact
from estimators.rloo import RLOO
from tests.support.loop import explicit, numbered, one_gradient
from tests.support.objectives import CASES, CONV, objective_of
from tests.support.small import brute_force, images, vae

DRAWS = 67  # more than two for some groups, not a multiple of their number
ENCODERS = {
    "tanh": ("bernoulli", None, {"hidden": [5, 4]}),
    "relu": ("bernoulli", None, {"hidden": [5, 4], "activation": "relu"}),
    "leaky_relu": ("categorical", None, {"hidden": [5, 4], "activation": "leaky_relu"}),
    "conv": ("bernoulli", None, CONV),
    "conv relu": ("gaussian", None, CONV | {"activation": "relu"}),
    "fsq": ("vq", {"codebook": "fsq", "levels": [2, 2], "dim": 2, "codes": 4}, {}),
}


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """The plan of a GPU, on the processor."""
    monkeypatch.setitem(PLANS, "cpu", PLANS["cuda"])


@pytest.mark.parametrize("memory", [256, 0.01], ids=["one chunk", "chunks"])
@pytest.mark.parametrize("case", CASES)
def test_sums_of_every_block_are_those_of_a_loop_by_the_plan_of_a_gpu(case, memory, as_on_a_gpu):
    test_sums_of_every_block_are_those_of_a_loop(case, memory)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", ENCODERS)
def test_cotangents_are_pulled_as_one_by_one(case, dtype, bound, as_on_a_gpu):
    family, latent, model = ENCODERS[case]
    made = vae(family, latent, **model).to(dtype)
    pull = EncoderPull(made, images(5).to(dtype))
    cotangents = torch.randn(9, *pull.q.params.shape, dtype=dtype)
    layers, others = pull.pulled_through(cotangents)
    wanted = [c.output for c in pull.calls] + [p for _, p in pull.others]
    for r, cotangent in enumerate(cotangents):
        alone = torch.autograd.grad(pull.q.params, wanted, cotangent, retain_graph=True)
        for one, found in zip(alone, [*layers, *others.values()], strict=True):
            torch.testing.assert_close(found[r].flatten(), one.flatten(), rtol=bound, atol=bound)


@pytest.mark.parametrize("memory", [256, 0.01], ids=["one chunk", "chunks"])
@pytest.mark.parametrize("case", CASES)
def test_sums_of_every_block_are_those_of_a_loop(case, memory):
    objective, x = objective_of(case), images(3)
    draws = 1 if objective.estimator.noiseless else DRAWS
    wanted = explicit(objective, x, draws)
    with numbered(objective.estimator):
        tallies = take(objective, x, DRAWS, memory=memory)
    group = torch.arange(draws) * min(GROUPS, draws) // draws
    assert set(tallies) == set(wanted)
    for name, tally in tallies.items():
        vectors, counts = tally.vectors(), tally.counts[:, None]
        expected = torch.zeros_like(vectors[:-1]).index_add_(0, group, wanted[name])
        torch.testing.assert_close(vectors[:-1] + counts * vectors[-1], expected, rtol=0, atol=1e-10)
        squares = (wanted[name] - vectors[-1]).square().sum(1)
        summed = torch.zeros_like(tally.squares).index_add_(0, group, squares)
        torch.testing.assert_close(tally.squares, summed, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(tally.mean(), wanted[name].mean(0), rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", ["rloo", "conv", "loose", "vq straight-through", "rebar vq"])
def test_statistics_of_every_part_are_those_of_a_loop(case):
    objective, probe = objective_of(case), images(3, 2)
    reference = Objective(objective.model, Exact(nodes=6), objective.kl, 1.3)
    known = Reference("six nodes", 0, [take(reference, x, 1) for x in probe])  # whatever its error
    loops = [explicit(objective, x, 9, first=9 * m) for m, x in enumerate(probe)]
    exact = [one_gradient(reference, x) for x in probe]
    with numbered(objective.estimator):
        rows = measure(objective, probe, 9, seed=0, layers=True, reference=known)
    parts = {n: [n] for n in loops[0]}
    parts["encoder"] = [n for n in parts if n.startswith("encoder.")]
    parts["decoder"] = [n for n in loops[0] if n != "latent" and n not in parts["encoder"]]
    assert {row["part"] for row in rows} == set(parts)
    for row in rows:
        blocks = parts[row["part"]]
        gradients = [torch.cat([loop[n] for n in blocks], 1).numpy() for loop in loops]
        expected = brute_force(gradients, [torch.cat([e[n] for n in blocks]).numpy() for e in exact])
        for name, value in expected.items():
            if row["part"] == "latent" and name in ("variance", "variance_data"):
                assert row[name] != row[name]  # NaN: q's parameters belong to other images in another batch
            else:
                assert row[name] == pytest.approx(value, rel=1e-7, abs=1e-10, nan_ok=True), (row["part"], name)


def test_the_noise_of_a_sampled_reference_is_taken_off():
    objective, x = objective_of("rloo"), images(3)
    reference = Objective(objective.model, RLOO(5), beta=1.3)
    with numbered(objective.estimator), numbered(reference.estimator):
        row = measure(objective, x[None], 9, seed=0, reference=reference, reference_draws=40)[0]
    own, other = (explicit(o, x, n)["latent"].numpy() for o, n in ((objective, 9), (reference, 40)))
    expected = brute_force([own], [other])
    for name in ("bias_sq", "reference_norm_sq"):
        assert row[name] == pytest.approx(expected[name], rel=1e-8)
    assert row["bias_sq"] < brute_force([own], [other.mean(0)])["bias_sq"]
    assert (row["part"], row["reference"], row["reference_draws"]) == ("latent", "rloo", 40)


@pytest.mark.parametrize("groups", [1, 7, 1000])
def test_sums_do_not_depend_on_the_number_of_groups(groups, monkeypatch):
    objective, x = objective_of("rloo"), images(3)
    totals = []
    for number in (GROUPS, groups):
        monkeypatch.setattr("bench.measure.gradient.draws.GROUPS", number)
        with numbered(objective.estimator):
            tallies = take(objective, x, 20)
        assert tallies["latent"].counts.shape == (number if number <= 20 else 10,)  # pairs, where draws are few
        totals.append({name: (t.mean(), t.squares.sum(), t.counts.sum()) for name, t in tallies.items()})
    torch.testing.assert_close(totals[0], totals[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", ["exact", "exact conv"])
def test_an_estimator_may_compute_costs_again_in_the_backward_pass(case, monkeypatch):
    objective, x = objective_of(case), images(3)
    wanted = one_gradient(objective, x)
    monkeypatch.setitem(chunks.ELEMENTS, "cpu", 100)
    for name, tally in take(objective, x, 9).items():
        torch.testing.assert_close(tally.mean(), wanted[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("rows", "width_in", "width_out"), [(2, 9, 8), (9, 3, 2)], ids=["Gram", "direct"])
def test_norms_and_gradients_of_a_linear_layer(rows, width_in, width_out, shared, bias):
    layer = torch.nn.Linear(width_in, width_out, bias=bias).double()
    inputs = torch.randn(rows, width_in) if shared else torch.randn(4, rows, width_in)
    inputs, cotangents = inputs.double(), torch.randn(4, rows, width_out).double()
    wanted = []
    for r in range(4):
        loss = (layer(inputs if shared else inputs[r]) * cotangents[r]).sum()
        weight, *rest = torch.autograd.grad(loss, list(layer.parameters()))
        wanted.append(torch.cat([weight.mT.flatten(), *rest]))
    assert gram_pays(inputs, cotangents) == (rows == 2)
    found = gradients(inputs, cotangents, bias)
    torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=1e-12)
    torch.testing.assert_close(squared_norms(inputs, cotangents, bias), found.square().sum(1), rtol=1e-12, atol=0)


def test_chunks_change_no_distribution():
    objective, probe = objective_of("loose categorical"), images(1, 3)
    three = Objective(objective.model, RLOO(3), "sampled", 1.3)
    whole, parts = (measure(objective, probe, 4000, seed=seed, memory=memory) for seed, memory in ((0, 256), (1, 0.1)))
    other = measure(three, probe, 4000, seed=2)
    for a, b, c in zip(whole, parts, other, strict=True):
        for name in ("variance_noise", "norm_sq"):
            assert abs(a[name] - b[name]) < 4 * math.hypot(a[f"{name}_se"], b[f"{name}_se"])
        name = "variance_noise"  # the test sees what a third sample does
        assert abs(a[name] - c[name]) > 4 * math.hypot(a[f"{name}_se"], c[f"{name}_se"])


def test_a_tensor_that_several_modules_give_on_is_kept_once():
    inner = torch.nn.Linear(2, 3)
    network = torch.nn.Sequential(torch.nn.Sequential(inner), torch.nn.ReLU(), torch.nn.Linear(3, 4))
    with counted_outputs() as outputs:
        network(torch.zeros(5, 2))
    assert outputs.kept == 5 * (3 + 3 + 4)
    assert outputs.all == 5 * (3 + 3 + 3 + 4 + 4)
    with counted_outputs() as outputs, torch.no_grad():
        network(torch.zeros(5, 2))
    assert (outputs.kept, outputs.passing) == (0, 5 * 4)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_chunk_of_points_is_as_large_as_the_device_bears_and_never_empty(device):
    like = SimpleNamespace(device=torch.device(device))
    assert chunks.at_once(like, 2**20) == chunks.ELEMENTS[device] // 2**20
    assert chunks.at_once(like, 2**40) == 1
