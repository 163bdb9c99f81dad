"""Runs that failed and were run again, with success, under another key that does not change what is compared."""

import json

from bench.report.collection import labels
from bench.tables.rows import RunRow

ABOUT = ("estimator", *labels.PROBLEM, "probe", "seed", "seeds")  # what a run is about; the rest is how it was done
PLACES = ("probe.digest", "data.root", "data.path", "data.download")


def fixed(rows: list[RunRow]) -> dict[str, str]:
    """Each failed run -> the later run that is done, of the same estimator with the same hyper-parameters, problem and
    seed, by another command. Where several are done, the other key was swept over, and the failure is a result.

    Args:
        rows: of table `runs`.
    """
    failed = [row for row in rows if row["status"] == "failed"]
    done: dict[str, list[RunRow]] = {}
    for row in rows if failed else ():
        if row["status"] == "done":
            done.setdefault(_about(row), []).append(row)
    found = {}
    for row in failed:
        others = done.get(_about(row), [])
        later = [o for o in others if (o["started"] or "") >= (row["started"] or "") and o["command"] != row["command"]]
        if len(others) == len(later) == 1:
            found[row["run"]] = later[0]["run"]
    return found


def _about(row: RunRow) -> str:
    config = labels.flatten(json.loads(row["config"]))
    places = PLACES[:2] if "data._target_" in config else PLACES  # the arguments of a class may say anything
    kept = {key: value for key, value in config.items() if labels.under(key, ABOUT) and key not in places}
    return json.dumps([row["estimator"], row["family"], row["objective"], kept], sort_keys=True)
