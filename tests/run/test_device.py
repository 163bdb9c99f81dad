"""What a run asks of PyTorch for the whole process: `precision` and `deterministic`."""

import os

import pytest
import torch

from bench.run import device
from tests.support.small import run_config

KEPT = (
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (lambda: torch.backends.cudnn.allow_tf32, lambda value: setattr(torch.backends.cudnn, "allow_tf32", value)),
)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """This process is as it was afterwards."""
    monkeypatch.setattr(device, "bound_memory", lambda kind: None)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    before = [get() for get, _ in KEPT]
    yield
    for (_, put), value in zip(KEPT, before, strict=True):
        put(value)


@pytest.mark.parametrize("earlier", ["highest", "tf32"])
@pytest.mark.parametrize(
    ("precision", "products", "convolutions"), [("highest", "highest", False), ("tf32", "high", True)]
)
def test_precision_is_of_products_and_convolutions_whatever_ran_before(earlier, precision, products, convolutions):
    for asked in (earlier, precision):
        device.set_up(run_config("bernoulli", {}) | {"precision": asked})
    assert torch.get_float32_matmul_precision() == products
    assert torch.backends.cudnn.allow_tf32 is convolutions


def test_a_deterministic_run_may_be_followed_by_another():
    for asked in (True, False):
        device.set_up(run_config("bernoulli", {}) | {"deterministic": asked})
        assert torch.are_deterministic_algorithms_enabled() is asked
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
