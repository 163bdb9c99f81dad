"""How codes are made and moved other than one by one: SimVQ, finite scalar and lookup-free quantisation."""

import math

import pytest
import torch
from torch import nn

from bench.model.codebook import perplexity
from bench.model.objective import Objective
from bench.train.trainer import Trainer
from estimators import VQ
from estimators.vq_straight_through import VQStraightThrough
from tests.support.codebooks import RULES, codebook
from tests.support.small import TRAIN, images, vae


def nearest(book, vectors):
    """The codes nearest to vectors `[..., d]`."""
    q = VQ(vectors.unflatten(0, (-1, 1)), book.codes, 0.0)
    return (q.nearest() @ book.codes).detach().flatten(0, 1)


@pytest.mark.parametrize("levels", [[2], [3], [8, 5, 4], [7, 2]])
def test_fsq_has_every_combination_of_levels_once(levels):
    book = codebook("fsq", levels=levels, codes=math.prod(levels), dim=len(levels))
    assert len(book.codes.unique(dim=0)) == math.prod(levels)
    for axis, n in zip(book.codes.T, levels, strict=True):
        values = axis.unique()
        expected = torch.arange(-(n // 2), (n + 1) // 2).double() / (n // 2)
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-7)
        assert values.min() == -1
        assert values.max() == (1 if n % 2 else values[-1])
        assert 0 in values


@pytest.mark.parametrize("levels", [[2, 3], [4, 5], [8, 7]])
def test_fsq_bounds_vectors_to_its_levels_and_rounds(levels):
    book = codebook("fsq", levels=levels, codes=math.prod(levels), dim=2)
    vectors = torch.linspace(-20, 20, 4001, dtype=torch.float64)[:, None].expand(-1, 2)
    bounded, half_width = book.bound(vectors), torch.tensor(levels) // 2
    assert (bounded.diff(dim=0) >= 0).all()
    codes = nearest(book, bounded)
    rounded = (bounded * half_width).round() / half_width
    torch.testing.assert_close(codes, rounded, rtol=0, atol=1e-7)
    assert [len(axis.unique()) for axis in codes.T] == levels  # every level is reached
    assert torch.equal(nearest(book, codes), codes)
    zero = book.bound(torch.zeros(1, 2, dtype=torch.float64)) * half_width
    assert zero.abs().max() < 0.05
    assert not nearest(book, zero).any()


def test_lfq_takes_signs():
    book = codebook("lfq")
    assert len(book.codes.unique(dim=0)) == 8
    vectors = torch.randn(50, 3, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 100.0])
    assert torch.equal(nearest(book, vectors), vectors.sign())
    assert torch.equal(nearest(book, vectors.sign()), vectors.sign())
    assert torch.equal(book.bound(vectors), vectors)
    assert torch.equal(nearest(book, torch.zeros(1, 3, dtype=torch.float64)), -torch.ones(1, 3, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES)
def test_one_hot_points_and_placed_vectors_are_read_alike(rule):
    book = codebook(rule)
    if book.transform is not None:
        nn.init.normal_(book.transform.weight)
    q = VQ(book.bound(torch.randn(5, 2, book.config["dim"], dtype=torch.float64)), book.codes, 0.7, book.embed)
    z = q.sample(3)
    torch.testing.assert_close(book(z), book.codes[z.argmax(-1)])
    torch.testing.assert_close(q.quantised(z), book(z), rtol=0, atol=0)
    assert torch.equal(book(q.place(q.params[None])), q.params[None])
    assert q.with_params(2 * q.params).embed == book.embed


def test_simvq_moves_all_codes_when_one_is_used():
    moved = {}
    for rule in ("gradient", "simvq"):
        book = codebook("simvq", codebook=rule)
        start = book.codes.detach().clone()
        q = VQ(start[1].expand(2, 3, -1) + 0.01, book.codes, 0.0)
        learned = [p for p in book.parameters() if p.requires_grad]
        (gradient,) = torch.autograd.grad(book.loss(q).sum(), learned)
        with torch.no_grad():
            learned[0].sub_(gradient)
        moved[rule] = (book.codes - start).norm(dim=-1) > 0
    assert moved["gradient"].tolist() == [False, True, False, False]
    assert moved["simvq"].all()


def test_simvq_learns_one_linear_map_of_codes_that_stay():
    book = codebook("simvq")
    assert [name for name, p in book.named_parameters() if p.requires_grad] == ["transform.weight"]
    frozen = book.codes.detach().clone()  # the map starts at the identity
    nn.init.normal_(book.transform.weight)
    torch.testing.assert_close(book.codes, frozen @ book.transform.weight.T)
    q = VQ(torch.randn(5, 2, 3, dtype=torch.float64), book.codes, 0.0)
    errors = q.nearest() @ frozen @ book.transform.weight.T - q.params
    torch.testing.assert_close(book.loss(q), 1.25 * errors.square().sum((-2, -1)))  # codebook + commitment
    (gradient,) = torch.autograd.grad(book.loss(q).sum(), book.transform.weight)
    by_hand = 2 * errors.flatten(0, 1).T @ (q.nearest() @ frozen).flatten(0, 1)
    torch.testing.assert_close(gradient, by_hand)


@pytest.mark.parametrize("rule", ["fsq", "lfq"])
def test_a_fixed_grid_never_moves(rule):
    model = vae("vq", RULES[rule] | {"temperature": 0.0})
    start = model.codebook.codes.clone()
    assert not any(p.requires_grad for p in model.codebook.parameters())
    q = model.encode(images(4))
    commitment = 0.25 * (q.params - q.nearest() @ start).square().sum((-2, -1))
    torch.testing.assert_close(model.codebook.loss(q), commitment)
    trainer = Trainer(Objective(model, VQStraightThrough()), iter(lambda: images(4), None), TRAIN)
    weight = model.encoder.state_dict()
    before = {name: value.clone() for name, value in weight.items()}
    for _ in range(3):
        trainer.step()
    assert torch.equal(model.codebook.codes, start)
    assert all((weight[name] != value).any() for name, value in before.items())


def round_by_hand(rule, vectors):
    """What the papers feed to the decoder, with their straight-through gradient, for the encoder's vectors."""
    if rule == "lfq":
        return vectors + (vectors.sign() - vectors).detach()
    columns = []
    for vector, levels in zip(vectors.unbind(-1), [4, 3], strict=True):
        half, offset = (levels - 1) * 0.999 / 2, 0.5 if levels % 2 == 0 else 0.0
        bounded = torch.tanh(vector + math.tan(offset / half)) * half - offset
        columns.append((bounded + (bounded.round() - bounded).detach()) / (levels // 2))
    return torch.stack(columns, -1)


@pytest.mark.parametrize("rule", ["fsq", "lfq"])
def test_straight_through_at_temperature_zero_is_the_training_of_the_paper(rule):
    model = vae("vq", RULES[rule] | {"temperature": 0.0, "commitment_weight": 0.0})
    x, objective = images(4), Objective(model, VQStraightThrough())
    q = model.encode(x)
    loss = (objective.estimate(q, x).loss + objective.fixed(q)).mean()
    read = round_by_hand(rule, model.encoder(x - model.centre).unflatten(-1, model.params_shape))
    by_hand = -model.log_likelihood(x, q.place(read[None])).mean()
    torch.testing.assert_close(loss, by_hand + 2 * math.log(RULES[rule]["codes"]), rtol=0, atol=1e-6)
    parameters = [*model.encoder.parameters(), *model.decoder.parameters()]
    for got, expected in zip(*(torch.autograd.grad(v, parameters) for v in (loss, by_hand)), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
        assert expected.any()


@pytest.mark.parametrize("rule", RULES)
def test_perplexity_and_usage(rule):
    book = codebook(rule)
    codes = book.codes.detach()
    assert perplexity(VQ(codes[None], codes, 0.0)) == pytest.approx((len(codes), 1.0))
    assert perplexity(VQ(codes[:1].expand(6, 2, -1), codes, 0.0)) == pytest.approx((1.0, 1 / len(codes)))
    half = codes[: len(codes) // 2]
    assert perplexity(VQ(half[None], codes, 0.0)) == pytest.approx((len(half), 0.5))
    assert perplexity(VQ(half[None], codes, 1e9)) == pytest.approx((len(codes), 0.5))
