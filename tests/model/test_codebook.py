"""How the codes move: by hand, for both rules."""

import math

import pytest
import torch

from bench.model.codebook import Codebook, perplexity
from bench.model.objective import Objective
from bench.train.trainer import Trainer
from estimators import VQ
from estimators.vq_straight_through import VQStraightThrough
from tests.support.small import LATENTS, TRAIN, images, vae

CODES = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [9.0, 9.0]], dtype=torch.float64)
VECTORS = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [5.0, 2.0]], [[0.0, 3.0], [-1.0, 0.0]]]).double()
NEAREST = [[0, 0], [1, 1], [2, 0]]  # by eye; no vector is near the last code


def codebook(**changes) -> Codebook:
    made = Codebook(LATENTS["vq"] | {"dim": 2} | changes).double()
    with torch.no_grad():
        made.lookup.weight.copy_(CODES.T)
    return made


def posterior(book: Codebook, temperature: float = 0.0) -> VQ:
    return VQ(VECTORS.clone().requires_grad_(), book.codes, temperature)


def test_ema_without_memory_is_one_step_of_k_means():
    book = codebook(codebook="ema", decay=0.0)
    q = posterior(book)
    assert q.nearest().argmax(-1).tolist() == NEAREST
    book.update(q)
    means = torch.tensor([[0.0, 1 / 3], [4.0, 1.0], [0.0, 3.0], [9.0, 9.0]], dtype=torch.float64)
    torch.testing.assert_close(book.codes, means)  # the last has no vectors and stays
    assert book.counts.tolist() == [3, 2, 1, 0]


def test_ema_by_hand_over_two_steps():
    book = codebook(codebook="ema", decay=0.9)
    for _ in range(2):
        book.update(posterior(book))
    # From a count of 1 and the code itself; both batches choose alike.
    count = 0.81 * 1 + 0.19 * 2
    total = 0.81 * CODES[1] + 0.19 * torch.tensor([8.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(book.codes[1], total / count)
    torch.testing.assert_close(book.counts[1], torch.tensor(count, dtype=torch.float64))
    torch.testing.assert_close(book.codes[3], CODES[3])  # count and total shrink together


@pytest.mark.parametrize("decay", [0.9, 0.99, 0.999])
@pytest.mark.parametrize("offset", [0.0, 1_000.0, 10_000.0])
def test_codes_far_from_zero_move_as_they_do_in_float64(offset, decay):
    """1,000 steps of float32 towards four clusters, to about the last place of the codes, however small the steps."""
    latent = LATENTS["vq"] | {"dim": 2, "codebook": "ema", "decay": decay}
    books = [Codebook(latent).to(dtype) for dtype in (torch.float32, torch.float64)]
    generator, start = torch.Generator().manual_seed(0), (CODES + offset).float()
    for book in books:
        book.lookup.weight.copy_(start.T)
    for _ in range(1000):
        noise = torch.randn(4, 16, 2, generator=generator, dtype=torch.float64)
        vectors = (CODES.unsqueeze(1) + 0.5 + 0.1 * noise + offset).float()
        for book in books:
            book.update(VQ(vectors.to(book.codes.dtype), book.codes, 0.0))
    short, exact = (book.codes.double() for book in books)
    assert (exact - CODES - offset - 0.5).abs().max() < (0.05 if decay < 0.999 else 0.2)  # which has not yet arrived
    assert (short - exact).abs().max() < 1.5 * torch.finfo(torch.float32).eps * max(offset, 10)


@pytest.mark.parametrize("weight", ["codebook_weight", "commitment_weight"])
def test_losses_far_from_zero(weight):
    """Squared distances and their slopes at offset 10,000, of vectors that are given in float32."""
    latent = LATENTS["vq"] | {"dim": 2, "codebook": "gradient", "codebook_weight": 0.0, "commitment_weight": 0.0}
    generator, found = torch.Generator().manual_seed(0), []
    vectors = (CODES.repeat(16, 1) + torch.randn(64, 2, generator=generator) + 10_000).float().unsqueeze(0)
    for dtype in (torch.float32, torch.float64):
        book = Codebook(latent | {weight: 1.0}).to(dtype)
        with torch.no_grad():
            book.lookup.weight.copy_((CODES + 10_000).T)
        loss = book.loss(VQ(vectors.to(dtype), book.codes, 0.0))
        found.append((loss.double(), book.lookup.weight, loss))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-6, atol=0)
    if weight == "codebook_weight":
        slopes = [torch.autograd.grad(loss.sum(), leaf)[0].double() for _, leaf, loss in found]
        torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rule", ["ema", "gradient"])
def test_dead_codes_move_onto_vectors_of_the_batch(rule):
    book = codebook(codebook=rule, decay=0.5, restart=0.6)
    alive = book.codes.detach().clone()
    book.update(posterior(book))
    assert book.counts.tolist() == [2.0, 1.5, 1.0, 1.0]  # the last fell to 0.5, below 0.6, and starts afresh
    assert any(torch.equal(book.codes[3], vector) for vector in VECTORS.flatten(0, 1))
    if rule == "gradient":
        assert torch.equal(book.codes[:3], alive[:3])
    book = codebook(codebook=rule, decay=0.5, restart=0.4)
    book.update(posterior(book))
    assert torch.equal(book.codes[3], CODES[3])  # 0.5 is not below 0.4


def test_without_a_rule_nothing_moves():
    book = codebook(codebook="gradient")
    before = {name: value.clone() for name, value in book.state_dict().items()}
    book.update(posterior(book))
    assert all(torch.equal(value, before[name]) for name, value in book.state_dict().items())


@pytest.mark.parametrize("rule", ["ema", "gradient"])
def test_losses_by_hand(rule):
    book = codebook(codebook=rule, codebook_weight=0.5, commitment_weight=0.25)
    q = posterior(book)
    loss = book.loss(q)
    squares = torch.tensor([1.0 + 1.0, 1.0 + 1.0 + 4.0, 1.0 + 1.0], dtype=torch.float64)
    torch.testing.assert_close(loss, squares * (0.75 if rule == "gradient" else 0.25))
    to_vectors, *to_codes = torch.autograd.grad(
        loss.sum(), [q.params, *([book.lookup.weight] if rule == "gradient" else [])]
    )
    code = CODES[torch.tensor(NEAREST)]
    torch.testing.assert_close(to_vectors, 0.25 * 2 * (VECTORS - code))
    assert book.lookup.weight.requires_grad == (rule == "gradient")
    for grad in to_codes:
        expected = torch.zeros_like(CODES)
        for vector, index in zip(VECTORS.flatten(0, 1), [i for row in NEAREST for i in row], strict=True):
            expected[index] += 0.5 * 2 * (CODES[index] - vector)
        torch.testing.assert_close(grad, expected.T)


def test_one_hot_points_and_placed_vectors_reach_the_decoder():
    book = codebook()
    q = posterior(book)
    torch.testing.assert_close(book(q.sample(2)), CODES[torch.tensor(NEAREST)].expand(2, 3, 2, 2))
    assert torch.equal(book(q.place(VECTORS[None])), VECTORS[None])


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_the_cost_moves_codes_by_gradient_but_never_those_of_ema(temperature):
    x = images(3)
    for rule in ("gradient", "ema"):
        model = vae("vq", {"codebook": rule, "temperature": temperature})
        q = model.encode(x)
        loss = -model.log_likelihood(x, q.sample(2)).sum()
        grad = torch.autograd.grad(loss, model.codebook.lookup.weight)[0] if rule == "gradient" else None
        assert grad is None or grad.abs().sum() > 0
        assert model.codebook.lookup.weight.requires_grad == (rule == "gradient")


@pytest.mark.parametrize("rule", ["ema", "gradient"])
def test_training_moves_the_codes_by_its_rule(rule):
    model, x = vae("vq", {"codebook": rule, "temperature": 0.0, "decay": 0.5}), images(6)
    trainer = Trainer(Objective(model, VQStraightThrough()), iter([x]), TRAIN)
    q, before = model.encode(x), model.codebook.codes.detach().clone()
    trainer.step()
    if rule == "ema":
        nearest, vectors = q.nearest().flatten(0, 1), q.params.detach().flatten(0, 1)
        counts = 0.5 + 0.5 * nearest.sum(0)
        expected = (0.5 * before + 0.5 * nearest.T @ vectors) / counts[:, None]
    else:  # the first step of Adam is lr in the direction of the sign, and nothing but the codebook loss moves a code
        used = q.nearest().sum((0, 1)) > 0
        assert used.any()
        residual = (q.nearest().flatten(0, 1).T @ (q.params.detach() - q.nearest() @ before).flatten(0, 1)).sign()
        expected = before + TRAIN["lr"] * residual * used[:, None]
    torch.testing.assert_close(model.codebook.codes, expected, rtol=0, atol=1e-6)


def test_perplexity_and_usage_of_planted_codes():
    point = posterior(codebook())
    p = torch.tensor([3 / 6, 2 / 6, 1 / 6])
    value, usage = perplexity(point)
    assert value == pytest.approx(math.exp(-float((p * p.log()).sum())), rel=1e-6)
    assert usage == 3 / 4
    codes = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    uniform = VQ(torch.zeros(5, 2, 2, dtype=torch.float64), codes, 1.0)
    value, usage = perplexity(uniform)
    assert value == pytest.approx(2)  # both codes are as likely
    assert usage == 1 / 2  # but one of them is nearest
