"""Whole-number images of one's own with uniform noise added to them."""

import numpy as np
import pytest
import torch

from bench.data.batches import Batches, StackedBatches
from bench.errors import DataError
from tests.support.own_images import load_own


def test_dequantised_images_are_uniform_within_their_level(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (4000, 1, 5, 6), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", train=x, test=x[:9])
    data = load_own(tmp_path / "x.npz", dequantise=True)
    assert (data.levels, data.level_bits) == (255, 8.0)
    raw = torch.tensor(x[:9]).flatten(1).double()
    found = data.fixed("test", None, seed=0) * 256
    assert torch.equal(found.floor(), raw)
    u = (data.batch(torch.arange(4000), torch.Generator().manual_seed(0)) * 256).remainder(1)
    assert abs(float(u.mean()) - 0.5) < 4 * (1 / 12 / u.numel()) ** 0.5
    assert abs(float(u.var()) - 1 / 12) < 0.001
    torch.testing.assert_close(data.mean, (torch.tensor(x).flatten(1).double().mean(0) + 0.5) / 256)
    stacked, alone = StackedBatches([Batches(data, 8, seed) for seed in (0, 1)]), [Batches(data, 8, s) for s in (0, 1)]
    assert torch.equal(next(stacked), torch.stack([next(batches) for batches in alone]))
    np.save(tmp_path / "reals.npy", x / 255)
    with pytest.raises(DataError, match=r"data\.dequantise=true is of whole-number images"):
        load_own(tmp_path / "reals.npy", dequantise=True)
