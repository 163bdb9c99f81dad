"""No damaged file of a finished sweep, its report or its checkpoints is read as other numbers."""

import pytest

from tests.support.damages import damages, outcome


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_damage_is_read_as_another_number(tmp_path):
    rows = damages(20, tmp_path / "sweep", seed=1)
    assert len(rows) == 15
    assert {(row["other"], row["errors"]) for row in rows} == {(0, 0)}
    assert all(row["refused"] > 0 and row["refused"] + row["the_same"] == 20 for row in rows)


def test_another_number_and_an_error_would_be_noticed():
    assert outcome(lambda: [1.0], [2.0]) == "other"
    assert outcome(lambda: 1 / 0, [2.0]) == "errors"
    assert outcome(lambda: [2.0], [2.0]) == "the_same"
    assert outcome(lambda: None, [2.0]) == "refused"
