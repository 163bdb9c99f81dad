"""Residual quantisation in the harness: measured, counted, evaluated, trained and refused; one stage is plain VQ."""

import math

import pytest
import torch

from bench.check.measured import MODEL
from bench.config.identity import identity
from bench.config.plugins import estimator
from bench.config.prepare import prepare
from bench.measure.evaluate import evaluate
from bench.measure.gradient.draws import take
from bench.measure.gradient.rows import measure
from bench.measure.timing import evaluations
from bench.model.factory import objective, vae
from bench.model.residual import Residual
from bench.model.staged import Staged
from bench.model.vae import VAE
from estimators import VQ
from tests.support.composed import resolved
from tests.support.layers import images, one_by_one
from tests.support.small import LATENTS
from tests.support.stages import enumerated, residual, staged

SHAPE, MEAN = (1, 2, 2), torch.full((4,), 0.4)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("name", ["rloo", "exact", "rebar", "local_expectation", "ibq", "vq_straight_through"])
def test_measuring_takes_the_gradients_of_single_backward_passes(name, detach):
    its_own, x = staged(residual(3, detach, positions=2, codes=2), name), images()
    draws = 1 if name in ("exact", "ibq") else 2  # the first chunk
    torch.manual_seed(2)
    tallies = take(its_own, x, draws)
    torch.manual_seed(2)
    wanted = one_by_one(its_own, x, draws)
    fixed = its_own.fixed(its_own.model.encode(x)).mean()
    learned = {n: p for n, p in its_own.model.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(fixed, list(learned.values()), allow_unused=True, materialize_grads=True)
    constant = dict(zip(learned, grads, strict=True))
    for block, found in wanted.items():
        if block.startswith("codebook."):
            found = found + constant[f"{block}.weight"].mT.flatten()
        if block == "latent" or block.startswith("encoder."):
            continue  # whose part without noise is pulled back on its own
        vectors = tallies[block].vectors()
        torch.testing.assert_close(vectors[:-1] + vectors[-1], found, rtol=1e-9, atol=1e-12)
    assert {n for n in tallies if n.startswith("stage.")} == {"stage.1", "stage.2", "stage.3"}
    stages = sum(wanted[f"stage.{stage}"] for stage in (1, 2, 3))
    torch.testing.assert_close(stages, wanted["latent"], rtol=1e-9, atol=1e-12)  # the vectors bear on every rest


def test_the_parts_of_the_stages_have_their_own_bias_against_the_exact_gradient():
    model = residual(2)
    found = measure(staged(model, "rloo"), images()[None], 64, seed=0, reference=staged(model, "exact"))
    rows = {row["part"]: row for row in found}
    assert list(rows) == ["latent", "encoder", "decoder", "stage.1", "stage.2"]
    for part in ("stage.1", "stage.2"):
        assert rows[part]["reference"] == "exact"
        assert abs(rows[part]["bias_sq"]) < 5 * rows[part]["bias_sq_se"]
        assert rows[part].get("bias_sq_data") is None or math.isnan(rows[part]["bias_sq_data"])


def test_evaluations_are_counted_in_every_stage():
    model = residual(2)
    counted = {
        name: evaluations(staged(model, name), model.encode(images()), images())
        for name in ("rloo", "vq_straight_through", "rebar", "local_expectation", "exact")
    }
    assert counted == {
        "rloo": (4 + 4, 0),
        "vq_straight_through": (1 + 1, 1 + 1),
        "rebar": (3 + 3 * 3, 2 + 3 * 2),
        "local_expectation": (3 + 3, 0),
        "exact": (3 + 3 * 3, 0),
    }


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("name", ["rloo", "rebar", "exact", "vq_straight_through", "ibq"])
def test_one_stage_is_vq_number_for_number(name, detach):
    latent = LATENTS["vq"] | {"stages": 1, "residual_detach": detach}
    assert type(vae(latent, MODEL, SHAPE, MEAN)) is VAE
    grads, fixed = [], []
    for cls in (VAE, Residual):
        torch.manual_seed(3)
        model = vae(latent, MODEL | {"prior": "learned"}, SHAPE, MEAN).double()
        if cls is Residual:
            several = Residual(latent | {"stages": 2}, MODEL | {"prior": "learned"}, SHAPE, MEAN).double()
            several.codebook.books = several.codebook.books[:1]
            taken = model.state_dict()
            taken = {n.replace("codebook.", "codebook.books.0."): v for n, v in taken.items()}
            several.load_state_dict(taken | {"prior_params": torch.zeros_like(several.prior_params)})
            model = several
        made = objective(model, estimator(name).double())
        q = model.encode(images())
        torch.manual_seed(4)
        loss = (made.estimate(q, images()).loss + made.fixed(q)).mean()
        wanted = [p for n, p in model.named_parameters() if p.requires_grad and n != "prior_params"]
        grads.append(torch.autograd.grad(loss, wanted))
        fixed.append(loss)
    torch.testing.assert_close(*fixed, rtol=1e-12, atol=0)
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)


def test_one_stage_is_the_run_without_stages():
    plain = prepare(resolved("latent=vq"))
    for words in (["latent.stages=1"], ["latent.stages=1", "latent.residual_detach=false"]):
        assert prepare(resolved("latent=vq", *words)) == plain
    keys = ("stages", "residual_detach")
    before = plain | {"latent": {k: v for k, v in plain["latent"].items() if k not in keys}}
    assert identity(before) == identity(plain)
    several = [
        identity(prepare(resolved("latent=vq", *w)))
        for w in (["latent.stages=2"], ["latent.stages=2", "latent.residual_detach=false"])
    ]
    assert len({identity(plain), *several}) == 3


@pytest.mark.parametrize("detach", [True, False])
def test_the_losses_and_the_moving_averages_follow_the_nearest_codes(detach):
    model = residual(2, detach, codebook="gradient", prior="fixed")
    first, second = model.codebook.of(1), model.codebook.of(2)
    vectors = torch.randn(5, 1, 2, dtype=torch.float64, requires_grad=True)
    one = VQ(vectors, first.codes, 1.5)
    code = one.nearest() @ first.codes
    other = VQ(vectors - (code.detach() if detach else code), second.codes, 1.5)
    losses = [model.codebook.loss(one), first.loss(one) + second.loss(other)]
    learned = [vectors, first.lookup.weight, second.lookup.weight]
    grads = [torch.autograd.grad(loss.sum(), learned) for loss in losses]
    for found, wanted in zip(*grads, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


def test_each_stage_moves_its_codes_to_the_means_of_what_is_left():
    model = residual(2, codebook="ema", decay=0.0)
    books = [model.codebook.of(stage) for stage in (1, 2)]
    vectors = torch.randn(40, 1, 2, dtype=torch.float64)
    rest, wanted = vectors.flatten(0, 1), []
    for codes in [book.codes.clone() for book in books]:
        chosen = torch.cdist(rest, codes).argmin(1)
        means = [rest[chosen == c].mean(0) if (chosen == c).any() else codes[c] for c in range(3)]
        wanted.append(torch.stack(means))
        rest = rest - codes[chosen]  # by the codes that chose them, not by those that have moved
    model.codebook.update(VQ(vectors, model.codebook.codes, 1.5))
    for book, means in zip(books, wanted, strict=True):
        torch.testing.assert_close(book.codes, means, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("temperature", [20.0, 0.0])  # at which q leaves no state of p out, or is one state
def test_the_bounds_are_those_of_the_enumerated_model(temperature):
    model = residual(2, temperature=temperature)
    row = evaluate(model, images(), 20_000, 20_000, seed=0)
    assert row["elbo"] == pytest.approx(row["reconstruction"] - row["kl"])
    if temperature:
        assert row["elbo"] == pytest.approx(-float(enumerated(model, images()).detach().mean()), abs=0.02)
        assert row["iwae"] > row["elbo"]
        assert row["iwae"] == pytest.approx(row["log_prior_sampling"], abs=0.03)  # both are log p(x), but for noise
    else:
        total = sum(q.nearest() @ q.codebook for q in model.codebook.along_nearest(model.encode(images()).params))
        assert row["reconstruction"] == pytest.approx(
            float(model.log_likelihood(images(), total[None]).detach().mean())
        )
        assert row["iwae"] == pytest.approx(row["elbo"])


@pytest.mark.parametrize(
    ("name", "kl", "stages", "reason"),
    [
        ("vimco", "sampled", 2, "bounds log p(x) by K samples of one stage; several stages take"),
        ("rloo", "k2_loss", 2, "Between stages the KL is no term of its own: set objective.kl=analytic or sampled."),
        ("exact", "analytic", 9, "1.97e+4 states of 9 stages, more than limit=16384; take smaller stages"),
        ("spsa", "analytic", 2, "what is sampled after a stage is noise in both"),
        ("arm", "analytic", 2, "does not differentiate vq latents"),
        ("vq_straight_through", "sampled", 2, "is defined for the analytic KL"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(name, kl, stages, reason):
    model = residual(stages)
    found = Staged(model, estimator(name), kl).impossible(model.encode(images()))
    assert reason in found
    assert found.count(". ") == 0


@pytest.mark.parametrize("rule", [{"codebook": "fsq", "levels": [3, 2], "codes": 6}, {"codebook": "lfq", "codes": 4}])
def test_grids_have_no_stages(rule):
    with pytest.raises(ValueError, match="is the same at every stage"):
        residual(2, **rule)


def test_structured_prediction_has_no_codebook():
    with pytest.raises(ValueError, match="task=structured has no codebook"):
        vae(LATENTS["vq"], MODEL | {"task": "structured"}, SHAPE, MEAN)
