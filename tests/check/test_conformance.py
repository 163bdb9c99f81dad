"""Every registered option and preset keeps the contract. A new file in `estimators/` is covered by being there."""

import pytest

from bench.check import check, names


@pytest.mark.parametrize("name", names())
def test_the_option_keeps_the_contract(name):
    failed = [v for v in check(name) if v.status == "FAILED"]
    assert not failed, "\n".join(f"{v.rule} ({v.family}): {v.reason} {v.number}. Rule: {v.broken}" for v in failed)
