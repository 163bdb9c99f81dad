"""Impossible pairs in one line."""

import pytest

from bench.tables.skipped import in_one_line


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], ""),
        ([("arm", "vq")], "1 run skipped, impossible pair: arm with vq."),
        ([("arm", "vq")] * 3, "3 runs skipped, impossible pair: arm with vq."),
        (
            [("disarm", "vq"), ("arm", "vq"), ("arm", "gaussian"), ("arm", "categorical"), ("arm", "vq")],
            "5 runs skipped, impossible pairs: arm with categorical, gaussian and vq; disarm with vq.",
        ),
    ],
)
def test_every_pair_once(pairs, said):
    assert in_one_line(pairs) == said
