"""What a GPU would make of the suite's steps and draws, without one: waits of the host, mixed devices, and graphs."""

import pytest

from tests.support.pretended import library

SOME = [
    ("gaussian", "reparam"),
    ("bernoulli", "disarm"),
    ("bernoulli", "nvil"),
    ("categorical", "rebar"),
    ("vq", "rloo"),
]


@pytest.fixture(scope="module")
def rows(request):
    """What was seen of a few options."""
    return library.run(request.config.cache, "sweep:pairs", SOME, timeout=300)


@pytest.mark.slow
def test_no_step_waits_or_mixes_devices(rows):
    assert [row["train"] for row in rows] == [[]] * len(SOME)


@pytest.mark.slow
def test_draws_wait_once_for_where_they_belong(rows):
    for row in rows:
        assert [kind for kind, _, _ in row["take"]] == ["wait"], row["take"]
        assert row["take kernels"] > 50


@pytest.mark.slow
def test_a_graph_trains_like_eager(rows):
    for row in rows:
        assert row["obstacle"] is None
        assert row["graph"] == pytest.approx(row["eager"], rel=1e-5)
        assert len(set(row["eager"])) > 3  # losses move


@pytest.mark.slow
def test_what_is_planted_is_seen(request):
    seen = library.run(request.config.cache, "planted:seen")
    for fault, (kinds, captured) in seen.items():
        assert kinds == ([] if fault == "nothing" else ["mix"] if fault == "mixes" else ["wait"]), fault
        assert captured == (fault == "nothing"), fault
