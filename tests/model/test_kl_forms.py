"""Where the KL comes into the gradient: known values by enumeration, and what each form differentiates."""

import pytest
import torch

from bench.config.rules import RULES
from bench.files import ROOT
from bench.measure.gradient.rows import measure
from bench.measure.reference import reference_of
from bench.model.objective import KL_FORMS, Objective
from estimators import Bernoulli, Categorical
from estimators.exact import Exact
from estimators.rloo import RLOO
from tests.support.kl_forms import moments, page, true
from tests.support.small import images, run_config, vae

LOGITS = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64)
KL = torch.tensor([[0.0733374935, -0.1551990113, 0.2061068675]], dtype=torch.float64)
FORWARD = torch.tensor([[0.0744425168, -0.1681877722, 0.2502601056]], dtype=torch.float64)


def test_the_published_values():
    q = Bernoulli(LOGITS)
    assert float(q.kl()) == pytest.approx(0.19991523, abs=1e-8)
    torch.testing.assert_close(true(q), KL, rtol=0, atol=1e-10)
    mean, trace = moments(q, "sampled")
    torch.testing.assert_close(mean, KL, rtol=0, atol=1e-10)
    assert trace == pytest.approx(0.1908143151, abs=1e-10)
    mean, trace = moments(q, "k1_loss")
    assert mean.abs().max() < 1e-15
    assert trace == pytest.approx(0.6535410645, abs=1e-10)
    mean, trace = moments(q, "k3_loss")
    torch.testing.assert_close(mean, FORWARD, rtol=0, atol=1e-10)
    assert float((mean - KL).square().sum()) == pytest.approx(0.002119437419, abs=1e-12)
    assert trace == pytest.approx(0.4633450012, abs=1e-10)
    mean, _ = moments(q, "k3_reward")
    assert float(torch.cosine_similarity(mean.flatten(), KL.flatten(), 0)) == pytest.approx(-0.906770, abs=1e-6)


@pytest.mark.parametrize(
    "q",
    [
        Bernoulli(torch.tensor([[1.7, -0.2]], dtype=torch.float64)),
        Categorical(torch.tensor([[[0.3, -1.0, 0.8], [1.2, 0.1, -0.4]]], dtype=torch.float64)),
        Categorical(torch.tensor([[[2.0, 0.0, -1.0, 0.5]]], dtype=torch.float64)),
    ],
    ids=["bits", "two categoricals", "one categorical"],
)
def test_identities_hold_for_other_posteriors(q):
    torch.testing.assert_close(moments(q, "analytic")[0], true(q), rtol=0, atol=1e-12)
    torch.testing.assert_close(moments(q, "sampled")[0], true(q), rtol=0, atol=1e-12)
    torch.testing.assert_close(moments(q, "k2_loss")[0], true(q), rtol=0, atol=1e-12)
    assert moments(q, "k2_loss")[1] == pytest.approx(moments(q, "sampled")[1], rel=1e-12)
    assert moments(q, "k1_loss")[0].abs().max() < 1e-14
    leaf = q.with_params(q.params.detach().clone().requires_grad_())
    states = q.enumerate().expand(-1, *q.logits.shape)
    prior = q.standard().log_prob(states)
    forward = (prior.exp() * (prior - leaf.log_prob(states))).sum()  # KL(p || q)
    torch.testing.assert_close(
        moments(q, "k3_loss")[0], torch.autograd.grad(forward, leaf.params)[0], rtol=0, atol=1e-12
    )
    both = moments(q, "k3_loss")[0] + moments(q, "k3_reward")[0]
    torch.testing.assert_close(both, true(q), rtol=0, atol=1e-12)  # k3 in both is k1 in the reward
    assert (moments(q, "k3_reward")[0] - true(q)).abs().max() > 1e-2


def test_every_form_is_measured_against_the_gradient_of_the_bound():
    assert set(KL_FORMS) == set(RULES["objective.kl"].choices)
    model, probe = vae("bernoulli"), images(2, 4)
    for kl in KL_FORMS:
        objective = Objective(model, RLOO(k=2), kl, 1.3)
        reference = reference_of(objective, model.encode(probe[0]), run_config("bernoulli", {}))
        assert isinstance(reference.estimator, Exact)
        assert reference.kl == ("sampled" if kl == "sampled" else "analytic")
        rows = measure(objective, probe, 40_000, seed=0, reference=reference)
        (row,) = (row for row in rows if row["part"] == "encoder")
        unbiased = kl in ("analytic", "sampled", "k2_loss")
        assert (abs(row["bias_sq"]) < 4.5 * row["bias_sq_se"] + 1e-12) == unbiased, (kl, row)


def test_a_kl_with_a_draw_of_its_own_is_noise_also_of_an_estimator_without():
    model, x = vae("bernoulli"), images(1, 4)
    for kl, noisy in (("analytic", False), ("sampled", False), ("k2_loss", True), ("k3_reward", False)):
        (row,) = (r for r in measure(Objective(model, Exact(), kl), x, 16, seed=0) if r["part"] == "encoder")
        assert (row["variance_noise"] > 0) == noisy, kl
        assert row["draws"] == (16 if noisy else 1)


def test_the_page_is_what_the_enumeration_and_the_tables_say():
    assert (ROOT / "docs" / "kl.md").read_text() == page(), "run: make docs"
