"""`python -m bench.speed`: gradient draws, training steps and memory against what a user would write and against what
this device can do at most, in one run, to a table and a figure."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import torch

from bench.config.plugins import registry
from bench.errors import BadInput
from bench.machine import device_name, require_threads
from bench.measure.clock import Rounds
from bench.run.provenance import commit
from bench.speed.ceilings import bandwidth
from bench.speed.draws import draws_rows, memory_rows
from bench.speed.gradients import gradient_rows
from bench.speed.options import rows as option_rows
from bench.speed.own import own_rows
from bench.speed.problems import LEAD, OTHERS
from bench.speed.rows import Rows, measured
from bench.speed.steps import layered_rows, step_rows
from bench.speed.table import draw, read, write
from bench.terminal import Parser, to_its_end

PARTS = ("draws", "steps", "others", "own", "gradients", "memory")
FULL: dict[str, Any] = {
    "draws": [2, 16, 128, 1024],
    "others": [16, 128],
    "own": [128, 1024],
    "memory": [100, 1000, 10_000],
    "batches": [50, 500, 5000],
    "repetitions": 20,
}
QUICK: dict[str, Any] = {
    "draws": [2, 16], "others": [16], "own": [16], "memory": [100, 400], "batches": [50], "repetitions": 2,
}  # fmt: skip


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """What was asked, checked, with the sizes filled in."""
    parser = Parser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--draws", type=int, nargs="+", help="draws per measurement, default 2 16 128 1024")
    parser.add_argument("--batches", type=int, nargs="+", help="batch sizes of a gradient, default 50 500 5000")
    parser.add_argument("--repetitions", type=int, help="timed blocks of each at the most, default 20")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the table, default all")
    parser.add_argument("--quick", action="store_true", help="few draws, two repetitions: to see that it works")
    parser.add_argument("--per-estimator", action="store_true", help="what each option costs per draw, instead")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 100, 10_000], help="for --per-estimator")
    again = "keep the rows in --out that this code measured on this device, and measure the others"
    parser.add_argument("--continue", dest="go_on", action="store_true", help=again)
    parser.add_argument("--out", type=Path, default=Path("outputs/speed"), help="directory of the table and the figure")
    chosen = parser.parse_args(argv)
    chosen.sizes = QUICK if chosen.quick else FULL
    if chosen.repetitions is None:
        chosen.repetitions = chosen.sizes["repetitions"]
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda was asked for and this machine has none; --device cpu works.")
    for name, least in (("threads", 1), ("repetitions", 1), ("replicas", 1), ("draws", 2), ("batches", 1)):
        given = getattr(chosen, name)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and value < least:
                parser.error(f"--{name} {value} is too few; {least} is the least.")
    if chosen.go_on and chosen.per_estimator:
        parser.error("--continue does not go with --per-estimator, whose options are timed in turn.")
    try:
        require_threads(chosen.threads)
    except BadInput as error:
        parser.error(f"--{error}")
    given_sizes = {name: sizes for name in ("draws", "batches") if (sizes := getattr(chosen, name))}
    chosen.sizes = chosen.sizes | given_sizes
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {chosen.out} cannot be made a directory: {error.strerror}.")
    return chosen


@to_its_end
def main(argv: list[str] | None = None) -> int:
    """Exit status: 0, 1 where rows are missing, or 2 at bad arguments."""
    chosen = arguments(argv)
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    where = {"device": chosen.device, "device_name": device_name(chosen.device), "threads": chosen.threads}
    where |= {"torch": torch.__version__, "commit": commit()}
    print(", ".join(f"{k} {v}" for k, v in where.items()))
    name = "options" if chosen.per_estimator else "speed"
    there = read(chosen.out, name) if chosen.go_on else []
    done = [row for row in there if all(row.get(key) == value for key, value in where.items())]
    failures: list[str] = []
    rows = options(device, chosen) if chosen.per_estimator else against_plain(device, chosen, [*done], failures)
    for row in rows:  # the table is there after every row, whatever ends the command
        done.append(row | where)
        write(done, chosen.out, name)
    for path in [*write(done, chosen.out, name), *draw(done, chosen.out, name)] if done else []:
        print(path)
    for failure in failures:
        print(f"Not measured: {failure}")
    return 1 if failures else 0


def rounds_of(chosen: argparse.Namespace) -> Rounds:
    """How long is timed: single calls where it is only to be seen that it works."""
    return Rounds(most=chosen.repetitions, warmup=1, block=0 if chosen.quick else 0.05, seconds=20)


def against_plain(
    device: torch.device, chosen: argparse.Namespace, there: list[dict[str, Any]], failures: list[str]
) -> Iterator[dict[str, Any]]:
    """Gradient draws, training steps, gradients by batch size and peak memory that are not there, printed as they
    come."""
    sizes, rounds = chosen.sizes, rounds_of(chosen)
    print(f"A copy moves {bandwidth(device) / 1e9:.1f} GB/s.")
    if device.type != "cuda":
        print("On a GPU: not measured. Without one there are no graphs.")
    print("A VAE 784-200-200-200, batch 100; two layers: 784-200-200, batch 24.")
    print("ratio = reference / ours for times: above 1 is faster than the plain loop")
    print("bench.measure: the reference is take, the draws alone of the suite's model with the same weights")
    print("floor: the matrix products that cannot be left out, at their measured rate; %: how much of ours that is")
    heads = f"{'what':31} {'estimator':20} {'size':>6} {'ours':>10} {'reference':>10} {'ratio':>6} {'quartiles':>11}"
    print(f"{heads}  % floor")
    parts: dict[str, Callable[[], Iterable[Rows]]] = {
        "draws": lambda: draws_rows(device, [LEAD], sizes["draws"], rounds),
        "steps": lambda: chain(step_rows(device, rounds), layered_rows(device, rounds)),
        "others": lambda: draws_rows(device, OTHERS, sizes["others"], rounds),
        "own": lambda: own_rows(device, [LEAD], sizes["own"], rounds),
        "gradients": lambda: gradient_rows(device, OTHERS, sizes["batches"], rounds),
        "memory": lambda: memory_rows(device, sizes["memory"]),
    }
    every: Iterable[Rows] = chain.from_iterable(parts[name]() for name in PARTS if name in chosen.only)
    for r in measured(every, there, failures):
        unit = (lambda v: f"{v / 2**20:7.1f}MiB") if r["unit"] == "bytes" else (lambda v: f"{v:9.4f}s")
        cells = f"{r['what']:31} {r['estimator']:20} {r['size']:6} {unit(r['ours'])} {unit(r['reference'])}"
        quartiles = f"{r['q1']:5.2f}-{r['q3']:5.2f}" if "q1" in r else ""
        percent = f"{r['fraction_of_floor']:8.0%}" if "fraction_of_floor" in r else ""
        print(f"{cells} {r['ratio']:6.2f} {quartiles:>11} {percent}", flush=True)
        yield r


def options(device: torch.device, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What every option costs, printed as it comes."""
    print("Microseconds a draw of one example, its cost nearly free; ratio = ours / a hand-written function, if any")
    for count, group in groupby(option_rows(device, chosen.replicas, rounds_of(chosen)), lambda row: row["replicas"]):
        print(f"{'option':24} {'family':12}{f'R = {count:,}':>14}{'ratio':>7}   F / B")
        for row in group:
            ratio = f"{row['ratio']:7.2f}" if "ratio" in row else 7 * " "
            cost = registry()[row["option"]].cls.evaluations
            print(f"{row['option']:24} {row['family']:12}{row['microseconds']:14.3f}{ratio}   {cost}", flush=True)
            yield row
