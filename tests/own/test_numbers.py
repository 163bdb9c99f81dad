"""Gradients of modules of other people's making against a loop of single backward passes, and against our own VAE."""

import pytest
import torch

import bench
from bench.measure.gradient.draws import take
from bench.measure.gradient.plan import PLANS
from bench.measure.gradient.reference import draw_reference
from bench.measure.gradient.rows import measure
from bench.measure.look import adapted
from bench.model.objective import Objective
from estimators.exact import Exact
from estimators.rebar import Rebar
from estimators.reparam import Reparam
from estimators.rloo import RLOO
from estimators.straight_through import StraightThrough
from tests.support.loop import numbered
from tests.support.objectives import CASES, objective_of
from tests.support.own_models import FORMS, Adopted, Odd, Ours, ResNet, Sentences, by_part
from tests.support.small import brute_force, images, vae

DRAWS = 7
NUMBERS = ("variance_noise", "norm_sq", "variance_data", "variance", "snr")


@pytest.fixture(params=["cpu", "cuda"], autouse=True)
def plan(request, monkeypatch):
    """Both plans, on the processor."""
    monkeypatch.setitem(PLANS, "cpu", PLANS[request.param])


def looked_at(module, x):
    torch.manual_seed(0)
    return adapted(module.double().eval(), x)


def agree(objective: Objective, probe: torch.Tensor) -> None:
    """All statistics of the three parts are those of the loop."""
    for x in probe:
        with numbered(objective.estimator) as numbers:
            found = {row["part"]: row for row in measure(objective, x[None], DRAWS, seed=0)}
        first = next(numbers) - DRAWS  # after those with which the layers were looked at, where these were in vain
        for part, gradients in by_part(objective, x, DRAWS, first).items():
            expected = brute_force([gradients.numpy()])
            for name in ("variance_noise", "norm_sq", "snr"):
                wanted = pytest.approx(expected[name], rel=1e-7, abs=1e-12, nan_ok=True)
                assert found[part][name] == wanted, (part, name)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_linear_layer(form):
    torch.manual_seed(3)
    made, probe = Odd(form), torch.randn(2, 3, 2, 3).double()
    agree(Objective(looked_at(made, probe[0]), Reparam(2), beta=1.3), probe)


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_a_residual_network_of_images_in_colour(kl):
    torch.manual_seed(4)
    made, probe = ResNet(side=8, width=2, bits=5), torch.rand(1, 3, 3, 8, 8).double()
    agree(Objective(looked_at(made, probe[0]), RLOO(3), kl, 1.3), probe)


@pytest.mark.parametrize("estimator", [RLOO(2), Rebar(1).double()], ids=["rloo", "rebar"])
def test_a_transformer_that_writes_tokens(estimator):
    torch.manual_seed(5)
    made, probe = Sentences(), torch.randint(5, (1, 3, 4))
    agree(Objective(looked_at(made, probe[0]), estimator), probe)


@pytest.mark.parametrize("rows", [1, 2, 4, 8], ids=lambda b: f"{b} examples")
def test_an_axis_as_long_as_all_points_together_is_not_taken_for_them(rows):
    torch.manual_seed(6)
    for form in ("positions first", "turned", "sequence"):
        probe = torch.randn(1, rows, 6).double()
        agree(Objective(looked_at(Odd(form), probe[0]), Reparam(1)), probe)


@pytest.mark.parametrize("case", [c for c in CASES if c != "detached"])
def test_the_numbers_of_our_own_models(case):
    ours, x = objective_of(case), images(3)
    foreign = looked_at(Ours(ours.model), x.unflatten(-1, (1, 4, 4)))
    theirs = Objective(foreign, ours.estimator, ours.kl, ours.beta)
    with numbered(ours.estimator):
        wanted = take(ours, x, DRAWS)
    with numbered(ours.estimator):
        found = take(theirs, x.unflatten(-1, (1, 4, 4)), DRAWS)
    names = {n: "latent" if n == "latent" else foreign.block(f"module.inner.{n}") for n in wanted}
    assert {*found} == {*names.values()}
    for own, name in names.items():
        torch.testing.assert_close(found[name].mean(), wanted[own].mean(), rtol=1e-9, atol=1e-10)
        total = sum(float(t.squares.sum()) for t in (found[name],)), float(wanted[own].squares.sum())
        if torch.equal(found[name].constant, wanted[own].constant):
            assert total[0] == pytest.approx(total[1], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("family", ["bernoulli", "gaussian", "categorical", "vq"])
def test_measure_gives_the_rows_of_our_own_model(family):
    own, probe = vae(family), images(2, 3)
    estimator = Reparam() if family == "gaussian" else RLOO(2)
    objective = Objective(own, estimator)
    reference = draw_reference(objective.under(Exact(nodes=6)), probe, 1) if family != "gaussian" else None
    wanted = {r["part"]: r for r in measure(objective, probe, 9, seed=2, memory=256, reference=reference)}
    found = bench.measure(
        Ours(own), probe.unflatten(-1, (1, 4, 4)), [estimator], draws=9, seed=2, repetitions=0,
        reference="auto" if reference else "none",
    )  # fmt: skip
    for row in found.to_dict("records"):
        for name in (*NUMBERS, *(("bias_sq", "cosine") if reference else ())):
            expected = wanted[row["part"]][name]
            assert row[name] == pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True), (row["part"], name)
            assert row[f"{name}_se"] == pytest.approx(
                wanted[row["part"]][f"{name}_se"], rel=1e-6, abs=1e-12, nan_ok=True
            )


def test_many_draws_pass_as_one_batch_where_they_can_be_told_apart():
    x = images(3).unflatten(-1, (1, 4, 4))
    assert looked_at(Adopted(), x).separates
    assert looked_at(Odd("sequence"), torch.randn(2, 6).double()).separates
    assert not looked_at(Odd("positions first"), torch.randn(2, 6).double()).separates
    agree(Objective(looked_at(Adopted(), x), StraightThrough(2)), x[None])
