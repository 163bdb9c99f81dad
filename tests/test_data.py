"""Data sets, splits, binarisation and the streams of batches; files and downloads are in test_download."""

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from bench.data import BINARISATIONS, FACTS, Batches, Data, generator, load

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
needs_files = pytest.mark.skipif(not SHARED.is_dir(), reason="the image files are not in ../shared/data")


def digits(binarisation="dynamic", train_size=None, dtype=torch.float32, seed=0):
    return load("digits", "data", binarisation, train_size, download=False, dtype=dtype, seed=seed)


def ramp(n=10, pixels=6, binarisation="none"):
    """Data whose grey levels tell which image and which pixel they belong to."""
    x = torch.linspace(0.05, 0.95, n * pixels).reshape(n, pixels)
    return Data("ramp", binarisation, (1, 1, pixels), x, None, x[:4], x.mean(0))


def random_states():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002, the state under test
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


# Splits


def test_digits_are_split_by_one_fixed_permutation():
    data = digits("none")
    assert {name: tuple(x.shape) for name, x in data.splits.items()} == {
        "train": (1400, 64),
        "valid": (100, 64),
        "test": (297, 64),
    }
    assert data.shape == (1, 8, 8)
    x = (torch.cat(list(data.splits.values())) * 16).to(torch.uint8).numpy()
    from sklearn.datasets import load_digits

    original = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, x)) == sorted(map(bytes, original))
    digest = hashlib.sha256(x.tobytes()).hexdigest()
    assert digest == "22ccb51d1417f8119764af32a91d6d7351b6b6f703ee31920487dcfdf6a4e72a"


@pytest.mark.parametrize(
    ("train_size", "train", "valid"), [(None, 1400, 100), (1, 1, 100), (1400, 1400, 100), (1450, 1450, 50)]
)
def test_train_size_takes_the_first_images_and_leaves_the_rest_of_validation(train_size, train, valid):
    data, whole = digits("none", train_size), digits("none", 1500)
    assert (len(data.train), len(data.valid), len(data.test)) == (train, valid, 297)
    assert torch.equal(data.train, whole.train[:train])
    assert torch.equal(data.valid, whole.train[-valid:])


def test_no_validation_images_is_said_so():
    data = digits("none", 1500)
    assert data.valid is None
    assert list(data.splits) == ["train", "test"]
    with pytest.raises(ValueError, match=r"digits has no 'valid' images here; its splits are train, test\."):
        data.fixed("valid", 10, seed=0)


@pytest.mark.parametrize("train_size", [0, -1, 1501])
def test_impossible_train_size(train_size):
    with pytest.raises(ValueError, match=rf"train_size={train_size} .* in 1\.\.1500, or null for the 1400"):
        digits(train_size=train_size)


def test_unknown_names():
    with pytest.raises(ValueError, match="no data set 'cifar'; there are digits, mnist"):
        load("cifar", "data", "none", None, download=False)
    with pytest.raises(ValueError, match="no binarisation 'soft'; there are dynamic, static, threshold, none"):
        digits("soft")


def test_mean_is_of_the_grey_training_images():
    grey = digits("none", 100, torch.float64).train.mean(0)
    for binarisation in BINARISATIONS:
        torch.testing.assert_close(digits(binarisation, 100, torch.float64).mean, grey, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", FACTS)
def test_configuration(name):
    config = OmegaConf.load(ROOT / "conf" / "data" / f"{name}.yaml")
    assert set(config) == {"name", "root", "binarisation", "train_size", "download"}
    assert (config.name, config.root, config.train_size, config.download) == (name, "data", None, True)
    assert config.binarisation == ("none" if name == "static_mnist" else "dynamic")


@needs_files
@pytest.mark.parametrize(
    ("name", "sizes", "means"),
    [
        ("mnist", (50_000, 10_000, 10_000), (0.1307, 0.1325)),
        ("fashion_mnist", (50_000, 10_000, 10_000), (0.2860, 0.2868)),
        ("static_mnist", (50_000, 10_000, 10_000), ((0.13056 * 5 + 0.13113) / 6, 0.13251)),
        ("omniglot", (17_360, 1_920, 13_180), (0.0685, 0.0741)),
    ],
)
def test_published_sizes_and_means(name, sizes, means):
    data = load(name, SHARED, "none", None, download=False)
    assert data.shape == (1, 28, 28)
    assert tuple(len(x) for x in data.splits.values()) == sizes
    assert all(x.shape[1] == 784 and x.min() == 0 and x.max() == 1 for x in data.splits.values())
    training = torch.cat([data.train, data.valid])
    assert training.mean(dtype=torch.float64).item() == pytest.approx(means[0], abs=6e-5)
    assert data.test.mean(dtype=torch.float64).item() == pytest.approx(means[1], abs=6e-5)


# Binarisation


def z_of(draws, means):
    """Standard scores of the number of ones per pixel: draws and means `[N, X]`, means not 0 or 1 all along a pixel."""
    return (draws - means).sum(0) / (means * (1 - means)).sum(0).sqrt()


def test_static_is_one_bernoulli_draw_of_the_grey_level():
    grey, data = digits("none", dtype=torch.float64), digits("static", dtype=torch.float64)
    for split, x in data.splits.items():
        means = grey.splits[split]
        assert set(x.unique().tolist()) == {0, 1}
        inked = (means * (1 - means)).sum(0) > 5
        assert z_of(x, means)[inked].abs().max() < 4.5
        assert torch.equal(x[means == 0], means[means == 0])
        assert torch.equal(x[means == 1], means[means == 1])
    assert z_of(data.train, grey.train**1.5)[inked].abs().max() > 4.5  # the check does see wrong means


def test_static_depends_on_the_seed_alone():
    data = digits("static")
    assert torch.equal(data.train, digits("static").train)
    assert torch.equal(data.train[:7], digits("static", train_size=7).train)
    assert torch.equal(data.test.double(), digits("static", train_size=7, dtype=torch.float64).test)
    assert not torch.equal(data.train, digits("static", seed=1).train)


def test_threshold_is_strict():
    grey = digits("none")
    assert (grey.train == 0.5).any()
    assert torch.equal(digits("threshold").train, (grey.train > 0.5).float())


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


# Streams


def test_draws_do_not_depend_on_the_dtype():
    k = torch.arange(256, dtype=torch.float64)
    assert torch.equal((k / 255).float(), k.float() / 255)  # what a draw is compared with


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
    assert not torch.equal(data.fixed("train", 100, 0), data.fixed("valid", 100, 0))


@pytest.mark.gpu
def test_batches_on_a_gpu_never_wait_for_it():
    data = load("digits", "data", "dynamic", None, download=False, device="cuda")
    assert torch.equal(data.probe(2, 9, 0).cpu(), digits().probe(2, 9, 0))
    assert torch.equal(data.fixed("test", 9, 0).cpu(), digits().fixed("test", 9, 0))
    batches = Batches(data, 500, seed=0)
    state = batches.state_dict()
    torch.cuda.set_sync_debug_mode("error")
    try:
        ahead = [next(batches) for _ in range(5)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    batches.load_state_dict(state)
    assert all(torch.equal(next(batches), x) for x in ahead)
