"""Complete runs below a folder, by what the estimator `ends` was told to do."""

import json
from pathlib import Path

from bench.tables import store

POOL = "hydra/launcher=pool"


def rows(folder: Path) -> dict[tuple, dict]:
    """(what a run was told to do, its seed) -> its row, and its directory."""
    found = {}
    for marker in folder.rglob(store.MARKER):
        [row] = store.read(marker.parent)["runs"].to_pylist()
        found[json.loads(row["config"])["estimator"]["how"], row["seed"]] = row | {"directory": marker.parent}
    return found
