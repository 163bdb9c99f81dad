"""Damage a bit or a byte of every kind of file that a sweep, its report and its checkpoints leave, and read it again.

Reading gives what was written or refuses in one sentence. `python -m tests.support.damages 500 --out FILE.csv`.
"""

import argparse
import csv
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bench import cli
from bench.errors import BadInput
from bench.report.collection.saved import DIGESTS, read_saved, stem
from bench.report.command import main as report
from bench.report.page.pictures import read as pictures
from bench.run import attempt, checkpoint, resume
from bench.sweep import plan
from bench.tables import store, tuning
from bench.tables.schema import OF_SOME
from tests.support import tuned_runs
from tests.support.runs import SMALL, config
from tests.support.small import vae

Reader = Callable[[], Any]


def sweep(folder: Path) -> dict[Path, Reader]:
    """Make a sweep of two runs, its report, a tuning's table and two kinds of checkpoints; every file with what reads
    it."""
    words = [*SMALL, "seed=0,1", "evaluate.images=2", f"output={folder}", "device=cpu"]
    with patch.object(sys, "argv", ["bench"]):
        assert cli.main(["-m", *words]) == 0
        assert report([str(folder), "--only", "final_elbo"]) == 0
    run = next(marker.parent for marker in sorted(folder.rglob(store.MARKER)))
    readers: dict[Path, Reader] = {run / store.MARKER: lambda: tables(run)}
    readers |= {file: lambda: tables(run) for file in sorted(run.glob("*.parquet"))}
    readers[run / "images.npz"] = lambda: {k: v.tolist() for k, v in (pictures(run) or {}).items()} or None
    [planned] = folder.rglob(plan.PATTERN)
    readers[planned] = lambda: (found := plan.read(planned)) and (found["command"], found["jobs"])
    tried = folder / tuning.PATTERN.replace("*", "0")
    points = {str(i): {"lr": 0.1**i, "bound": -99.5 - i, "seconds": 3.5} for i in range(1, 9)}
    tuning.write(tried, tuned_runs.rows("rloo", points))
    readers[tried] = lambda: tuning.read(tried)
    saved = folder / "report"
    there = [name for name in store.TABLES if name not in OF_SOME]
    for name in [f"{stem(name)}.parquet" for name in there] + [DIGESTS]:
        readers[saved / name] = lambda: [{n: t.to_pylist() for n, t in one.items()} for one in read_saved(saved)]
    resolved = config()
    checkpoint.write_checkpoint(folder / "models", vae("bernoulli"), resolved, 7)
    model = checkpoint.path_of(folder / "models", 7)
    readers[model] = lambda: (found := checkpoint.read_checkpoint(model)) and (found.step, found.digest, found.config)
    resume.write_state(folder / "models", resolved, {"step": 3, "tensor": torch.arange(100.0)})
    readers[folder / "models" / attempt.RESUME] = lambda: held(resume.read_state(folder / "models", resolved))
    return readers


def tables(run: Path) -> dict[str, Any]:
    """The rows of a run directory."""
    return {name: table.to_pylist() for name, table in store.read(run).items()}


def held(content: dict[str, Any] | None) -> Any:
    """The content with its tensor as a list."""
    return content and (content["step"], content["tensor"].tolist())


def damages(tries: int, folder: Path, seed: int = 0) -> list[dict[str, Any]]:
    """A row for each file: how many damages were refused, harmless, read as something else, and raised an error."""
    source, rows = random.Random(seed), []
    for path, read in sweep(folder).items():
        content, whole = path.read_bytes(), read()
        row = {"file": path.name, "of": "report" if path.parent.name == "report" else "sweep", "tries": tries}
        row |= dict.fromkeys(("refused", "the_same", "other", "errors"), 0)
        for _ in range(tries):
            damaged, at = bytearray(content), source.randrange(len(content))
            damaged[at] ^= 1 << source.randrange(8) if source.random() < 0.5 else source.randrange(1, 256)
            path.write_bytes(damaged)
            row[outcome(read, whole)] += 1
        path.write_bytes(content)
        assert read() == whole
        rows.append(row)
    return rows


def outcome(read: Reader, whole: Any) -> str:
    """What reading came to."""
    try:
        found = read()
    except (store.SchemaError, BadInput):
        return "refused"
    except Exception:
        return "errors"
    return "refused" if found is None else "the_same" if found == whole else "other"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.damages", description=__doc__)
    parser.add_argument("tries", type=int, help="of every file")
    parser.add_argument("--out", type=Path, help="a CSV file")
    return parser.parse_args(argv)


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        rows = damages(options.tries, Path(folder).resolve())
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    total = {name: sum(row[name] for row in rows) for name in ("tries", "refused", "the_same", "other", "errors")}
    print(json.dumps({"files": len(rows)} | total))
    return int(total["other"] + total["errors"] > 0)


if __name__ == "__main__":
    sys.exit(main())
