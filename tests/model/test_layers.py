"""The gradients of several layers of latents: exact ones, and unbiased ones in every layer."""

import pytest
import torch

from bench.config.plugins import estimator, registry
from bench.model.layered import Layered
from estimators import FAMILIES, Gaussian
from estimators.exact import Exact
from tests.support.layers import (
    enumerated,
    flat,
    forgotten,
    gradient,
    hierarchy,
    images,
    largest,
    layered,
    learned,
)

GAUSSIAN, BITS = {"family": "gaussian", "dim": 1}, {"family": "bernoulli", "dim": 1}
CATEGORICAL = {"family": "categorical", "dim": 1, "categories": 3}
MIXED = {
    "gaussian above bits": hierarchy("bernoulli", [2, GAUSSIAN | {"dim": 2}]),
    "categorical above gaussian": hierarchy("gaussian", [1, CATEGORICAL]),
    "categorical above bits": hierarchy("bernoulli", [2, CATEGORICAL]),
    "categorical, bits, gaussian": hierarchy("categorical", [1, BITS, GAUSSIAN]),
}
TOYS = MIXED | {
    "bernoulli": hierarchy("bernoulli", [2, 2]),
    "three layers": hierarchy("bernoulli", [1, 1, 2]),
    "categorical": hierarchy("categorical", [1, 1]),
    "gaussian": hierarchy("gaussian", [1, 1]),
    "structured": hierarchy("bernoulli", [2, 2], task="structured"),
}
LIMIT = 5.0  # standard errors: a bias of 8, which is 1.8 % of one draw's deviation, is missed once in 700 times


def unbiased(*families: str) -> list[str]:
    """The options that should be unbiased for layers of these families."""
    return [
        name
        for name, entry in sorted(registry().items())
        if all(FAMILIES[family] in entry.cls.latents for family in families)
        if entry.cls.unbiased and entry.cls.objective == "elbo" and entry.cls is not Exact
    ]


@pytest.fixture(scope="module")
def exact():
    """The exact gradient of the first image, by toy."""
    found = {}
    for toy, model in TOYS.items():
        smooth = Gaussian in model.families  # whose quadrature is exact to more digits than 200,000 draws have
        objective = Layered(model, estimator("exact", nodes=60).double()) if smooth else layered(model, "exact")
        found[toy] = gradient(objective, images()[:1])
    return found


@pytest.mark.parametrize(
    ("family", "layers", "task"),
    [
        ("bernoulli", [3], "generative"),
        ("bernoulli", [3, 2], "generative"),
        ("bernoulli", [2, 1, 2], "generative"),
        ("categorical", [2, 1], "generative"),
        ("bernoulli", [2, 3], "structured"),
        ("bernoulli", [3, CATEGORICAL], "generative"),
        ("categorical", [1, BITS, CATEGORICAL], "generative"),
        ("categorical", [2, BITS], "structured"),
        ("bernoulli", [2, CATEGORICAL], "structured"),
    ],
)
def test_exact_is_the_gradient_of_the_enumerated_bound(family, layers, task):
    model = hierarchy(family, layers, task=task)
    objective = layered(model, "exact")
    assert objective.noiseless(model.encode(images()))
    bound = enumerated(model, images())
    estimate = objective.estimate(model.encode(images()), images())
    torch.testing.assert_close(estimate.cost, bound, rtol=1e-12, atol=1e-12)
    wanted = flat(bound.mean(), learned(objective))
    torch.testing.assert_close(flat(estimate.loss.mean(), learned(objective)), wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("toy", "name"), [
    *((family, name) for family in ("bernoulli", "categorical", "gaussian") for name in unbiased(family)),
    *(("three layers", name) for name in unbiased("bernoulli")),
    *((toy, name) for toy, model in MIXED.items() for name in unbiased(*(f.family for f in model.families))),
    *(("structured", name) for name in ("rloo", "muprop")),
])  # fmt: skip
def test_every_unbiased_option_is_unbiased_in_every_layer(toy, name, exact):
    assert largest(layered(TOYS[toy], name), exact[toy]) < LIMIT


@pytest.mark.parametrize(
    ("toy", "name", "what"),
    [("bernoulli", "rloo", "value"), ("bernoulli", "muprop", "value"), ("structured", "muprop", "value"),
     ("gaussian", "reparam", "slope"), ("bernoulli", "rebar", "slope"),
     ("gaussian above bits", "rloo", "value"), ("categorical above bits", "rebar", "slope"),
     ("categorical, bits, gaussian", "rloo", "value")],
)  # fmt: skip
def test_a_layer_that_forgets_those_after_it_is_found_out(toy, name, what, exact):
    with forgotten(what):
        assert largest(layered(TOYS[toy], name), exact[toy]) > 2 * LIMIT
