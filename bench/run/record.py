"""Write the row of a run that has ended, and with it the run directory."""

import json
from contextlib import suppress
from pathlib import Path

from bench.config.code import distribution, made_by
from bench.config.identity import identity
from bench.config.parts import family
from bench.config.plugins import build, target
from bench.config.written import as_written
from bench.errors import BadInput
from bench.interface import declared
from bench.run import attempt
from bench.run.ending import Ending, recorded, wanted
from bench.run.provenance import provenance
from bench.settings import Config, Described
from bench.tables import store
from bench.tables.rows import Rows, RunRow, by_table
from bench.tables.schema import OF_SOME, SCHEMA
from estimators import Estimator


def record(
    config: Described,
    directory: Path,
    ending: Ending,
    *,
    estimator: Estimator | None = None,
    columns: RunRow | None = None,
    rows: Rows | None = None,
) -> Ending:
    """Write the tables of a run, whole or not at all, and then their marker.

    Called once for every run: by `perform.perform` when the run has ended, by `seeds.runs` if it could not start, by
    `SharedCheckpoint.probe` for a measurement, and by `record_lost` for a process that has died. Unless the run failed,
    its `resume.pt` and an earlier `traceback.txt` are removed.

    Args:
        config: resolved and checked.
        directory: of the run.
        ending: of the run; its step becomes a column.
        estimator: of the run; None: it was never built, and is built for its columns. Where it cannot be, they are
            those of its class.
        columns: further columns of the row of `runs`; the others follow from `config` and `ending`.
        rows: of the other tables, by the table's name; None: the run never started.

    Returns:
        The ending, with its directory.
    """
    claims = estimator or _built(config)
    run_id = identity(config)
    about: RunRow = {
        "run": run_id,
        "name": config["name"],
        "status": ending.status,
        "reason": ending.reason or None,
        "step": ending.step,
        "estimator": config["option"],
        "family": family(config),
        "unbiased": declared(claims, "unbiased"),
        "objective": claims.objective if isinstance(claims.objective, str) else "elbo",
        "seed": config["seed"],
        "schema": SCHEMA,
        "precision": config["precision"],
        "deterministic": config["deterministic"],
        "code": made_by(config),
        "distribution": distribution(config["estimator"]["_target_"]),
        "config": json.dumps(as_written(config), sort_keys=True),
    }
    about |= provenance(config["device"], config["threads"]) | (columns or {})
    measured = by_table(rows) if rows else {}
    kept = {name: table for name, table in measured.items() if table or name not in OF_SOME}
    tables = {name: [{"run": run_id} | row for row in table] for name, table in kept.items()}
    store.write(directory, {"runs": [dict(about)], **tables})
    if ending.status != "failed":
        for left in ("traceback.txt", attempt.RESUME):
            with suppress(OSError):
                (directory / left).unlink()
    return ending._replace(directory=directory)


def _built(config: Described) -> Estimator | type[Estimator]:
    """The estimator; its class where a constructor raises, which is why the run could not start."""
    try:
        return build(config["estimator"])
    except BadInput:
        return target(config["estimator"]["_target_"])


def record_lost(config: Config, directory: Path, reason: str) -> Ending:
    """Record a run whose process has died as failed. Called by the launcher that started the process.

    A run that the process had finished, or on which another process works, is left as it is. `resume.pt` stays. If the
    process was on another machine, this waits until it counts as dead.

    Args:
        config: resolved and checked.
        directory: of the run.
        reason: one sentence.
    """
    attempt.outlast(directory)
    last = attempt.read(directory)
    if other := attempt.worker(directory):
        return Ending("running", f"{other} works on it.", directory, already=True)
    (directory / attempt.FILE).unlink(missing_ok=True)
    ending = recorded(directory, config)
    if ending and ending.status != "failed" and not wanted(ending, config["sweep"]["retry"]):
        return ending._replace(already=False, former="")  # the dead process did it for this command
    (directory / "traceback.txt").unlink(missing_ok=True)
    columns: RunRow = {"started": last["started"]} if last and "started" in last else {}
    return record(config, directory, Ending("failed", reason, step=last.get("step") if last else None), columns=columns)
