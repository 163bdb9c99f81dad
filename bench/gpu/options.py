"""`python -m bench.gpu.options`: test every option on every latent family on a GPU.

The table says, for engines eager and graph, whether the host waits for the device in a training step, whether the
losses of both agree, and how many draws of the gradient are taken per second. It is written after every row, and the
same command continues it.
"""

import argparse
import csv
import io
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from bench import machine
from bench.config import plugins
from bench.config.prepare import prepare
from bench.errors import BadInput, Impossible
from bench.files import CONF, replace
from bench.gpu.parts import AGAIN
from bench.measure.gradient.draws import take
from bench.run.device import set_up
from bench.run.experiment import Experiment
from bench.run.failures import explain, lost_gpu
from bench.run.provenance import commit
from bench.settings import Config
from bench.terminal import Parser, plain
from bench.train.graph import WARM_UP

FAMILIES = [file.stem.removesuffix("_small") for file in sorted(CONF.glob("latent/*_small.yaml"))]  # those of the VAE
STEPS = 10
ALIKE = 1e-3  # largest relative difference of the losses of graph and eager: same noise, sums in another order
DRAWS = 256
SMALL = ["train.batch_size=50", "measure.batches=1", "measure.at=[]", "evaluate.at=[]", "threads=1"]
COLUMNS = {
    "option": "estimator or preset",
    "family": "latent family",
    "kl": "objective.kl, analytic where the option takes that",
    "eager": "ok, refused and why, or failed and why; on a GPU a training step in which the host waits has failed",
    "graph": "the same with engine=graph; empty on the CPU",
    "difference": f"largest relative difference of graph's losses from eager's; above {ALIKE:g} graph says so",
    "draws_per_second": f"draws of the whole gradient, {DRAWS} at once, in one call: a rough rate; empty without noise",
    "seconds": "time of the whole row",
    "device_name": "name of the processor or of the GPU",
    "torch": "version of PyTorch",
    "commit": "git commit, with + where the tree was changed",
}


def main(argv: list[str] | None = None) -> int:
    """Test all pairs. Returns the exit status: 0, 1 if a pair failed, 2 at bad arguments, AGAIN if the GPU was lost."""
    chosen = arguments(argv)
    where = {"device_name": machine.device_name(chosen.device), "torch": torch.__version__, "commit": commit() or ""}
    rows = [row for row in read(chosen.out) if where.items() <= row.items()]
    done, data = {(row["option"], row["family"]) for row in rows}, None
    for option, family in ((option, family) for option in chosen.options for family in FAMILIES):
        if (option, family) in done:
            continue
        row, data = pair(option, family, chosen.device, data)
        rows.append(row | where)
        replace(chosen.out, written(rows))
        print(plain(" ".join(f"{name}={value}" for name, value in row.items() if value)), flush=True)
        if lost_gpu:
            print("The GPU is lost to this process; the same command goes on behind this pair.")
            return AGAIN
    wrong = [row for row in rows for word in (row["eager"], row["graph"]) if not fine(word)]
    refused = sum(row["eager"].startswith("refused") for row in rows)
    print(f"{len(rows)} pairs, {refused} refused, {len(wrong)} wrong; {chosen.out} has them.")
    return 1 if wrong else 0


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = Parser(prog="python -m bench.gpu.options", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: without graphs")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu/options.csv"), help="the table")
    known = [*plugins.registry(), *plugins.presets()]
    parser.add_argument("--options", nargs="+", choices=known, metavar="OPTION", default=known, help="default all")
    chosen = parser.parse_args(argv)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda was asked for and this machine has none; --device cpu works.")
    try:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {chosen.out} cannot be written: {error.strerror}.")
    return chosen


def fine(word: str) -> bool:
    """Whether a cell of column `eager` or `graph` reports no fault."""
    return word in ("", "ok") or word.startswith("refused")


def pair(option: str, family: str, device: str, data: Any = None) -> tuple[dict[str, Any], Any]:
    """Test one option on one family: its row, without the columns that all rows share, and the data for the next."""
    start = time.perf_counter()
    row: dict[str, Any] = dict.fromkeys(list(COLUMNS)[:-3], "") | {"option": option, "family": family}
    try:
        for row["kl"] in ("analytic", "sampled"):
            config = configured(option, family, row["kl"], device)
            set_up(config)
            eager = Experiment(config, data)
            data = eager.data
            row["eager"] = f"refused: {reason}" if (reason := eager.impossible()) else ""
            if not row["eager"]:
                break
        else:
            return row | {"seconds": round(time.perf_counter() - start, 2)}, data
        expected = losses(eager)
        row["eager"] = "ok"
        if not eager.objective.noiseless(eager.q):
            row["draws_per_second"] = round(draws_per_second(eager))
        if device == "cuda":
            found = losses(Experiment(config | {"engine": "graph"}, data))
            difference = float(((found - expected).abs() / expected.abs().clamp(min=1e-6)).max())
            row["difference"] = f"{difference:.1e}"
            row["graph"] = "ok" if difference <= ALIKE else "its losses are not those of eager"
    except Exception as error:  # of one pair: the others are looked at all the same
        kind = "refused" if isinstance(error, BadInput | Impossible) else "failed"
        row["graph" if row["eager"] == "ok" else "eager"] = f"{kind}: {explain(error)}"
    return row | {"seconds": round(time.perf_counter() - start, 2)}, data


def configured(option: str, family: str, kl: str, device: str) -> Config:
    """The configuration of a small run on the built-in digits. A value without a default raises BadInput."""
    plugins.register()
    words = [f"device={device}", f"latent={family}_small", f"estimator={option}", f"objective.kl={kl}"]
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        composed: Any = OmegaConf.to_container(compose("config", [*SMALL, *words]), resolve=True)
    return prepare(composed | {"option": option})


def losses(experiment: Experiment) -> Tensor:
    """Losses `[STEPS]` of the first training steps. A wait of the host in a step after WARM_UP raises RuntimeError."""
    with experiment.noise():
        for _ in range(WARM_UP + 1):
            experiment.train_step()
        with no_waiting(experiment.device):
            for _ in range(WARM_UP + 1, STEPS):
                experiment.train_step()
    return experiment.trainer.losses[:STEPS].cpu()


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """A context in which PyTorch raises RuntimeError where the host would wait for a GPU."""
    if device.type != "cuda":
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype feature")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def draws_per_second(experiment: Experiment) -> float:
    """Draws of the whole gradient per second, timed after a warm-up call."""
    x, memory = experiment.probe[0], experiment.config["measure"]["memory"]
    for draws in (16, DRAWS):
        machine.wait(experiment.device)
        start = time.perf_counter()
        take(experiment.objective, x, draws, memory=memory)
        machine.wait(experiment.device)
    return DRAWS / (time.perf_counter() - start)


def written(rows: list[dict[str, Any]]) -> bytes:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a table; none if the file is missing or has other columns."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
    except (OSError, ValueError, csv.Error):
        return []
    return [row for row in rows if row.keys() == COLUMNS.keys() and None not in row.values()]


if __name__ == "__main__":
    sys.exit(main())
