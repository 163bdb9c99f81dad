"""The script that measures what the error bars cover."""

from tests.error_bars import STATISTICS, coverage


def test_a_row_for_each_part_and_statistic_and_wrong_truths_are_missed(monkeypatch):
    monkeypatch.setattr("tests.error_bars.DRAWS", 32)
    rows = coverage("bernoulli", "rloo", 8)
    assert {(row["part"], row["statistic"]) for row in rows} == {
        (part, name) for part in ("latent", "encoder", "decoder") for name in STATISTICS
    }
    held = [row["coverage"] for row in rows]
    assert sum(held) / len(held) > 0.8
    monkeypatch.setattr("tests.error_bars.GROUPS", 2)  # t of one degree of freedom: everything is held
    assert all(row["coverage"] >= before for row, before in zip(coverage("bernoulli", "rloo", 8), held, strict=True))
