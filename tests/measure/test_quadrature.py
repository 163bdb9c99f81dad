"""What a Gaussian's bias is measured from: quadrature to a known error where it gets there, draws where it does not."""

import math

import pytest
import torch

import bench
from bench.measure.gradient.draws import take
from bench.measure.gradient.reference import QUADRATURE, TOLERANCE, draw_reference
from bench.measure.gradient.rows import measure
from bench.model.objective import Objective
from estimators import Gaussian
from estimators.exact import Exact, quadrature
from estimators.reparam import Reparam
from tests.support.small import images, vae

UNBIASED = ["reparam", "rloo", "measure_valued"]


def kinked(z, q=None):
    return (z.abs() + torch.relu(z - 1)).sum(-1)


def kinked_together(z, q=None):
    return (z.sum(-1).abs() + torch.relu(z[..., 0] * z[..., -1] - 0.3)) ** 1.0


def jumps(z, q=None):
    return (z[..., 0] > 0.3).to(z.dtype) + 3 * (z**2).sum(-1)


def compared(cost, coordinates, estimators, draws=20_000):
    q = Gaussian(torch.tensor([[0.4] * coordinates + [math.log(0.8)] * coordinates], dtype=torch.float64))
    return bench.compare(cost, q, estimators, draws=draws, reference_draws=100_000, repetitions=0).set_index(
        "estimator"
    )


@pytest.mark.parametrize(
    ("cost", "coordinates", "reference"),
    [(kinked, 1, QUADRATURE), (kinked_together, 2, "rloo"), (lambda z: z.sin().sum(-1) ** 2, 3, QUADRATURE)],
)
def test_unbiased_estimators_show_no_bias_whatever_the_cost(cost, coordinates, reference):
    found = compared(cost, coordinates, UNBIASED)
    assert set(found.reference) == {reference}
    assert (found.bias_sq.abs() < 4.5 * found.bias_sq_se + 1e-7).all(), found


def test_a_path_derivative_of_a_cost_that_jumps_is_biased_and_the_reference_is_not_of_its_kind():
    found = compared(jumps, 1, [*UNBIASED[1:], "reparam"])
    # d/dmean P(z > 0.3) is the density there, which the path derivative misses; d/dlog std likewise
    mean, std = 0.4, 0.8
    u = (0.3 - mean) / std
    density = math.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)
    missed = (density / std) ** 2 + (density * u) ** 2
    assert set(found.reference) == {"rloo"}
    assert abs(found.bias_sq["reparam"] - missed) < 4.5 * found.bias_sq_se["reparam"]
    assert (found.bias_sq[UNBIASED[1:]].abs() < 4.5 * found.bias_sq_se[UNBIASED[1:]]).all()


def test_the_error_of_a_quadrature_is_no_less_than_what_it_is_off_by():
    names = []
    for seed in range(6):
        torch.manual_seed(seed)
        model, probe = vae("gaussian", {"dim": 1}, hidden=[5], activation="relu"), images(2, 3)
        found = draw_reference(Objective(model, Exact()), probe, 64)
        names.append(found.name)
        if found.name != QUADRATURE:
            continue
        finest = [take(Objective(model, Exact(nodes=16_000)), x, 1) for x in probe]
        for block in finest[0]:
            pairs = zip(found.tallies, finest, strict=True)
            off = sum(float((a[block].mean() - b[block].mean()).square().sum()) for a, b in pairs) / len(probe)
            assert off <= found.errors[block] + 1e-20
        assert found.errors["encoder"] > 0
    assert names.count(QUADRATURE) >= 3


def test_rows_say_what_the_reference_is_and_its_error():
    torch.manual_seed(0)
    smooth, rough = vae("gaussian", {"dim": 2}, activation="tanh"), vae("gaussian", {"dim": 2}, activation="relu")
    for model, name in ((smooth, QUADRATURE), (rough, "reparam")):
        rows = measure(Objective(model, Reparam()), images(2, 3), 8, seed=0, reference=Objective(model, Exact()))
        assert {row["reference"] for row in rows} == {name}
        assert {row["reference_draws"] for row in rows} == {0 if name == QUADRATURE else 4096}
        for row in rows:
            assert (row["reference_error_sq"] is None) == (name != QUADRATURE)
    rows = measure(Objective(smooth, Reparam()), images(2, 3), 8, seed=0, reference=Objective(smooth, Exact()))
    encoder = next(row for row in rows if row["part"] == "encoder")
    assert encoder["reference_error_sq"] <= TOLERANCE**2 * 1.1 * encoder["reference_norm_sq"]


@pytest.mark.parametrize("nodes", [20, 128, 129, 4096])
def test_rules_integrate_the_normal_density(nodes):
    z, w = quadrature(nodes)
    for power, moment in {0: 1, 2: 1, 4: 3, 6: 15}.items():
        assert float((w * z**power).sum()) == pytest.approx(moment, rel=1e-12)
    assert float((w * z.sin()).sum()) == pytest.approx(0, abs=1e-14)
    assert float((w * (0.7 * z).exp()).sum()) == pytest.approx(math.exp(0.245), rel=1e-12)
