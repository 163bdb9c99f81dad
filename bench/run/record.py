"""The row of a run that has ended, and its run directory."""

import json
from contextlib import suppress
from pathlib import Path

from bench.config.identity import identity
from bench.config.plugins import build
from bench.problems import family
from bench.run import attempt
from bench.run.ending import Outcome
from bench.run.provenance import provenance
from bench.tables import store
from bench.tables.schema import SCHEMA


def record_lost(config: dict, directory: Path, reason: str) -> Outcome:
    """Write the failed row of a run whose process is gone, for whoever started that process.

    What the process had finished, or another one works on, stays as it is. `resume.pt` stays too. Where the process was
    on another machine, this waits until it counts as dead.

    Args:
        config: resolved and checked.
        directory: of the run.
        reason: one sentence.
    """
    attempt.outlast(directory)
    last = attempt.read(directory) or {}
    if other := attempt.worker(directory):
        return Outcome("running", f"{other} works on it.")
    (directory / attempt.FILE).unlink(missing_ok=True)
    if (directory / store.MARKER).is_file():
        [row] = store.read(directory)["runs"].to_pylist()
        if row["status"] != "failed":
            return Outcome(row["status"], row["reason"] or "")
    (directory / "traceback.txt").unlink(missing_ok=True)
    return record(config, directory, "failed", reason, {k: last[k] for k in ("step", "started") if k in last})


def record(
    config: dict, directory: Path, status: str, reason: str, row: dict | None = None, rows: dict | None = None
) -> Outcome:
    """Write a run directory; with neither `row` nor `rows`, of a run that never started."""
    estimator = build(config["estimator"])
    run_id = identity(config)
    about = {
        "run": run_id,
        "name": config["name"],
        "status": status,
        "reason": reason or None,
        "estimator": config["option"],
        "family": family(config),
        "unbiased": estimator.unbiased,
        "objective": estimator.objective,
        "seed": config["seed"],
        "schema": SCHEMA,
        "precision": config["precision"],
        "deterministic": config["deterministic"],
        "config": json.dumps(config, sort_keys=True),
    }
    about |= provenance(config["device"], config["threads"]) | (row or {})
    found = {name: [{"run": run_id} | r for r in table] for name, table in (rows or {}).items()}
    store.write(directory, {"runs": [about], **found})
    if status != "failed":
        for left in ("traceback.txt", attempt.RESUME):
            with suppress(OSError):
                (directory / left).unlink()
    return Outcome(status, reason)
