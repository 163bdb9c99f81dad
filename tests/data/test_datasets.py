"""Data sets: their splits, their binarisation and their means; the files behind them are in test_download."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from bench.data import readers
from bench.data.datasets import BINARISATIONS, FACTS, load_dataset
from tests.support.packages import ROOT
from tests.support.small_data import digits

IMAGE_FILES = ROOT.parent / "shared" / "data"
needs_files = pytest.mark.skipif(not IMAGE_FILES.is_dir(), reason="the image files are not in ../shared/data")


# Splits


def test_digits_are_split_by_one_fixed_permutation():
    data = digits("none")
    assert {name: tuple(x.shape) for name, x in data.splits.items()} == {
        "train": (1400, 64),
        "validation": (100, 64),
        "test": (297, 64),
    }
    assert data.shape == (1, 8, 8)
    x = (torch.cat(list(data.splits.values())) * 16).to(torch.uint8).numpy()
    from sklearn.datasets import load_digits

    original = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, x)) == sorted(map(bytes, original))
    digest = hashlib.sha256(x.tobytes()).hexdigest()
    assert digest == "22ccb51d1417f8119764af32a91d6d7351b6b6f703ee31920487dcfdf6a4e72a"


def test_digits_are_read_without_scikit_learn_and_by_it_where_its_file_is_elsewhere(monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sklearn.datasets", None)  # which cannot be imported
        found = readers.digits()
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    assert np.array_equal(readers.digits(), found)
    assert found.dtype == readers.digits().dtype == np.uint8


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
    with pytest.raises(ValueError, match=r"digits has no 'validation' images here; its splits are train, test\."):
        data.fixed("validation", 10, seed=0)


@pytest.mark.parametrize("train_size", [0, -1, 1501])
def test_impossible_train_size(train_size):
    with pytest.raises(ValueError, match=rf"train_size={train_size} .* in 1\.\.1500, or null for the 1400"):
        digits(train_size=train_size)


def test_unknown_names():
    with pytest.raises(ValueError, match="no data set 'cifar'; there are digits, mnist"):
        load_dataset("cifar", "data", "none", None, download=False)
    with pytest.raises(ValueError, match="no binarisation 'soft'; there are dynamic, static, threshold, none"):
        digits("soft")


def test_mean_is_of_the_grey_training_images():
    grey = digits("none", 100, torch.float64).train.mean(0)
    for binarisation in BINARISATIONS:
        torch.testing.assert_close(digits(binarisation, 100, torch.float64).mean, grey, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", FACTS)
def test_configuration(name):
    config = OmegaConf.load(ROOT / "conf" / "data" / f"{name}.yaml")
    assert set(config) == {"name", "root", "binarisation", "dequantise", "train_size", "download"}
    assert config.dequantise is False
    assert (config.name, config.root, config.train_size, config.download) == (name, "data", None, True)
    assert config.binarisation == ("none" if name in ("static_mnist", "cifar10", "svhn") else "dynamic")


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
    data = load_dataset(name, IMAGE_FILES, "none", None, download=False)
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


def test_draws_do_not_depend_on_the_dtype():
    k = torch.arange(256, dtype=torch.float64)
    assert torch.equal((k / 255).float(), k.float() / 255)  # what a draw is compared with
