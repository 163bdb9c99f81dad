"""A mixture of experts: the router's exact gradient, and how far those of sparse mixtures are off."""

import math

import pytest
import torch

from bench.config.identity import identity
from bench.config.plugins import estimator
from bench.config.prepare import prepare
from bench.measure.evaluate import evaluate
from bench.measure.gradient.rows import measure
from bench.measure.timing import evaluations
from bench.model.experts import Experts
from bench.model.factory import vae
from bench.model.layered import Layered
from tests.support.composed import resolved
from tests.support.experts import EXPERTS, GROUP, LATENT, MEAN, SHAPE, by_hand, mixture
from tests.support.layers import flat, gradient, images, largest, learned, of_single_passes


def objective(model: Experts, name: str) -> Layered:
    return Layered(model, estimator(name).double(), "analytic", 0.0)


def cost(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """-log p(lower half) `[..., B]`."""
    found = torch.nn.functional.binary_cross_entropy_with_logits
    return found(logits, x[:, 2:].expand_as(logits), reduction="none").sum(-1)


def test_exact_is_the_gradient_of_the_mean_over_the_experts():
    model, x = mixture(), images()
    probs, logits = by_hand(model, x)
    wanted = (probs.mT * cost(logits, x)).sum(0)
    made = objective(model, "exact")
    estimate = made.estimate(model.encode(x), x)
    torch.testing.assert_close(estimate.cost, wanted, rtol=1e-12, atol=1e-13)
    grads = [flat(loss.mean(), learned(made)) for loss in (estimate.loss, wanted)]
    torch.testing.assert_close(*grads, rtol=1e-11, atol=1e-14)
    assert evaluations(made, model.encode(x), x) == (EXPERTS, 0)


def test_a_gate_scales_the_output_of_the_most_probable_expert():
    model, x = mixture(), images()
    probs, logits = by_hand(model, x)
    top = probs.argmax(-1)
    chosen = logits[top, torch.arange(len(x))]
    wanted = cost(probs.max(-1).values[:, None] * chosen, x)
    made = objective(model, "top1_gate")
    estimate = made.estimate(model.encode(x), x)
    torch.testing.assert_close(estimate.cost, wanted, rtol=1e-12, atol=1e-13)
    grads = [flat(loss.mean(), learned(made)) for loss in (estimate.loss, wanted)]
    torch.testing.assert_close(*grads, rtol=1e-11, atol=1e-14)


def test_a_dense_mixer_tells_the_router_of_every_expert():
    """The slope of the cost at the gated output, times each expert's output, through the whole softmax."""
    model, x = mixture(), images()
    q = model.encode(x)
    probs, logits = by_hand(model, x)
    output = (probs.max(-1).values[:, None] * logits[probs.argmax(-1), torch.arange(len(x))]).detach().requires_grad_()
    (slope,) = torch.autograd.grad(cost(output, x).sum(), [output])
    heard = (logits.detach() * slope).sum(-1).mT  # [B, E]
    wanted = probs * (heard - (probs * heard).sum(-1, keepdim=True))
    made = objective(model, "dense_mixer")
    estimate = made.estimate(q, x)
    (found,) = torch.autograd.grad(estimate.loss.sum(), [q.params], retain_graph=True)
    torch.testing.assert_close(found.squeeze(1), wanted.detach(), rtol=1e-11, atol=1e-14)
    sparse = objective(model, "top1_gate")
    torch.testing.assert_close(estimate.cost, sparse.estimate(q, x).cost, rtol=0, atol=0)
    experts = [p for n, p in model.named_parameters() if n.startswith("decoder.")]
    grads = [flat(o.estimate(model.encode(x), x).loss.mean(), experts) for o in (made, sparse)]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-15)  # experts learn alike


def test_one_expert_is_no_choice():
    """With a router that is certain, gates are 1, and all options train the one expert that there is."""
    model, x = mixture(), images()
    torch.nn.init.zeros_(model.encoder["1"].net[-1].weight)
    model.encoder["1"].net[-1].bias.data.copy_(torch.tensor([0.0, 800.0, 0.0]))
    grads = [gradient(objective(model, name), x) for name in ("exact", "top1_gate", "dense_mixer")]
    experts = slice(sum(p.numel() for n, p in model.named_parameters() if n.startswith("encoder.")), None)
    for found in grads[1:]:
        torch.testing.assert_close(found[experts], grads[0][experts], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["rloo", "local_expectation", "rebar"])
def test_unbiased_options_find_the_router_s_gradient_and_gates_do_not(name):
    model = mixture()
    wanted = gradient(objective(model, "exact"), images()[:1])
    assert largest(objective(model, name), wanted) < 5
    for gate in ("top1_gate", "dense_mixer"):
        assert largest(objective(model, gate), wanted) > 1000  # they have no noise: by the floor of rounding


@pytest.mark.parametrize("name", ["rloo", "top1_gate", "dense_mixer", "exact", "st_gumbel_softmax"])
def test_measuring_takes_the_gradients_of_single_backward_passes(name):
    made, x = objective(mixture(), name), images()
    draws = 1 if made.noiseless(made.model.encode(x)) else 2
    of_single_passes(made, x, draws)


def test_the_cosine_with_the_router_s_exact_gradient_is_measured():
    model, x = mixture(), images()
    exact = objective(model, "exact")
    for name in ("top1_gate", "dense_mixer"):
        rows = {row["part"]: row for row in measure(objective(model, name), x[None], 2, seed=0, reference=exact)}
        a, b = (
            torch.autograd.grad(o.estimate(q := model.encode(x), x).loss.mean(), [q.params])[0]
            for o in (objective(model, name), exact)
        )
        assert rows["latent"]["cosine"] == pytest.approx(float((a * b).sum() / (a.norm() * b.norm())))
        assert rows["latent"]["bias_sq"] == pytest.approx(float((a - b).square().sum()))
        assert rows["latent"]["draws"] == 1


def test_the_use_of_the_experts_is_evaluated():
    model, x = mixture(), images()
    with torch.no_grad():
        probs, logits = by_hand(model, x)
        wanted = -float((probs.mT * cost(logits, x)).sum(0).mean())
    row = evaluate(model, x, 20_000, 0, seed=0)
    assert row["elbo"] == pytest.approx(wanted, abs=0.02)
    mean = probs.mean(0)
    assert row["perplexity"] == pytest.approx(math.exp(-float((mean * mean.log()).sum())))
    assert row["usage"] == len({*probs.argmax(-1).tolist()}) / EXPERTS


@pytest.mark.parametrize(
    ("latent", "model", "reason"),
    [
        ({"dim": 2}, {}, "set latent=categorical latent.dim=1"),
        ({"family": "bernoulli"}, {}, "set latent=categorical latent.dim=1"),
        ({}, {"task": "generative"}, "set model.task=structured objective.beta=0"),
        ({}, {"arch": "conv"}, "set model.arch=mlp"),
    ],
)
def test_what_experts_do_not_go_with_is_one_sentence(latent, model, reason):
    with pytest.raises(ValueError, match=reason):
        vae(LATENT | latent, GROUP | model, SHAPE, MEAN)


def test_a_network_is_the_run_without_the_key():
    plain = prepare(resolved())
    without = plain | {"model": {k: v for k, v in plain["model"].items() if k != "decoder"}}
    assert identity(without) == identity(plain)
    words = ("latent=categorical", "latent.dim=1", "model.task=structured", "objective.beta=0")
    assert identity(prepare(resolved(*words))) != identity(prepare(resolved(*words, "model.decoder=experts")))
