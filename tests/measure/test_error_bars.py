"""The script that measures what the error bars cover."""

from tests.support import error_bars
from tests.support.error_bars import STATISTICS, coverage


def mean(rows: list[dict]) -> float:
    return sum(row["coverage"] for row in rows) / len(rows)


def test_error_bars_cover_and_error_bars_that_are_too_short_do_not(monkeypatch):
    monkeypatch.setattr(error_bars, "DRAWS", 32)
    rows, measure = coverage("bernoulli", "rloo", 12), error_bars.measure
    parts = {(row["part"], row["statistic"]) for row in rows}
    assert parts == {(part, name) for part in ("latent", "encoder", "decoder") for name in STATISTICS}
    assert mean(rows) > 0.85

    def short(*args, **settings):
        measured = measure(*args, **settings)
        return [{k: v / 20 if k.endswith("_se") and v is not None else v for k, v in row.items()} for row in measured]

    monkeypatch.setattr(error_bars, "measure", short)
    assert mean(coverage("bernoulli", "rloo", 12)) < 0.3
