"""The gradients of sequences: exact ones, unbiased ones at every step, and one step is the plain model."""

import copy

import pytest
import torch

from bench.config.plugins import estimator, registry
from bench.model.objective import Objective
from bench.model.vae import VAE
from tests.support.layers import SMALL, flat, learned
from tests.support.steps import PIXELS, TWO, cut, enumerated, rssm, sequences, stepped

LIMIT = 5.0  # standard errors
BATCHES, EXAMPLES = 40, 900  # 36,000 draws, of many batches: their scatter is the error
KINDS = [  # one of each; every option takes the same pass through two and three layers in test_layers.py
    *("reinforce", "rloo", "carms", "arsm", "disarm_tree", "local_expectation"),  # values alone
    *("rao_blackwell_topk", "sum_and_sample", "muprop", "rebar"),  # states in part, slopes
]


def gradient(objective, x):
    """Of the mean over `x [B, X]`, with respect to all parameters `[P]`."""
    q = objective.model.encode(x)
    return flat((objective.estimate(q, x).loss + objective.fixed(q)).mean(), learned(objective))


def largest(objective, wanted):
    """By how many standard errors the mean of 36,000 draws is off the wanted gradient `[P]` of the first sequence,
    where that is most."""
    single = copy.deepcopy(objective)
    single.model.float(), single.estimator.float()
    x = sequences(objective.model.layers)[:1].float().expand(EXAMPLES, -1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        found = torch.stack([gradient(single, x) for _ in range(BATCHES)]).double()
    error = (found.std(0) / BATCHES**0.5).clamp(min=1e-5)
    return float(((found.mean(0) - wanted).abs() / error).max())


@pytest.fixture(scope="module")
def exact():
    """The exact gradient of the first sequence of two steps."""
    return gradient(stepped(rssm(2), "exact"), sequences(2)[:1])


@pytest.mark.parametrize(("steps", "kl", "beta", "unimix"), [
    (1, "analytic", 1.0, 0.01), (2, "sampled", 1.0, 0.0), (3, "analytic", 0.7, 0.1), (4, "analytic", 1.0, 0.01),
])  # fmt: skip
def test_exact_is_the_gradient_of_the_enumerated_bound(steps, kl, beta, unimix):
    model, x = rssm(steps, unimix=unimix), sequences(steps)
    objective = stepped(model, "exact", kl, beta)
    assert objective.noiseless(model.encode(x))
    wanted = flat(enumerated(model, x, beta).mean(), learned(objective))
    assert wanted.abs().max() > 0.1
    torch.testing.assert_close(gradient(objective, x), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_unbiased_options_are_unbiased_over_two_steps(name, exact):
    assert registry()[name].cls.unbiased
    assert largest(stepped(rssm(2), name, **SMALL.get(name, {})), exact) < LIMIT


def test_values_alone_are_unbiased_over_four_steps():
    wanted = gradient(stepped(rssm(4), "exact"), sequences(4)[:1])
    assert largest(stepped(rssm(4), "rloo"), wanted) < LIMIT


@pytest.mark.parametrize(("name", "what"), [("rloo", "later"), ("rloo", "state"), ("muprop", "later")])
def test_a_step_that_forgets_is_found_out(name, what, exact):
    with cut(what):
        assert largest(stepped(rssm(2), name), exact) > 2 * LIMIT


def test_a_biased_estimator_is_found_out(exact):
    assert largest(stepped(rssm(2), "straight_through"), exact) > 2 * LIMIT


@pytest.mark.parametrize("name", ["rloo", "rebar", "straight_through", "exact"])
def test_one_step_is_the_plain_model(name):
    one, x = rssm(1, unimix=0.0), sequences(1)
    torch.manual_seed(3)
    plain = VAE(TWO, one.config, (1, 1, PIXELS), torch.full((PIXELS,), 0.4)).double()
    with torch.no_grad():
        for part in ("encoder", "decoder"):
            theirs = getattr(one, part).state_dict()
            first = "net.0.weight"
            width = getattr(plain, part).state_dict()[first].shape[1]
            getattr(plain, part).load_state_dict(theirs | {first: theirs[first][:, :width]})
        plain.prior_params.copy_(one.ahead(one.begin((1,), x)).params)
    grads = []
    for objective in (Objective(plain, estimator(name).double()), stepped(one, name)):
        objective.estimate(objective.model.encode(x), x)
        torch.manual_seed(4)
        q = objective.model.encode(x)
        loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
        shared = [*objective.model.encoder.net[2:].parameters(), *objective.model.decoder.net[2:].parameters()]
        grads.append(flat(loss, shared))
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-14)
