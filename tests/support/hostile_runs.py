"""Runs whose every text would be markup, script or a formula if a page let it."""

from pathlib import Path

import numpy as np

from bench.run.images import IMAGES_FILE
from bench.tables.store import write
from tests.support.synthetic_runs import config, runs_row, tables

TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</svg><script>alert(3)</script>",
    "</script><script>alert(4)</script>",
    "' onmouseover='alert(5)",
    "$x^{2}$ ]]> &lt;b&gt; {{ 7 * 7 }}",
)
REASON = "RuntimeError: </td></table><script>alert(6)</script>"


def hostile(root: Path, seeds=(0, 1, 2)) -> None:
    """Each text as an estimator, with pictures; a data set, a sweep, a device, a command and a reason of the same kind;
    own trajectories and a shared checkpoint."""
    for i, text in enumerate(TEXTS):
        for seed in seeds:
            resolved = config(text, "bernoulli", seed, data__name=f"data {TEXTS[0]}")
            about = {"name": TEXTS[0], "command": f"python -m bench {TEXTS[1]}", "device_name": TEXTS[2]}
            row = runs_row(resolved, text, **about)
            write(root / row["run"], tables(row, 1 + i, 0.1 * (i % 2)))
            picture = np.full((2, 1, 8, 8), 40 * i, np.uint8)
            kinds = dict.fromkeys(("data", "reconstruction", "prior"), picture)
            np.savez(root / row["run"] / IMAGES_FILE, **kinds, codes=np.array([3, 0, 1]))
        resolved = config(text, "bernoulli", 9, data__name=f"data {TEXTS[0]}")
        failed = runs_row(resolved, text, status="failed", reason=REASON)
        write(root / failed["run"], {"runs": [failed]})
        origin = {"trained_with": TEXTS[1], "step": 1000, "digest": "0", "trajectory": {"seeds": {}}}
        row = runs_row(config(text, "bernoulli", 0, probe=origin, data__name=f"data {TEXTS[0]}"), text)
        made = tables(row, 1 + i, 0.1 * (i % 2))
        gradient = [g | {"trained_with": TEXTS[1]} for g in made["gradient"] if g["step"] == 1000]
        write(root / row["run"], {"runs": [row], "gradient": gradient, "cost": made["cost"]})
