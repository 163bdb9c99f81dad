"""The batched measurement against a loop of single backward passes on the same noise, for every option and preset."""

from functools import cache

import pytest
import torch
from torch import Tensor

from bench.check.subject import names, subject
from bench.measure.gradient.draws import take
from bench.measure.gradient.graph import reached
from bench.model.objective import Objective
from tests.support.loop import Slope, SlopeInsideVjp, explicit, numbered
from tests.support.small import images, vae

DRAWS = 5  # of which the first two are a chunk
CONV = {"arch": "conv", "hidden": [2, 3]}
POSTERIORS: dict[str, tuple[str, dict]] = {
    **{family: (family, {}) for family in ("gaussian", "bernoulli", "categorical", "vq")},
    "point mass": ("vq", {"temperature": 0.0}),
}
MODELS: dict[str, tuple[dict, torch.dtype]] = {
    "mlp": ({}, torch.float64),
    "loose": ({"prior": "learned", "likelihood": "gaussian", "learn_std": True}, torch.float64),
    "conv": (CONV, torch.float64),
    "mlp float32": ({}, torch.float32),
    "conv float32": (CONV, torch.float32),
}


@cache
def model(posterior: str, kind: str):
    torch.manual_seed(1)
    (family, latent), (config, dtype) = POSTERIORS[posterior], MODELS[kind]
    return vae(family, latent, **config).to(dtype)


def possible() -> list[tuple[str, str]]:
    x = images(2)
    made = {name: subject(name).make() for name in names()}
    posteriors = {p: model(p, "mlp").encode(x) for p in POSTERIORS}
    return [(n, p) for n in made for p, q in posteriors.items() if made[n].refuses(q) is None]


def objective_of(estimator, posterior: str, kind: str) -> tuple[Objective, Tensor]:
    """After one update, so that neither state nor lazy layers are at their start."""
    dtype, made = MODELS[kind][1], model(posterior, kind)
    sampled = "sampled" in (estimator.kl, "sampled" if estimator.objective == "iwae" else "")
    objective, x = Objective(made, estimator, "sampled" if sampled else "analytic"), images(3).to(dtype)
    estimator.to(dtype)
    estimate = objective.estimate(made.encode(x), x)
    estimator.to(dtype).update(estimate)
    return objective, x


def largest_difference(objective: Objective, x: Tensor, left_out: int = 0) -> float:
    """Between the tallies and the loop, as a fraction of a draw's root mean square length; over all blocks. `left_out`
    draws are taken first and not counted."""
    with numbered(objective.estimator):
        tallies = take(objective, x, DRAWS, memory=0.01)
    counts = tallies["latent"].counts
    draws = int(counts.sum())
    wanted = explicit(objective, x, draws, left_out)
    assert set(tallies) == set(wanted)
    worst, group = 0.0, torch.arange(len(counts)).repeat_interleave(counts)
    for name, tally in tallies.items():
        expected, constant = wanted[name].double(), tally.vectors()[-1].double()
        length = expected.square().sum(1).mean().sqrt() + constant.norm() + 1e-30
        sums = torch.zeros(len(counts), expected.shape[1]).double().index_add_(0, group, expected)
        found = tally.vectors()[:-1].double() + counts[:, None] * constant
        around = (expected - constant).square().sum(1)
        squares = torch.zeros(len(counts)).double().index_add_(0, group, around)
        apart = (found - sums).norm(dim=1).max() / length, (tally.squares - squares).abs().max() / length**2
        worst = max(worst, *(float(a) / draws for a in apart))
    return worst


class Told:
    """`reached`, and all that it has answered."""

    def __init__(self):
        self.answers: set[bool] = set()

    def __call__(self, *given) -> bool:
        self.answers.add(answer := reached(*given))
        return answer


@pytest.mark.parametrize(("name", "posterior"), possible())
def test_every_estimator_is_measured_as_by_a_loop(name, posterior, monkeypatch):
    monkeypatch.setattr("bench.measure.gradient.decoder.reached", told := Told())
    for kind, (_, dtype) in MODELS.items():
        objective, x = objective_of(subject(name).make(), posterior, kind)
        found = largest_difference(objective, x)
        assert found < (1e-10 if dtype == torch.float64 else 1e-5), (kind, found)
    slow = objective.estimator.learns_codes  # from the first draw on, and nothing is asked
    assert told.answers == (set() if slow else {False})  # no other takes the slow way


@pytest.mark.parametrize("planted", [Slope, SlopeInsideVjp])
@pytest.mark.parametrize("kind", ["mlp", "loose", "conv"])
def test_a_second_derivative_of_the_decoder_is_told_and_measured(planted, kind, monkeypatch):
    objective, x = objective_of(planted(2), "gaussian", kind)
    assert largest_difference(objective, x, left_out=1 if kind == "conv" else 2) < 1e-10
    monkeypatch.setattr("bench.measure.gradient.decoder.reached", lambda *_: False)
    assert largest_difference(objective, x) > 1e-3
