"""`bench.measure`: what it returns, what it leaves alone, and what it refuses."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench.errors import BadInput
from bench.measure.clock import Rounds
from bench.measure.look import adapted
from estimators import Bernoulli
from tests.support import someones_vae
from tests.support.bad_calls import CALLS, line, said
from tests.support.own_models import Adopted, Odd, Ours, ResNet, Sentences
from tests.support.small import vae

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own_model.md").read_text()
ERRORS = (Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text()
FIVE = ["rloo", "disarm", "rebar", "straight_through", "vimco"]
QUICK = {"draws": 8, "reference_draws": 8, "tuning_steps": 2, "repetitions": 0}


@pytest.fixture(scope="module")
def batches():
    return (torch.rand(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.5).float()


def test_a_vae_of_sixty_lines_is_measured_in_ten(batches, monkeypatch):
    monkeypatch.setattr("bench.own.costs.Rounds", lambda most: Rounds(most=5, block=1e-3))
    monkeypatch.setitem(bench.measure.__wrapped__.__kwdefaults__, "tuning_steps", 20)
    assert 50 <= len(inspect.getsource(someones_vae).splitlines()) <= 60
    assert not {"encode(", "log_likelihood(", "Latent"} & {*re.findall(r"[\w]+\(?", inspect.getsource(someones_vae))}
    (code,) = re.findall(r"```python\n(import torch\n.*?)```", PAGE, re.DOTALL)[:1]
    ten = code.split("# ten lines\n")[1]
    assert len([line for line in ten.splitlines() if line.strip()]) <= 10
    scope: dict = {"DiscreteVAE": someones_vae.DiscreteVAE, "batches": batches}
    exec(code, scope)
    table = scope["table"]
    assert table.estimator.unique().tolist() == FIVE
    assert table.part.unique().tolist() == ["latent", "encoder", "decoder"]
    assert table.variance_noise.gt(0).all()
    assert table.seconds.gt(0).all()
    assert table.peak_memory.gt(0).all()
    unbiased = table[(table.part == "encoder") & table.estimator.isin(["rloo", "disarm", "rebar"])]
    assert (unbiased.bias_sq.abs() < 5 * unbiased.bias_sq_se).all()
    assert set(unbiased.reference) == {"exact"}


def test_a_residual_network_with_128_bits_and_a_transformer():
    torch.manual_seed(0)
    images, tokens = torch.rand(1, 2, 3, 32, 32), torch.randint(5, (2, 3, 4))
    table = bench.measure(ResNet().eval(), images, ["rloo", "straight_through"], reference="rloo", layers=True, **QUICK)
    assert {"encoder.down.0.weight", "encoder.down.5", "decoder.log_scale", "decoder.up.0"} <= {*table.part}
    assert table[table.part == "latent"].draws.tolist() == [8, 8]
    assert table.reason.isna().all()
    table = bench.measure(Sentences().eval(), tokens, ["rloo", "reinmax"], **QUICK)
    assert set(table.reference) == {"exact"}
    assert table.variance_noise.gt(0).all()


def test_parts_are_sums_of_their_layers(batches):
    found = bench.measure(
        Adopted(), batches, ["rloo"], layers=True,
        parts={"first": ["fc1", "fc3"], "last": "to_code"}, **QUICK,
    ).set_index("part")  # fmt: skip
    noise = found.variance_noise
    assert noise["first"] == pytest.approx(noise["encoder.fc1"] + noise["decoder.fc3"], rel=1e-6)
    assert noise["last"] == noise["encoder.to_code"]
    assert noise["encoder"] == pytest.approx(
        noise[[n for n in noise.index if n.startswith("encoder.")]].sum(), rel=1e-6
    )


def test_columns_are_those_of_the_tables(batches):
    from bench.tables.schema import TABLES

    found = bench.measure(Adopted(), batches, ["rloo"], **QUICK | {"repetitions": 1})
    known = {c for table in ("gradient", "cost") for c in TABLES[table]}
    assert {*found.columns} - known == {"kl", "tuning_steps", "reason"}
    assert found.evaluations_forward.tolist() == [4, 4, 4]


def test_nothing_of_the_caller_moves(batches):
    model, nvil = Adopted(), bench.estimator("nvil")
    before, state = {n: p.clone() for n, p in model.state_dict().items()}, torch.get_rng_state()
    first = bench.measure(model, batches, {"mine": nvil, "rloo": bench.estimator("rloo")}, **QUICK)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[n]) for n, p in model.state_dict().items())
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with torch.no_grad():
        again = bench.measure(model, list(batches), {"mine": nvil, "rloo": bench.estimator("rloo")}, **QUICK)
    assert first.equals(again)
    assert first.tuning_steps.tolist()[0] == 2
    assert first.tuning_steps.isna().tolist()[3:] == [True] * 3


def test_the_model_decides_how_the_kl_enters(batches):
    class Mixture(Adopted):
        def log_prior(self, z):
            sides = [Bernoulli(torch.full((1, 6), s)).log_prob(z) for s in (-1.0, 1.0)]
            return torch.logaddexp(*sides) - torch.log(torch.tensor(2.0))

    class Weighed(Adopted):
        def fixed(self, q):
            return 0.1 * q.params.square().sum(-1)

    torch.manual_seed(0)
    one, weights = Mixture(), Adopted().state_dict()
    one.load_state_dict(weights)
    mixed = bench.measure(one, batches, ["rloo"], **QUICK)
    plain, heavy = Adopted(), Weighed()
    plain.load_state_dict(weights)
    heavy.load_state_dict(weights)
    alone, more = (bench.measure(m, batches, ["rloo", "vimco"], **QUICK) for m in (plain, heavy))
    assert set(mixed.kl) == {"sampled"}
    assert alone.kl.tolist() == ["analytic"] * 3 + ["sampled"] * 3
    assert alone.variance_noise[0] == more.variance_noise[0]  # what needs no sample has no noise
    assert alone.norm_sq[0] != more.norm_sq[0]


def test_layers_in_training_mode_are_refused_and_their_buffers_stay():
    torch.manual_seed(0)
    model, images = ResNet(side=8, width=2, bits=4), torch.rand(1, 2, 3, 8, 8)
    before = model.down[1].body[0].running_mean.clone()
    with pytest.raises(BadInput, match=r"^down.1.body.0 normalises by its batch in training mode, .* call .eval\(\)"):
        bench.measure(model, images, ["rloo"], **QUICK)
    assert torch.equal(model.down[1].body[0].running_mean, before)
    with pytest.raises(BadInput, match=r"^writer.dropout drops out in training mode"):
        bench.measure(Sentences(), torch.randint(5, (1, 2, 4)), ["rloo"], **QUICK)


@pytest.mark.parametrize("call", CALLS)
def test_bad_input_is_one_sentence(call):
    sentence = said(call)
    assert sentence.endswith((".", "?"))
    assert "\n" not in sentence
    assert ". " not in sentence.rstrip(".")
    assert f"{line(call)}\n" in ERRORS


def test_an_estimator_that_cannot_is_a_row_beside_others_and_refused_alone(batches):
    table = bench.measure(Adopted(), batches, ["rloo", "reparam"], **QUICK)
    assert table.reason.iloc[-1] == "reparam does not differentiate bernoulli latents; it is made for gaussian."
    assert len(table) == 4
    assert table.variance_noise.isna().tolist() == [False] * 3 + [True]


def test_a_package_is_the_function_too():
    import bench.measure.timing as timing

    assert callable(bench.measure)
    assert bench.measure.timing is timing
    assert list(inspect.signature(bench.measure).parameters)[:3] == ["model", "batches", "estimators"]
    assert isinstance(Adopted(), bench.Model)
    assert not isinstance(nn.Linear(2, 2), bench.Model)
    with pytest.raises(TypeError):
        bench.measure()


def test_whatever_precision_the_module_has(batches):
    for dtype in (torch.float32, torch.float64):
        table = bench.measure(Ours(vae("bernoulli").to(dtype)), batches.to(dtype), ["rloo"], **QUICK)
        assert table.variance_noise.gt(0).all()
    assert adapted(Odd("plain"), torch.randn(1, 6)).separates
