"""The gradients of residual quantisation: exact ones, and unbiased ones through every stage."""

from unittest.mock import patch

import pytest
import torch

from bench.config.plugins import registry
from bench.model.staged import StagePass
from estimators import VQ
from estimators.exact import Exact
from tests.support import layers
from tests.support.layers import flat, gradient, images, largest, learned
from tests.support.stages import enumerated, residual, staged

LIMIT = 5.0  # standard errors
MODEL = residual(detach=False)  # the codebooks of both stages bear on q of the second


def unbiased() -> list[str]:
    """The options that should be unbiased for VQ."""
    return [
        name
        for name, entry in sorted(registry().items())
        if VQ in entry.cls.latents and entry.cls.unbiased and entry.cls.objective == "elbo" and entry.cls is not Exact
    ]


@pytest.fixture(scope="module")
def exact():
    """The exact gradient of the first image."""
    return gradient(staged(MODEL, "exact"), images()[:1])


@pytest.fixture
def fewer(monkeypatch):
    monkeypatch.setattr(layers, "BATCHES", 20)
    monkeypatch.setattr(layers, "EXAMPLES", 2500)  # 50,000 draws


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize(
    ("stages", "detach", "prior", "beta", "latent"),
    [
        (2, True, "learned", 1.0, {}),
        (2, False, "fixed", 0.5, {"positions": 2, "codes": 2}),
        (3, False, "learned", 2.0, {"codes": 2}),
        (2, True, "learned", 1.0, {"codebook": "simvq"}),
    ],
)
def test_exact_is_the_gradient_of_the_enumerated_bound(kl, stages, detach, prior, beta, latent):
    model = residual(stages, detach, prior, **latent)
    objective, q = staged(model, "exact", kl, beta), model.encode(images())
    assert objective.noiseless(q)
    bound, estimate = enumerated(model, images(), beta), objective.estimate(q, images())
    wanted = flat(bound.mean(), learned(objective))
    torch.testing.assert_close(flat(estimate.loss.mean(), learned(objective)), wanted, rtol=1e-10, atol=1e-13)
    if kl == "sampled":
        torch.testing.assert_close(estimate.cost, bound, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", unbiased())
def test_every_unbiased_option_is_unbiased_through_both_stages(name, exact, fewer):
    assert largest(staged(MODEL, name), exact) < LIMIT


@pytest.mark.parametrize(("name", "what"), [("rloo", "value"), ("local_expectation", "value"), ("rebar", "slope")])
def test_a_stage_that_forgets_those_after_it_is_found_out(name, what, exact, fewer):
    after = StagePass.after

    def wrong(self, layer, before, z):
        return after(self, layer, before, z).detach() * (what == "slope")

    with patch.object(StagePass, "after", wrong):
        assert largest(staged(MODEL, name), exact) > 2 * LIMIT


@pytest.mark.parametrize("name", ["rloo", "exact", "st_gumbel_softmax"])
def test_a_stage_that_hands_on_the_vector_and_not_the_rest_is_found_out(name):
    """The rest is what makes the stages differ: without it the bound is another one."""
    conditional, x = StagePass.conditional, images()
    with patch.object(StagePass, "conditional", lambda self, stage, total: conditional(self, stage, None)):
        torch.manual_seed(3)
        wrong = gradient(staged(MODEL, name), x)
    torch.manual_seed(3)
    assert not torch.allclose(gradient(staged(MODEL, name), x), wrong, rtol=1e-3)


@pytest.mark.parametrize("stages", [2, 3])
@pytest.mark.parametrize("name", ["vq_straight_through", "vq_rotation"])
def test_straight_through_adds_up_the_gradients_of_all_stages_where_the_rest_is_detached(stages, name):
    """v_s = code_s + rest_s - sg(rest_s): the decoder's slope reaches the encoder R times, or once where the code in
    the rest takes away what its own stage has let through. A rotation turns each stage's share."""
    grads = {}
    for detach in (True, False):
        model = residual(stages, detach, prior="fixed", temperature=0.0)
        q = model.encode(images())
        points = model.walk(images(), 1)[0].detach().requires_grad_()
        (slope,) = torch.autograd.grad(-model.log_likelihood(images(), points).sum(), [points])
        loss = staged(model, name).estimate(q, images()).loss.sum()
        (grads[detach],) = torch.autograd.grad(loss, [q.params])
        if name == "vq_straight_through":
            torch.testing.assert_close(grads[detach], (stages if detach else 1) * slope[0], rtol=1e-10, atol=1e-13)
    assert not torch.allclose(grads[True], grads[False], rtol=1e-3)


@pytest.mark.parametrize("name", ["exact", "rloo", "local_expectation"])
def test_the_encoder_s_gradient_does_not_depend_on_the_codes_being_detached_where_nothing_is_pathwise(name):
    grads = []
    for detach in (True, False):
        model, x = residual(2, detach), images()
        torch.manual_seed(4)
        q = model.encode(x)
        (found,) = torch.autograd.grad(staged(model, name).estimate(q, x).loss.sum(), [q.params])
        grads.append(found)
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "name", ["ibq", "diveq", "nsvq", "vq_rotation", "vq_straight_through", "st_gumbel_softmax", "rebar"]
)
@pytest.mark.parametrize("detach", [True, False])
def test_the_decoder_reads_the_sum_of_the_codes(name, detach):
    """The value of the cost is that of the codes, at the temperature at which there is one."""
    hyper = {"diveq": {"std": 0.0}}.get(name, {})
    if name in ("st_gumbel_softmax", "rebar"):
        model = residual(2, detach, temperature=1e-4)
    else:
        model = residual(2, detach, prior="fixed", temperature=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        estimate = staged(model, name, beta=0.0, **hyper).estimate(model.encode(images()), images())
    total = sum(q.nearest() @ q.codebook for q in model.codebook.along_nearest(model.encode(images()).params))
    wanted = -model.log_likelihood(images(), total[None])[0]
    if name == "nsvq":  # which goes as far as the code, in another direction
        assert (estimate.cost - wanted).abs().max() > 1e-3
    else:
        torch.testing.assert_close(estimate.cost, wanted, rtol=1e-6, atol=1e-6)
