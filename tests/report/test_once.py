"""What is asked of the same runs is computed once, and nobody can change what another is told."""

import pandas as pd

from bench.report.collection.once import once


def test_the_same_object_is_asked_once_and_another_again():
    asked = []

    @once
    def count(of: list) -> dict:
        asked.append(of)
        return {"rows": len(of)}

    one, equal = [1, 2], [1, 2]
    assert count(one) == count(one) == {"rows": 2}
    assert len(asked) == 1
    count(equal)
    assert len(asked) == 2  # equal, and not the same
    count(one)
    assert asked == [one, equal, one]


def test_what_a_caller_does_with_it_is_its_own():
    @once
    def frame(of: str) -> pd.DataFrame:
        return pd.DataFrame({"value": [1.0, 2.0]})

    mine = frame("runs")
    mine.loc[0, "value"] = 7.0
    mine["more"] = 3
    assert frame("runs").to_dict("list") == {"value": [1.0, 2.0]}
