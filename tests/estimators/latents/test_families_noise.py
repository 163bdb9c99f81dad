"""The noise of the latent families: fixed seeds, a test at level 1e-4, and for each law a wrong one that is refused."""

import math

import pytest
import torch
from scipy import stats

from estimators.latents import FAMILIES, VQ, Bernoulli, Categorical, Discrete, Gaussian

LEVEL, REFUSED = 1e-4, 1e-9
DRAWS = 100_000
DISCRETE = ["bernoulli", "categorical", "vq"]
CODEBOOK = torch.tensor([[0.0, 1.0], [1.0, -0.5], [-1.0, 0.2]], dtype=torch.float64)
PARAMS = {  # [R, B, *] with R = 2, B = 1: two examples with laws of their own
    "bernoulli": torch.tensor([[[-1.5, 0.0, 0.8]], [[2.0, -0.3, 0.4]]]),
    "categorical": torch.tensor([[[[1.0, 0.0, -1.0], [0.2, 0.1, 2.0]]], [[[-1.0, 0.0, 0.5], [3.0, 1.0, 2.0]]]]),
    "vq": torch.tensor([[[[0.1, 0.4], [-0.5, 0.0]]], [[[1.0, 0.0], [0.3, -0.6]]]]),
}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["f32", "f64"])
def dtype(request) -> torch.dtype:
    return request.param


def make(family: str, dtype: torch.dtype = torch.float64, shift: float = 0.0) -> Discrete:
    """`shift` moves one coordinate of the parameters: the wrong law of the negative controls."""
    params = PARAMS[family].to(dtype, copy=True)
    params.flatten(2)[..., 0] += shift
    return VQ(params, CODEBOOK.to(dtype), 0.7) if family == "vq" else FAMILIES[family](params)


def fit_of_counts(z: torch.Tensor, q: Discrete) -> float:
    """p-value of Pearson's chi-square over the joint states of every example, so that dependence shows as well."""
    states = q.enumerate()  # [S, 1, 1, *]
    probs = q.log_prob(states).exp()  # [S, R, B]
    flat, listed = z.flatten(3).double(), states.flatten(1).double()
    radix = 2.0 ** torch.arange(flat.shape[-1], dtype=torch.float64)  # an id of its own for every state
    counts = (flat @ radix)[..., None] == listed @ radix  # [K, R, B, S]
    observed = counts.sum(0).movedim(-1, 0).double()  # [S, R, B]
    expected = probs.double() * len(z)
    assert expected.min() > 5
    statistic = ((observed - expected) ** 2 / expected).sum()
    return float(stats.chi2.sf(statistic.item(), (q.states - 1) * probs[0].numel()))


def same_law(first: torch.Tensor, second: torch.Tensor) -> float:
    """p-value that two samples `[n, units]` have one law: Kolmogorov-Smirnov on every unit and on random projections,
    corrected for their number. Projections see the dependence between units."""
    directions = torch.randn(first.shape[1], 8, dtype=torch.float64)
    both = [torch.cat([s.double(), s.double() @ directions], 1).T.numpy() for s in (first, second)]
    p_values = [stats.ks_2samp(a, b, method="asymp").pvalue for a, b in zip(*both, strict=True)]
    return min(1.0, min(p_values) * len(p_values))


@pytest.mark.parametrize("family", DISCRETE)
def test_frequencies_of_samples(family, dtype):
    z = make(family, dtype).sample(DRAWS)
    assert fit_of_counts(z, make(family)) > LEVEL
    assert fit_of_counts(z, make(family, shift=0.1)) < REFUSED


def test_samples_of_a_gaussian(dtype):
    q = Gaussian(torch.tensor([[[0.5, -2.0, 0.3, -1.0]], [[0.0, 3.0, 0.0, 0.5]]], dtype=dtype))
    for draw in (q.sample, q.rsample):
        z = draw(DRAWS)  # [K, R, B, D]
        noise = ((z - q.mean) / q.std).flatten(1).double()
        assert noise.shape == (DRAWS, 4)
        assert min(stats.kstest(column.numpy(), "norm").pvalue for column in noise.T) > LEVEL
        correlation = noise.T.corrcoef()
        assert (correlation - torch.eye(4)).abs().max() < 4.5 / math.sqrt(DRAWS)
        wrong = ((z - q.mean - 0.05) / q.std).flatten(1).double()
        assert stats.kstest(wrong[:, 1].numpy(), "norm").pvalue < REFUSED


def test_perturbed_logits_are_logistic_or_gumbel(dtype):
    bits, onehot = make("bernoulli", dtype), make("categorical", dtype)
    for q, law, wrong in ((bits, "logistic", "norm"), (onehot, "gumbel_r", "logistic")):
        noise = (q.perturbed(DRAWS) - q.logits).flatten(1).double().T.numpy()
        assert min(stats.kstest(unit, law).pvalue for unit in noise) > LEVEL
        assert max(stats.kstest(unit, wrong).pvalue for unit in noise) < REFUSED


@pytest.mark.parametrize("family", DISCRETE)
def test_perturbed_hardens_to_samples_of_the_same_law(family):
    q = make(family)
    assert fit_of_counts(q.harden(q.perturbed(DRAWS)), q) > LEVEL
    assert fit_of_counts(q.harden(make(family, shift=0.1).perturbed(DRAWS)), q) < REFUSED


@pytest.mark.parametrize("family", DISCRETE)
def test_conditional_hardens_to_z(family, dtype):
    q = make(family, dtype)
    states = q.enumerate().expand(-1, *q.batch_shape, *q.enumerate().shape[3:])
    z = states.repeat(500, *[1] * (states.ndim - 1))
    assert torch.equal(q.harden(q.conditional(z)), z)
    assert not torch.equal(q.harden(q.perturbed(len(z))), z)


@pytest.mark.parametrize("logit", [-20.0, -14.0, 14.0, 20.0])
def test_conditional_hardens_to_z_at_improbable_bits(logit, dtype):
    q = Bernoulli(torch.full((1, 1), logit, dtype=dtype))
    for bit in (0.0, 1.0):
        z = torch.full((10_000, 1, 1), bit, dtype=dtype)
        assert torch.equal(q.harden(q.conditional(z)), z)


@pytest.mark.parametrize("family", DISCRETE)
def test_conditional_has_the_law_of_perturbed_given_z(family):
    q = make(family)
    perturbed = q.perturbed(DRAWS)
    decided = q.harden(perturbed)
    for example in range(2):
        z = decided[0, example, 0]
        kept = (decided[:, example, 0] == z).flatten(1).all(1)  # rejection
        given = perturbed[kept, example, 0].flatten(1)
        n = len(given)
        assert n > 500
        drawn = q.conditional(z.expand(n, *q.batch_shape, *z.shape))[:, example, 0].flatten(1)
        assert same_law(given, drawn) > LEVEL
        unconditional = perturbed[:n, example, 0].flatten(1)
        assert same_law(given, unconditional) < REFUSED


@pytest.mark.parametrize("family", DISCRETE)
def test_conditional_mixed_over_z_is_perturbed(family):
    q, n = make(family), 30_000
    mixed, perturbed = q.conditional(q.sample(n)).flatten(1), q.perturbed(n).flatten(1)
    assert same_law(mixed, perturbed) > LEVEL
    assert same_law(q.conditional(make(family, shift=0.5).sample(n)).flatten(1), perturbed) < REFUSED


def test_conditional_of_bits_in_closed_form(dtype):
    """Tucker et al., REBAR, arXiv:1703.07370, appendix: the reparameterisation of the noise given the bit."""
    v = torch.rand(50, 2, 1, 3, dtype=dtype).clamp(0.01, 0.99)

    class Injected(Bernoulli):
        def uniform(self, k):
            return v

    q = Injected(make("bernoulli", dtype).params.requires_grad_())
    p, z = q.probs, q.sample(50)
    odds, flipped = v / (1 - v), (1 - v) / v
    expected = torch.where(z > 0.5, torch.log1p(odds / (1 - p)), -torch.log1p(flipped / p))
    ours = q.conditional(z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    gradient = [torch.autograd.grad(out.square().sum(), q.params, retain_graph=True)[0] for out in (ours, expected)]
    torch.testing.assert_close(*gradient, rtol=1e-4, atol=1e-4)


def test_conditional_of_categories_in_closed_form(dtype):
    """Tucker et al., REBAR, arXiv:1703.07370, appendix: Gumbels given which one is the largest."""
    v = torch.rand(50, 2, 1, 2, 3, dtype=dtype).clamp(0.01, 0.99)

    class Injected(Categorical):
        def gumbel(self, k):
            return -torch.log(-torch.log(v))

    q = Injected(make("categorical", dtype).params.requires_grad_())
    z = Categorical(q.params).sample(50)
    minus_log = -torch.log(v)  # exponential noise
    top = (z * minus_log).sum(-1, keepdim=True)
    expected = -torch.log(torch.where(z > 0.5, top, minus_log / q.probs + top)) + q.logits.logsumexp(-1, keepdim=True)
    ours = q.conditional(z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    gradient = [torch.autograd.grad(out.square().sum(), q.params, retain_graph=True)[0] for out in (ours, expected)]
    torch.testing.assert_close(*gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", DISCRETE)
def test_relaxed_is_the_softened_perturbation(family):
    q, n, temperature = make(family), 30_000, 0.6
    scaled = q.perturbed(n) / temperature
    expected = (torch.sigmoid(scaled) if family == "bernoulli" else scaled.softmax(-1)).flatten(1)
    drawn = q.relaxed(n, temperature).flatten(1)
    assert same_law(drawn, expected) > LEVEL
    assert same_law(q.relaxed(n, 2 * temperature).flatten(1), expected) < REFUSED


@pytest.mark.parametrize("family", ["gaussian", *DISCRETE])
def test_noise_under_vmap_differs_between_replicas(family):
    params = torch.zeros(3, 2, 4) if family in ("gaussian", "bernoulli") else torch.zeros(3, 2, 4, 2)

    def draw(p):
        return (VQ(p, CODEBOOK.float(), 0.7) if family == "vq" else FAMILIES[family](p)).sample(50)

    z = torch.func.vmap(draw, randomness="different")(params)
    assert z.shape[:3] == (3, 50, 2)
    assert not torch.equal(z[0], z[1])


@pytest.mark.parametrize("family", ["gaussian", *DISCRETE])
def test_noise_does_not_depend_on_how_parameters_lie_in_memory(family):
    """A compiler may lay them out otherwise, and every engine must draw the same."""
    params = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    laid = params.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    assert laid.stride() != params.stride()
    codebook = torch.randn(6, 5, dtype=torch.float64)
    for method in ("sample", "gumbel", "uniform", "normal"):
        drawn = []
        for p in (params, laid):
            if family in ("gaussian", "bernoulli"):
                p = p[..., :4]
            q = VQ(p, codebook, 0.7) if family == "vq" else FAMILIES[family](p)
            if not hasattr(q, method):
                break
            torch.manual_seed(3)
            drawn.append(getattr(q, method)(3))
        if drawn:
            torch.testing.assert_close(*drawn, rtol=0, atol=0)
