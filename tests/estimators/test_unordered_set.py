"""The estimators that sample without replacement: exact means over all ordered samples."""

import pytest
import torch

from estimators import Categorical, rao_blackwell_topk, sum_and_sample, unordered_set, without_replacement
from estimators.base import Estimate
from estimators.rao_blackwell_topk import RaoBlackwellTopk
from estimators.reinforce import Reinforce
from estimators.sum_and_sample import SumAndSample
from estimators.unordered_set import UnorderedSet
from estimators.without_replacement import joint_log_probs, order, remainder
from tests.support.costs import SampledKL, one_example, small_latents
from tests.support.enumerate import assert_pure, exact_moments, true_gradient, z_scores
from tests.support.injection import X
from tests.support.ordered import ordered_samples

X1 = torch.tensor([[0.2, 0.9, -0.4]], dtype=torch.float64)


def exact_mean(estimator, q, cost, k, monkeypatch):
    """Mean gradients of q and the decoder, mean cost, and the trace of the covariance, over all samples of k states."""
    index, weights = ordered_samples(q, k)
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    z = q.enumerate()[index].movedim(1, 0)  # [k, J, 1, D, C]
    for module in (unordered_set, sum_and_sample, rao_blackwell_topk):
        monkeypatch.setattr(module, "without_replacement", lambda q, k: z)
    replicas = q.with_params(q.params.detach().expand(len(index), *q.params.shape).clone().requires_grad_())
    estimate = estimator(replicas, cost, X1)
    (gradient,) = torch.autograd.grad(estimate.loss.sum(), replicas.params, retain_graph=True)
    (decoder,) = torch.autograd.grad((weights @ estimate.loss).sum(), list(cost.parameters()))
    mean = torch.einsum("j,j...->...", weights, gradient)
    variance = torch.einsum("j,j...->", weights, (gradient - mean) ** 2).item()
    return mean, decoder, weights @ estimate.cost.detach(), variance


def assert_exact(estimator, q, cost, k, monkeypatch):
    mean, decoder, value, variance = exact_mean(estimator, q, cost, k, monkeypatch)
    truth = true_gradient(q, cost)
    for got, expected in ((mean, truth.mean), (decoder, truth.decoder), (value, truth.cost)):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    return variance


class ExcludingSelf(UnorderedSet):
    """Planted error: the baseline is the mean of the others alone, which is not E cost but E cost given not z_s."""

    def forward(self, q, cost, x):
        z = unordered_set.without_replacement(q, self.k)
        c, log_p = cost(z), joint_log_probs(q, z)
        first, second = order(log_p, remainder(log_p))
        others = (second * c.detach()[without_replacement.successors(self.k, 1, c.device)[0]]).sum(1)
        loss = (first * ((c.detach() - others) * q.log_prob(z) + c)).sum(0)
        return Estimate(loss, (first * c).sum(0))


class EvenWeights(UnorderedSet):
    """Planted error: the states of the set count alike, as if they had been drawn independently."""

    def forward(self, q, cost, x):
        z = unordered_set.without_replacement(q, self.k)
        c = cost(z)
        return Estimate((c.detach() * q.log_prob(z) + c).mean(0), c.mean(0))


class RestByShare(SumAndSample):
    """Planted error: the last state weighs its own probability, not that of all the others."""

    def forward(self, q, cost, x):
        z = sum_and_sample.without_replacement(q, self.k)
        c = joint_log_probs(q, z).exp() * cost(z)
        return Estimate((c.detach() * q.log_prob(z) + c).sum(0), c.sum(0))


class LastDrawn(RaoBlackwellTopk):
    """Planted error: the sample is the last that is not in the top, not the first."""

    def forward(self, q, cost, x):
        kept = rao_blackwell_topk.without_replacement
        rao_blackwell_topk.without_replacement = lambda q, k: kept(q, k).flip(0)
        estimate = super().forward(q, cost, x)
        rao_blackwell_topk.without_replacement = kept
        return estimate


@pytest.mark.parametrize("family", ["categorical", "vq"])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_exact_mean(family, k, monkeypatch):
    q, cost = one_example(family)
    for c in (cost, SampledKL(cost, q)) if k == 2 else (cost,):
        variances = [
            assert_exact(UnorderedSet(k=k, baseline=b), q, c, k, monkeypatch) for b in (False, True)[: min(k, 2)]
        ]
        single = exact_moments(Reinforce(), q, c, X1, 1).variance.sum().item()
        ordered = assert_exact(SumAndSample(k=k), q, c, k, monkeypatch)
        assert variances[0] <= ordered + 1e-9 or k == 1  # the same, averaged over the order
        if k == 1:
            assert variances[0] == pytest.approx(single, rel=1e-10)
            assert ordered == pytest.approx(single, rel=1e-10)
        else:
            top = assert_exact(RaoBlackwellTopk(k=k - 1), q, c, k, monkeypatch)
            assert max(top, *variances[:1]) <= single  # Rao-Blackwell


@pytest.mark.parametrize(
    ("wrong", "k"), [(ExcludingSelf(k=3), 3), (EvenWeights(k=3), 3), (RestByShare(k=3), 3), (LastDrawn(k=2), 3)]
)
def test_planted_error_is_rejected(wrong, k, monkeypatch):
    q, cost = one_example("categorical")
    with pytest.raises(AssertionError, match="not close"):
        assert_exact(wrong, q, cost, k, monkeypatch)


def test_all_states_are_exact_draw_by_draw():
    q, cost = small_latents()["categorical"]
    q = q.with_params(q.params.requires_grad_())
    truth = true_gradient(q, cost)
    estimators = [UnorderedSet(k=9, baseline=False), UnorderedSet(k=9), SumAndSample(k=9), RaoBlackwellTopk(k=8)]
    for estimator in estimators:
        estimate = estimator(q, cost, X)
        gradient, decoder = torch.autograd.grad(estimate.loss.sum(), [q.params, cost.weights])
        for got, expected in ((gradient, truth.mean), (decoder, truth.decoder), (estimate.cost.detach(), truth.cost)):
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_large_latents_and_single_precision():
    q = Categorical(20 * torch.randn(2, 3, 200, 10).requires_grad_())
    for estimator in (UnorderedSet(k=6), SumAndSample(k=6), RaoBlackwellTopk(k=5)):
        estimate = estimator(q, lambda z, q=None: z[..., 0].sum(-1) ** 2, X.float())
        (gradient,) = torch.autograd.grad(estimate.loss.sum(), q.params)
        assert gradient.isfinite().all()
        assert estimate.loss.shape == (2, 3)


# A bias of 0.02 in any coordinate would show as |z| > 4.5 over 200,000 draws.
@pytest.mark.parametrize("family", ["categorical", "vq"])
@pytest.mark.parametrize("estimator", [UnorderedSet(k=3), SumAndSample(k=3), RaoBlackwellTopk(k=3)])
def test_unbiased_with_its_own_samples(family, estimator):
    q, cost = small_latents()[family]
    assert z_scores(estimator, q, cost, X).abs().max() < 4.5
    assert_pure(estimator, q, cost, X)


def test_refusals():
    q = small_latents()["categorical"][0]
    for build, sentence in (
        (lambda: UnorderedSet(k=1), "baseline=True needs k from 2 to 12"),
        (lambda: UnorderedSet(k=0, baseline=False), "baseline=False needs k from 1 to 12"),
        (lambda: UnorderedSet(k=13), "2 \\*\\* k subsets; got k=13"),
        (lambda: SumAndSample(k=0), "k >= 1 states; got k=0"),
        (lambda: RaoBlackwellTopk(k=0), "k >= 1 states; got k=0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build()
    for estimator in (UnorderedSet(k=10), SumAndSample(k=10), RaoBlackwellTopk(k=9)):
        assert f"but this latent has {q.states}; lower k." in estimator.refuses(q)
        assert "made for categorical, vq" in estimator.refuses(small_latents()["bernoulli"][0])
    for estimator in (UnorderedSet(k=9), SumAndSample(k=9), RaoBlackwellTopk(k=8)):
        assert estimator.refuses(q) is None
