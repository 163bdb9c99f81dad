"""Hierarchies in the harness: measured, counted, evaluated and refused; and one layer is what it has always been."""

import math

import pytest
import torch

from bench.check.measured import MODEL
from bench.config.identity import identity
from bench.config.plugins import estimator
from bench.config.prepare import prepare
from bench.measure.evaluate import evaluate
from bench.measure.gradient.rows import measure
from bench.measure.reference import reference_of
from bench.measure.timing import evaluations
from bench.model.hierarchy import Hierarchy
from bench.model.layered import Layered
from bench.model.objective import Objective
from bench.model.vae import VAE
from tests.support.composed import resolved
from tests.support.layers import (
    enumerated,
    gradient,
    hierarchy,
    images,
    layered,
    of_single_passes,
)
from tests.support.small import LATENTS


@pytest.mark.parametrize("name", ["rloo", "muprop", "rebar", "local_expectation", "straight_through", "exact"])
@pytest.mark.parametrize("layers", [[3, 2], [2, 1, 2]])
def test_measuring_takes_the_gradients_of_single_backward_passes(name, layers):
    objective, x = layered(hierarchy("bernoulli", layers), name), images()
    draws = 1 if name == "exact" else 2  # the first chunk
    of_single_passes(objective, x, draws)


@pytest.mark.parametrize(
    ("name", "family", "above"),
    [("rloo", "bernoulli", "gaussian"), ("rebar", "bernoulli", "categorical"), ("reinforce", "gaussian", "bernoulli")],
)
def test_measuring_layers_of_two_families_is_the_same(name, family, above):
    of_single_passes(layered(hierarchy(family, [2, LATENTS[above] | {"dim": 1}]), name), images(), 2)


def test_the_parts_of_the_layers_make_up_the_whole():
    objective, x = layered(hierarchy("bernoulli", [3, 2]), "rloo"), images()
    rows = {
        row["part"]: row for row in measure(objective, x[None], 64, seed=0, reference=layered(objective.model, "exact"))
    }
    assert list(rows) == ["latent", "encoder", "decoder", "latent.1", "encoder.1", "latent.2", "encoder.2"]
    for part in ("latent", "encoder"):
        for column in ("variance_noise", "norm_sq", "bias_sq", "reference_norm_sq"):
            assert rows[part][column] == pytest.approx(sum(rows[f"{part}.{layer}"][column] for layer in (1, 2)))
    assert rows["encoder"]["reference"] == "exact"


def test_evaluations_are_counted_in_every_layer():
    model = hierarchy("bernoulli", [3, 2])
    counted = {
        name: evaluations(layered(model, name), model.encode(images()), images())
        for name in ("rloo", "reinforce", "straight_through", "muprop", "rebar", "local_expectation", "exact")
    }
    assert counted == {
        "rloo": (4 + 4, 0),
        "reinforce": (1 + 1, 0),
        "straight_through": (1 + 1, 1 + 1),
        "muprop": (2 + 2 * 2, 1 + 2),
        "rebar": (3 + 3 * 3, 2 + 3 * 2),
        "local_expectation": (4 + 3, 0),
        "exact": (8 + 8 * 4, 0),
    }


def test_each_layer_has_parameters_and_state_of_its_own():
    model = hierarchy("bernoulli", [3, 2])
    objective = layered(model, "reinforce", baseline="network", hidden=3)
    estimate = objective.estimate(model.encode(images()), images())
    objective.estimator.update(estimate)
    first, second = objective.estimator.layers
    assert float(first.baseline.centre) == pytest.approx(float(estimate.cost.detach().mean()))
    assert float(second.baseline.centre) == pytest.approx(float(estimate.layers[1].cost.mean()))
    assert float(first.baseline.centre) != pytest.approx(float(second.baseline.centre))
    grads = torch.autograd.grad(estimate.tuning.mean(), list(objective.estimator.parameters()))
    assert all(g.any() for g in grads)
    sizes = [next(layer.baseline.layers.parameters()).shape[1] for layer in objective.estimator.layers]
    assert sizes == [4, 3]  # of the image, of the layer before


@pytest.mark.parametrize("name", ["rloo", "rebar", "exact"])
def test_one_layer_is_the_model_and_the_objective_without_layers(name):
    group = MODEL | {"prior": "learned"}
    torch.manual_seed(3)
    one = VAE(LATENTS["bernoulli"], group, (1, 2, 2), torch.full((4,), 0.4)).double()
    torch.manual_seed(3)
    several = Hierarchy(LATENTS["bernoulli"] | {"layers": [4]}, group, (1, 2, 2), torch.full((4,), 0.4)).double()
    grads = []
    for made in (Objective(one, estimator(name).double(), "sampled"), layered(several, name)):
        torch.manual_seed(4)
        grads.append(gradient(made, images()))
    torch.testing.assert_close(*grads, rtol=0, atol=0)


def test_the_bounds_are_those_of_the_enumerated_model():
    for toy in ("bernoulli", "structured"):
        model = hierarchy("bernoulli", [2, 2], task="structured" if toy == "structured" else "generative")
        bound = -enumerated(model, images()).detach()
        row = evaluate(model, images(), 20_000, 0, seed=0)
        assert row["elbo"] == pytest.approx(float(bound.mean()), abs=0.03)
        assert row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"])
        assert row["iwae"] > row["elbo"]
        assert row["bits_per_dim"] == pytest.approx(-row["elbo"] / (2 if toy == "structured" else 4) / math.log(2))
    marginal = hierarchy("bernoulli", [2, 2])
    row = evaluate(marginal, images(), 20_000, 20_000, seed=0)
    assert row["iwae"] == pytest.approx(row["log_prior_sampling"], abs=0.03)  # both are log p(x), but for noise


@pytest.mark.parametrize(
    ("name", "family", "layers", "kl", "task", "reason"),
    [
        ("rloo", "bernoulli", [3, 2], "analytic", "generative", "Between layers the KL has no closed form"),
        ("vimco", "bernoulli", [3, 2], "sampled", "generative", "bounds log p(x) by K samples of one layer"),
        ("exact", "bernoulli", [9, 9], "sampled", "generative", "2.62e+5 states of 2 layers"),
        ("exact", "gaussian", [1, 1], "sampled", "generative", "gaussian layers have none"),
        ("exact", "bernoulli", [1, LATENTS["gaussian"]], "sampled", "generative", "layers have none; take rloo"),
        ("disarm", "bernoulli", [1, LATENTS["categorical"]], "sampled", "generative", "not differentiate categorical"),
        ("reparam", "gaussian", [1, LATENTS["bernoulli"]], "sampled", "generative", "not differentiate bernoulli"),
        ("spsa", "gaussian", [1, 1], "sampled", "generative", "what is sampled after a layer is noise in both"),
        ("evolution", "bernoulli", [3, 2], "sampled", "generative", "what is sampled after a layer is noise in both"),
        ("unordered_set", "categorical", [2, 1], "sampled", "generative", "this latent has 3"),
        ("rloo", "bernoulli", [3, 2], "sampled", "structured", "set objective.beta=0"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(name, family, layers, kl, task, reason):
    model = hierarchy(family, layers, task=task)
    found = Layered(model, estimator(name), kl).impossible(model.encode(images()))
    assert reason in found
    assert found.count(". ") == 0


@pytest.mark.parametrize(
    ("family", "layers"),
    [("bernoulli", [2, LATENTS["categorical"]]), ("categorical", [1, LATENTS["bernoulli"], LATENTS["categorical"]])],
)
def test_the_bounds_of_several_families_are_those_of_the_enumerated_model(family, layers):
    model = hierarchy(family, layers)
    row = evaluate(model, images(), 20_000, 20_000, seed=0)
    assert row["elbo"] == pytest.approx(float(-enumerated(model, images()).detach().mean()), abs=0.03)
    assert row["iwae"] == pytest.approx(row["log_prior_sampling"], abs=0.05)


def test_the_reference_of_several_families_is_exact_where_there_are_states_and_otherwise_drawn():
    config = prepare(resolved("measure.reference=auto"))
    for family, above, name in (
        ("bernoulli", "categorical", "exact"),
        ("bernoulli", "gaussian", "rloo"),
        ("gaussian", "bernoulli", "rloo"),
        ("gaussian", "gaussian", "reparam"),
    ):
        model = hierarchy(family, [2, LATENTS[above] | {"dim": 1}])
        found = reference_of(layered(model, "rloo"), model.encode(images()), config)
        assert found.estimator.name == name


def test_a_list_of_one_layer_is_the_run_without_a_list():
    plain = prepare(resolved("latent.dim=7"))
    listed = prepare(resolved("latent.layers=[7]"))
    assert identity(plain) == identity(listed)
    assert plain == listed
    assert identity(prepare(resolved("latent.layers=[7,7]"))) != identity(plain)
    for written in ("[{family:bernoulli,dim:7}]", "[{dim:7,family:bernoulli}]"):
        assert prepare(resolved(f"latent.layers={written}")) == plain
    same = prepare(resolved("latent.layers=[{family:bernoulli,dim:7},7]"))
    assert (
        same
        == prepare(resolved("latent.layers=[7,{family:bernoulli,dim:7}]"))
        == prepare(resolved("latent.layers=[7,7]"))
    )
    other = prepare(resolved("latent.layers=[7,{family:categorical,dim:7,categories:2}]"))
    assert identity(other) != identity(prepare(resolved("latent.layers=[7,{family:categorical,dim:7,categories:3}]")))
    without = {
        group: {k: v for k, v in plain[group].items() if k not in ("layers", "task")} for group in ("latent", "model")
    }
    assert identity(plain | without) == identity(plain)  # as before there were layers
