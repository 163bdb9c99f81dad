"""The noise of the latent families: fixed seeds, a test at level 1e-4, and for each law a wrong one that is refused."""

import math

import pytest
import torch
from scipy import stats

from estimators.latents import FAMILIES, VQ, Gaussian
from tests.support.noise_laws import CODEBOOK, DISCRETE, DRAWS, LEVEL, REFUSED, fit_of_counts, make, same_law


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
