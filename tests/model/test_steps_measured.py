"""Sequences in the harness: measured, counted, evaluated and refused."""

import math

import pytest
import torch

from bench.check.measured import MODEL
from bench.config.plugins import estimator
from bench.config.prepare import prepare
from bench.measure.evaluate import evaluate
from bench.measure.gradient.rows import measure
from bench.measure.timing import evaluations
from bench.model.rssm import RSSM
from bench.model.steps import Stepped
from bench.run.experiment import Experiment
from tests.support.composed import resolved
from tests.support.layers import flat, learned, of_single_passes
from tests.support.small import LATENTS
from tests.support.steps import TWO, enumerated, rssm, sequences, stepped


@pytest.mark.parametrize("name", ["rloo", "muprop", "rebar", "local_expectation", "straight_through", "exact"])
def test_measuring_takes_the_gradients_of_single_backward_passes(name):
    objective, x = stepped(rssm(3), name), sequences(3)
    draws = 1 if name == "exact" else 2  # the first chunk
    of_single_passes(objective, x, draws)


def test_the_bias_is_that_of_the_exact_gradient():
    model, x = rssm(2), sequences(2)
    rows = {row["part"]: row for row in measure(
        stepped(model, "straight_through"), x[None], 2000, seed=0, reference=stepped(model, "exact")
    )}  # fmt: skip
    assert list(rows) == ["latent", "encoder", "decoder", "latent.1", "latent.2"]
    wanted = flat(enumerated(model, x).mean(), list(model.encoder.parameters()))
    assert rows["encoder"]["reference_norm_sq"] == pytest.approx(float(wanted.square().sum()), rel=1e-9)
    row = rows["encoder"]
    assert row["bias_sq"] > 10 * row["bias_sq_se"]
    assert rows["latent"]["norm_sq"] == pytest.approx(sum(rows[f"latent.{step}"]["norm_sq"] for step in (1, 2)))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_step_that_is_computed_is_counted(steps):
    model = rssm(steps)
    counted = {
        name: evaluations(stepped(model, name), model.encode(sequences(steps)), sequences(steps))
        for name in ("rloo", "straight_through", "muprop", "exact")
    }
    assert counted == {
        "rloo": (4 * steps * (steps + 1) // 2, 0),
        "straight_through": (steps, steps),
        "muprop": (sum(2**t for t in range(1, steps + 1)), sum(2**t for t in range(steps))),
        "exact": (sum(4**t for t in range(1, steps + 1)), 0),
    }


def test_the_bounds_are_those_of_the_enumerated_model():
    model, x = rssm(3), sequences(3)
    row = evaluate(model, x, 10_000, 10_000, seed=0)
    assert row["elbo"] == pytest.approx(-float(enumerated(model, x).detach().mean()), abs=0.03)
    assert row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"])
    assert row["iwae"] == pytest.approx(row["log_prior_sampling"], abs=0.03)  # both are log p(x), or nearly
    assert row["bits_per_dim"] == pytest.approx(-row["elbo"] / (9 * math.log(2)))


def test_the_weights_of_the_kl_are_those_of_its_two_sides():
    """The gradient is linear in the weights, and that of the true KL where both are 1; the loss is always the same."""
    found, losses = {}, {}
    for balance in ([1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.1]):
        objective, x = stepped(rssm(2, balance=balance), "exact"), sequences(2)
        losses[tuple(balance)] = objective.estimate(objective.model.encode(x), x).loss.mean()
        found[tuple(balance)] = flat(losses[tuple(balance)], learned(objective))
    for loss in losses.values():
        torch.testing.assert_close(loss, losses[1.0, 1.0])
    none, dynamics, representation = found[0.0, 0.0], found[1.0, 0.0], found[0.0, 1.0]
    torch.testing.assert_close(dynamics + representation - none, found[1.0, 1.0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(dynamics + 0.1 * (representation - none), found[1.0, 0.1], rtol=1e-10, atol=1e-12)
    named = {n: p.numel() for n, p in rssm(2).named_parameters() if p.requires_grad}
    by_name = dict(zip(named, representation.split(list(named.values())), strict=True))
    assert not any(g.any() for n, g in by_name.items() if n.startswith("guess."))  # no weight of the dynamics


@pytest.mark.parametrize(("name", "hyper", "steps", "model", "kl", "reason"), [
    ("vimco", {}, 2, {}, "analytic", "bounds log p(x) by K samples of one step; several steps take"),
    ("rloo", {}, 2, {}, "k2_loss", "set objective.kl=analytic or sampled"),
    ("rloo", {}, 2, {"balance": [1.0, 0.1]}, "sampled", "set objective.kl=analytic"),
    ("exact", {"limit": 63}, 3, {}, "analytic", "64 states of 3 steps"),
    ("muprop", {}, 15, {}, "analytic", "2^15 at the last of 15 steps"),
    ("straight_through", {"k": 3}, 9, {}, "analytic", "3^9 at the last of 9 steps; take k=1"),
])  # fmt: skip
def test_what_has_no_estimate_says_why(name, hyper, steps, model, kl, reason):
    made = rssm(steps, **model)
    before = torch.get_rng_state()
    found = Stepped(made, estimator(name, **hyper).double(), kl).impossible(made.encode(sequences(steps)))
    assert reason in found
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("change", "reason"), [
    ({"steps": 5}, "model.steps=5 does not divide the 6 rows"),
    ({"arch": "conv"}, "model.arch=mlp or linear"),
    ({"prior": "fixed"}, "model.prior=learned"),
    ({"latent": {"family": "bernoulli", "dim": 2}}, "model.unimix=0"),
    ({"latent": TWO | {"layers": [2, 2]}}, "latent.layers=null"),
    ({"latent": {"family": "vq"}, "unimix": 0.0}, "categorical, not vq"),
])  # fmt: skip
def test_what_is_no_sequence_says_why(change, reason):
    latent = change.get("latent", TWO)
    group = MODEL | {"task": "sequence", "prior": "learned", "steps": None, "state": 3, "unimix": 0.01,
                     "balance": [1.0, 1.0]} | change  # fmt: skip
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        RSSM(latent, group, (1, 6, 2), torch.full((12,), 0.5))


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_other_latents_go_without_the_mixture(family):
    group = rssm(2).config | {"unimix": 0.0}
    model = RSSM(LATENTS[family], group, (2, 1, 3), torch.full((6,), 0.4)).double()
    objective, x = stepped(model, "reparam" if family == "gaussian" else "disarm"), sequences(2)
    q = model.encode(x)
    grads = flat(objective.estimate(q, x).loss.mean(), learned(objective))
    assert grads.isfinite().all()
    assert grads.any()


@pytest.mark.parametrize("frames", [1, 4])
def test_the_experiment_has_a_step_for_each_frame(frames):
    """Of one frame too, whose rows would be the steps else."""
    few = ("data.examples=20", "train.batch_size=4")
    config = prepare(resolved("experiment=rssm", f"data.frames={frames}", *few) | {"option": "rloo"})
    assert Experiment(config).model.layers == frames
