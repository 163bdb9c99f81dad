"""Numbers of two collections, paired by configuration and seed, and which of them moved beyond their noise.

A number with a standard error on both sides is tested by their difference in combined standard errors, Student's t with
the degrees of freedom of such an error. One that is known without noise (evaluations, closed forms, gradients without
noise, and before training the use of codes and experts) has moved where its relative difference is beyond `EXACT`.
A number of A that is null in B has moved, unless its column is younger than A's tables may be.
Whatever is the same bit for bit has not, and is no test. Over all tests of a comparison Holm's correction holds
(S. Holm, "A simple sequentially rejective multiple test procedure", 1979): with nothing moved, any is said to have in
at most 5 %.
"""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.collection import labels
from bench.report.collection.collect import Collection
from bench.report.collection.simultaneous import DRAWS_FREEDOM, LEVEL
from bench.report.collection.times import TIME_FLOOR
from bench.settings.later import as_before
from bench.tables.meanings import MOMENTS, OF_ALL_DATA
from bench.tables.schema import LATER

if TYPE_CHECKING:
    import pandas as pd

EXACT = 1e-3  # relative difference that is more than the arithmetic of float32 on another device
PLACES = (*(root for root in labels.IRRELEVANT if root not in labels.SEEDS), "data.download", "device", "threads",
          "measure.memory")  # fmt: skip  # where and on what a run was computed
KEYS = {
    "gradient": ["step", "trained_with", "part"],
    "objective": ["step", "split"],
    "cost": ["what", "engine", "batch_size"],
    "choices": ["step", "split", "part"],
}
NOISY = {
    "gradient": (*MOMENTS, *OF_ALL_DATA),
    "objective": ("elbo", "iwae", "log_prior_sampling"),
    "cost": ("seconds",),
    "choices": (),
}
KNOWN = {
    "gradient": ("variance_exact",),
    "objective": (),
    "cost": ("evaluations_forward", "evaluations_backward"),
    "choices": ("perplexity", "usage", "load", "probability", "quantisation_error"),
}
MACHINE = ("device", "device_name", "threads")  # the same on both sides, or seconds say nothing
COLUMNS = ("family", "label", "seed", "table", "where", "number", "a", "b", "errors", "relative", "p", "moved")


def key_of(row: dict[str, Any]) -> str:
    """What two runs have in common that are to be compared: all of the configuration, seeds included, that says what
    was computed."""
    config = labels.flatten(json.loads(row["config"]))
    kept = {key: value for key, value in config.items() if not labels.under(key, PLACES) and not as_before(key, value)}
    return json.dumps([row["estimator"], kept], sort_keys=True)


def keyed(collection: Collection) -> dict[str, dict[str, Any]]:
    """The runs that count, each with the label of its unit, by their keys; of two with one key the later."""
    units = collection.units.drop_duplicates("run").set_index("run")
    rows = [row for row in collection.tables["runs"].to_pylist() if row["run"] in units.index]
    rows.sort(key=lambda row: (row["status"] == "done", row["started"] or ""))
    return {key_of(row): row | {"label": units.label[row["run"]]} for row in rows}


def compared(a: Collection, b: Collection, only: Iterable[str]) -> "tuple[pd.DataFrame, int]":
    """A row for each number of the runs that are done on both sides, with COLUMNS; and how many times were left out,
    since the machines differ or one was disturbed.

    `errors` is b - a in standard errors, `relative` in units of a, `p` after Holm's correction; NaN: there is none.
    """
    import pandas as pd

    sides = keyed(a), keyed(b)
    both = [key for key in sides[0] if key in sides[1] and sides[0][key]["status"] == sides[1][key]["status"] == "done"]
    pairs = {sides[0][key]["run"]: (sides[0][key], sides[1][key]["run"]) for key in both}
    rows: list[dict[str, Any]] = []
    left_out = 0
    for table in only:
        one, other = (side.tables[table].to_pandas(use_threads=False) for side in (a, b))
        one = one[one.run.isin(list(pairs))]
        other = other.assign(run=other.run.map({run: mine for mine, (_, run) in pairs.items()}))
        keys = ["run", *KEYS[table]]
        for frame in (one, other):
            frame[KEYS[table]] = frame[KEYS[table]].astype(object).where(frame[KEYS[table]].notna(), "")
        together = one.drop_duplicates(keys).merge(other.drop_duplicates(keys), on=keys, suffixes=("_a", "_b"))
        for row in together.to_dict("records"):
            run = pairs[row["run"]][0]
            where = " ".join(str(row[key]) for key in KEYS[table] if row[key] not in ("", "own"))
            about = {
                "family": run["family"],
                "label": run["label"],
                "seed": run["seed"],
                "table": table,
                "where": where,
            }
            timed = table != "cost" or _same_machine(row)
            left_out += not timed
            rows += [about | found for found in _numbers(table, row, timed)]
    frame = pd.DataFrame(rows, columns=[c for c in COLUMNS if c != "moved"])
    frame["p"] = holm(frame.p.to_numpy(float))
    return frame.assign(moved=frame.p < 1 - LEVEL), left_out


def _same_machine(row: dict[str, Any]) -> bool:
    alike = all(row[f"{name}_a"] == row[f"{name}_b"] for name in MACHINE)
    return alike and row["valid_a"] is True and row["valid_b"] is True


def _numbers(table: str, row: dict[str, Any], timed: bool) -> Iterator[dict[str, Any]]:
    """The numbers of a row that A has, and B has or should have."""
    noiseless = table == "gradient" and row["draws_a"] == row["draws_b"] == 1
    trained = table == "choices" and row["step"] > 0  # by noise
    for name in (*NOISY[table], *KNOWN[table]):
        a, b = (float("nan" if row[f"{name}_{side}"] is None else row[f"{name}_{side}"]) for side in "ab")
        if np.isnan(a) or (np.isnan(b) and name in LATER.get(table, ())) or (name == "seconds" and not timed):
            continue
        found: dict[str, Any] = {
            "number": name,
            "a": a,
            "b": b,
            "errors": np.nan,
            "relative": _relative(a, b),
            "p": np.nan,
        }
        if np.isnan(b):
            found["p"] = 0.0
        elif noiseless or (name in KNOWN[table] and not trained):
            found["p"] = np.nan if a == b else float(abs(found["relative"]) <= EXACT)
        elif a != b and name in NOISY[table]:
            floor = np.sqrt(2) * TIME_FLOOR * max(a, b) if name == "seconds" else 0.0
            error = float(np.hypot(np.hypot(*(row[f"{name}_se_{side}"] for side in "ab")), floor))
            found |= {"errors": (b - a) / error, "p": _probability((b - a) / error)} if error > 0 else {}
        yield found


def _relative(a: float, b: float) -> float:
    return 0.0 if a == b else (b - a) / abs(a) if a else float(np.copysign(np.inf, b))


def _probability(errors: float) -> float:
    """Of a difference at least as large where nothing moved."""
    from scipy import stats

    return float(2 * stats.t.sf(abs(errors), DRAWS_FREEDOM))


def holm(p: np.ndarray) -> np.ndarray:
    """Probabilities corrected for their number; NaN are no tests and stay."""
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]
    corrected = p.copy()
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected
