"""What a run draws from its data: training batches, probe batches and fixed images, each from a stream of its own."""

import random

import numpy as np
import pytest
import torch

from bench.data.batches import Batches
from bench.data.datasets import load_dataset
from bench.gpu.options import no_waiting
from bench.streams import generator
from tests.support.small_data import digits, ramp


def random_states():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002, the state under test
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


def test_dynamic_draws_have_the_grey_mean():
    data = ramp(n=10, binarisation="dynamic")
    batches = Batches(data, 10, seed=3)
    draws = torch.stack([next(batches).sum(0) for _ in range(4000)])  # [4000, X] ones among the 10 images
    z = (draws.mean(0) - data.train.sum(0)) / ((data.train * (1 - data.train)).sum(0) / 4000).sqrt()
    assert z.abs().max() < 4
    wrong = (data.train > 0.5).float().sum(0)
    assert ((draws.mean(0) - wrong).abs() > 0.2).any()  # thresholding would be seen


def test_dynamic_draws_anew_every_epoch():
    data = digits("dynamic", train_size=1)
    batches = Batches(data, 1, seed=0)
    assert not torch.equal(next(batches), next(batches))
    batches = Batches(digits("static", train_size=1), 1, seed=0)
    assert torch.equal(next(batches), next(batches))


def test_every_epoch_is_a_new_permutation():
    data = ramp(n=10)
    batches = Batches(data, 3, seed=0)
    epochs = []
    for _ in range(40):
        x = torch.cat([next(batches) for _ in range(3)])  # [9, X]: one image is left out
        rows = [(data.train == row).all(1).nonzero().item() for row in x]
        assert len(set(rows)) == 9
        epochs.append(tuple(rows))
    assert len(set(epochs)) == 40
    assert {row for epoch in epochs for row in epoch} == set(range(10))  # not always the same one


def test_batches_resume_bit_for_bit(tmp_path):
    data = digits("dynamic")
    batches = Batches(data, 300, seed=0)
    for stop in (0, 3, 4, 5):  # the start, and before, at and after the end of an epoch of 4 batches
        torch.save(batches.state_dict(), tmp_path / "state.pt")
        ahead = [next(batches) for _ in range(9)]
        resumed = Batches(data, 300, seed=stop + 100)
        assert not torch.equal(next(resumed), ahead[0])
        resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        assert all(torch.equal(next(resumed), x) for x in ahead)
        batches.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        next(batches)


def test_a_state_is_not_moved_by_drawing_on():
    batches = Batches(digits(), 300, seed=0)
    state = batches.state_dict()
    ahead = [next(batches) for _ in range(6)]
    batches.load_state_dict(state)
    assert all(torch.equal(next(batches), x) for x in ahead)


def test_a_state_of_other_data_is_refused():
    with pytest.raises(ValueError, match="over 1000 images, and these are over 1400"):
        Batches(digits(), 10, seed=0).load_state_dict(Batches(digits(train_size=1000), 10, seed=0).state_dict())


@pytest.mark.parametrize("batch_size", [0, 11])
def test_impossible_batch_size(batch_size):
    message = rf"A batch of {batch_size} images is not possible: ramp has 10 training images here, .* in 1\.\.10\."
    with pytest.raises(ValueError, match=message):
        Batches(ramp(n=10), batch_size, seed=0)
    with pytest.raises(ValueError, match=message):
        ramp(n=10).probe(2, batch_size, seed=0)


def test_the_global_random_state_is_neither_moved_nor_read():
    def draw():
        data = digits("static")
        dynamic = digits("dynamic")
        batches = Batches(dynamic, 1000, seed=0)
        return [data.train, dynamic.fixed("test", 10, 0), dynamic.probe(2, 5, 0), next(batches), next(batches)]

    before = random_states()
    first = draw()
    assert random_states() == before
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(first, draw(), strict=True))


def test_one_seed_gives_different_streams_to_different_purposes():
    data = digits("none")
    assert not torch.equal(next(Batches(data, 100, seed=0)), data.probe(1, 100, seed=0)[0])
    seeds = {generator(seed, purpose).initial_seed() for seed in range(50) for purpose in ("probe", "batches")}
    assert len(seeds) == 100


def test_probe_batches():
    data = ramp(n=10, binarisation="none")
    probe = data.probe(50, 7, seed=0)
    assert probe.shape == (50, 7, 6)
    rows = (probe[:, :, None] == data.train).all(-1).float().argmax(-1)  # [50, 7]
    assert all(len(set(batch)) == 7 for batch in rows.tolist())  # without replacement
    assert len({frozenset(batch) for batch in rows.tolist()}) > 25  # each on its own
    assert torch.equal(probe, data.probe(50, 7, seed=0))
    assert not torch.equal(probe, data.probe(50, 7, seed=1))
    drawn = digits("dynamic").probe(3, 20, seed=0)
    assert set(drawn.unique().tolist()) == {0, 1}
    assert torch.equal(drawn.double(), digits("dynamic", dtype=torch.float64).probe(3, 20, seed=0))


def test_probing_and_evaluating_do_not_move_the_training():
    data = digits("dynamic")
    batches, other = Batches(data, 300, seed=0), Batches(data, 300, seed=0)
    for _ in range(6):
        data.probe(2, 50, seed=0)
        data.fixed("train", 50, seed=0)
        assert torch.equal(next(batches), next(other))


def test_fixed_images_are_spread_over_the_split():
    data = digits("none")
    assert torch.equal(data.fixed("test", None, seed=0), data.test)
    assert torch.equal(data.fixed("test", 5000, seed=0), data.test)
    assert torch.equal(data.fixed("test", 3, seed=0), data.test[[0, 99, 198]])
    assert torch.equal(data.fixed("train", 700, seed=0), data.train[::2])


def test_fixed_draws():
    data = digits("dynamic")
    x = data.fixed("test", 200, seed=0)
    assert set(x.unique().tolist()) == {0, 1}
    assert torch.equal(x, data.fixed("test", 200, seed=0))
    assert torch.equal(x.double(), digits("dynamic", dtype=torch.float64).fixed("test", 200, seed=0))
    assert not torch.equal(x, data.fixed("test", 200, seed=1))
    assert not torch.equal(data.fixed("train", 100, 0), data.fixed("validation", 100, 0))


@pytest.mark.gpu
def test_batches_on_a_gpu_never_wait_for_it():
    data = load_dataset("digits", "data", "dynamic", None, download=False, device="cuda")
    assert torch.equal(data.probe(2, 9, 0).cpu(), digits().probe(2, 9, 0))
    assert torch.equal(data.fixed("test", 9, 0).cpu(), digits().fixed("test", 9, 0))
    batches = Batches(data, 500, seed=0)
    state = batches.state_dict()
    with no_waiting(torch.device("cuda")):
        ahead = [next(batches) for _ in range(5)]
    batches.load_state_dict(state)
    assert all(torch.equal(next(batches), x) for x in ahead)
