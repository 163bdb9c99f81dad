"""The rotation trick: the code itself forward, and backward a stretched rotation that stays finite everywhere."""

import pytest
import torch

from estimators.vq_rotation import VQRotation
from tests.support.quantised import jacobian, make, placed, single


def assert_rotates(found, vector, code):
    """`found [d, d]` is the rotation in the plane of vector and code that takes one to the other, times its stretch."""
    stretch = code.norm() / vector.norm()
    rotation, eye = found / stretch, torch.eye(len(code), dtype=code.dtype)
    torch.testing.assert_close(rotation.T @ rotation, eye, rtol=0, atol=1e-12)
    torch.testing.assert_close(found @ vector, code, rtol=0, atol=1e-12)
    assert torch.linalg.det(rotation).item() == pytest.approx(1, abs=1e-12)
    basis = torch.linalg.qr(torch.stack([vector, code], 1), mode="complete").Q[:, 2:]  # across the plane
    torch.testing.assert_close(rotation @ basis, basis, rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("batch", [(5,), (2, 5)])
def test_rotation_shows_the_codes_themselves(temperature, batch):
    q = make(temperature, batch)
    torch.manual_seed(3)
    codes = q.quantised(q.sample(3))
    torch.manual_seed(3)
    assert torch.equal(placed(VQRotation(k=3), q), codes)


@pytest.mark.parametrize("width", [2, 3, 7])
def test_rotation_has_the_jacobian_of_the_paper(width):
    for _ in range(20):
        vector, code = torch.randn(2, width, dtype=torch.float64)
        q = single(vector.tolist(), code.tolist())
        found = jacobian(placed(VQRotation(), q), q.params)[:, 0, 0]
        assert_rotates(found, vector, code)
        e, c = vector / vector.norm(), code / code.norm()
        r = (e + c) / (e + c).norm()
        dense = torch.eye(width, dtype=torch.float64) - 2 * torch.outer(r, r) + 2 * torch.outer(c, e)
        torch.testing.assert_close(found, code.norm() / vector.norm() * dense, rtol=0, atol=1e-12)
        slope = torch.randn(width, dtype=torch.float64)  # the angle that it makes with the code is kept
        before, after = torch.cosine_similarity(slope, code, 0), torch.cosine_similarity(found.T @ slope, vector, 0)
        torch.testing.assert_close(before, after, rtol=0, atol=1e-12)
        for wrong in (found.T, dense, torch.eye(width, dtype=torch.float64)):  # turned back, not stretched, not turned
            with pytest.raises(AssertionError):
                assert_rotates(wrong, vector, code)


def test_rotation_is_straight_through_where_the_code_is_parallel_and_as_long():
    eye = torch.eye(3, dtype=torch.float64)
    for factor in (1.0, 0.25):
        q = single([1.0, -2.0, 0.5], [factor, -2 * factor, 0.5 * factor])
        found = jacobian(placed(VQRotation(), q), q.params)[:, 0, 0]
        torch.testing.assert_close(found, factor * eye, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("vector", "code", "stretch"), [
    ([0.5, 0.0, 0.0], [-1.0, 0.0, 0.0], 2), ([0.3, -0.1, 0.7], [-0.6, 0.2, -1.4], 2),
    ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], 1), ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 0), ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 1),
])  # fmt: skip
def test_rotation_stays_finite_where_no_plane_is_singled_out(vector, code, stretch, dtype):
    q = single(vector, code, dtype=dtype)
    vectors = placed(VQRotation(), q)
    found = jacobian(vectors, q.params)[:, 0, 0]
    assert vectors.flatten().tolist() == q.codebook.flatten().tolist()
    torch.testing.assert_close(found.T @ found, stretch**2 * torch.eye(3, dtype=dtype), rtol=0, atol=1e-5)
    if not any(vector):
        torch.testing.assert_close(found, torch.eye(3, dtype=dtype), rtol=0, atol=1e-6)  # straight-through


def test_rotation_of_one_coordinate_can_only_stretch_and_flip():
    q = single([2.0], [-3.0])
    assert jacobian(placed(VQRotation(), q), q.params).item() == -1.5
