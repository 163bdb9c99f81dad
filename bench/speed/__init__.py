"""`python -m bench.speed`: gradient draws and training steps against what a user would write, in one run, as ratios."""

import argparse
from collections.abc import Iterator
from itertools import groupby, repeat
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from bench.measure import own_stream, take
from bench.model import VAE
from bench.objective import Objective
from bench.plugins import estimator, registry
from bench.provenance import device_name
from bench.speed.options import rows as option_rows
from bench.speed.plain import BareLoop, plain_draws
from bench.timing import compare
from bench.train import Trainer

MODEL = {
    "arch": "mlp", "hidden": [200, 200], "activation": "leaky_relu", "slope": 0.3, "init": "glorot",
    "likelihood": "bernoulli", "std": 1.0, "learn_std": False, "prior": "fixed", "center_input": False,
    "signed_latent": False, "output_bias": "none",
}  # fmt: skip
TRAIN: dict[str, Any] = {
    "optimiser": "adam",
    "lr": 1e-3,
    "tuning_lr": 1e-3,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "momentum": 0.9,
}


def problem(device: torch.device, name: str = "rloo", **hyper) -> tuple[Objective, Tensor]:
    """The Bernoulli VAE 784-200-200-200 and a batch of 100 random binary images."""
    with own_stream(0):
        x = (torch.rand(100, 784) < 0.13).float().to(device)
        model = VAE({"family": "bernoulli", "dim": 200}, MODEL, (1, 28, 28), x.mean(0).cpu()).to(device)
        return Objective(model, estimator(name, **hyper).to(device)), x


def draws_rows(device: torch.device, counts: list[int], repetitions: int) -> Iterator[dict]:
    """Encoder-gradient and full-gradient draws of RLOO-2 against the plain loop."""
    objective, x = problem(device, k=2)
    named = list(objective.model.named_parameters())
    for what, parts in (("encoder", ("encoder.",)), ("encoder + decoder", ("encoder.", "decoder."))):
        parameters = [p for n, p in named if n.startswith(parts)]
        decoder = "decoder." in parts
        for draws in counts:

            def ours(draws=draws, decoder=decoder):
                return take(objective, x, draws, decoder=decoder)

            def plain(draws=draws, parameters=parameters):
                return plain_draws(objective, x, draws, parameters)

            yield {"what": f"gradient draws, {what}", "size": draws, **compare(ours, plain, device, repetitions)}


def step_row(device: torch.device, repetitions: int) -> dict:
    """A training step against the bare loop, 20 steps at a time."""
    objective, x = problem(device, k=2)
    twin, _ = problem(device, k=2)
    trainer = Trainer(objective, repeat(x), TRAIN)
    bare = BareLoop(twin.model.encoder, twin.model.get_submodule("decoder"), repeat(x), TRAIN["lr"])

    def ours():
        for _ in range(20):
            trainer.step()

    def plain():
        for _ in range(20):
            bare.step()

    return {"what": "20 training steps", "size": 1, **compare(ours, plain, device, repetitions)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.speed", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--draws", type=int, nargs="+", default=[2, 16, 128, 1024], help="draws per measurement")
    parser.add_argument("--repetitions", type=int, default=5, help="timed repetitions of each pair")
    parser.add_argument("--per-estimator", action="store_true", help="what each option costs per draw, instead")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 100, 10_000], help="for --per-estimator")
    parser.add_argument("--csv", help="write the table to this file too")
    chosen = parser.parse_args(argv)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("device cuda was asked for and this machine has none; --device cpu works.")
    if min([chosen.threads, chosen.repetitions, *chosen.draws]) < 1 or min(chosen.draws) < 2:
        parser.error("--threads and --repetitions are 1 or more, and --draws 2 or more.")
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    where = {"device": device_name(chosen.device), "threads": chosen.threads, "torch": torch.__version__}
    print(", ".join(f"{k} {v}" for k, v in where.items()))
    table = options if chosen.per_estimator else against_plain
    rows = [row | where for row in table(device, chosen)]
    if chosen.csv:
        pd.DataFrame(rows).to_csv(chosen.csv, index=False)
    return 0


def against_plain(device: torch.device, chosen: argparse.Namespace) -> Iterator[dict]:
    """Gradient draws and training steps, printed as they come."""
    print("Bernoulli VAE 784-200-200-200, batch 100, RLOO with 2 samples; ratio = plain / ours, more than 1 is faster")
    print(f"{'what':34} {'size':>5} {'ours, s':>9} {'plain, s':>9} {'ratio':>6}   quartiles")
    for r in (*draws_rows(device, chosen.draws, chosen.repetitions), step_row(device, chosen.repetitions)):
        times = f"{r['ours']:9.4f} {r['plain']:9.4f} {r['ratio']:6.2f}   {r['q1']:.2f} - {r['q3']:.2f}"
        print(f"{r['what']:34} {r['size']:5} {times}", flush=True)
        yield r


def options(device: torch.device, chosen: argparse.Namespace) -> Iterator[dict]:
    """What every option costs, printed as it comes."""
    print("Microseconds a draw of one example, its cost nearly free; ratio = ours / a hand-written function, if any")
    heads = "".join(f"{f'R = {count:,}':>14}{'ratio':>7}" for count in chosen.replicas)
    print(f"{'option':24} {'family':12}{heads}   F / B")
    for name, group in groupby(option_rows(device, chosen.replicas, chosen.repetitions), lambda row: row["option"]):
        cells, family = "", ""
        for row in group:
            family = row["family"]
            cells += f"{row['microseconds']:14.3f}" + (f"{row['ratio']:7.2f}" if "ratio" in row else 7 * " ")
            yield row
        print(f"{name:24} {family:12}{cells}   {registry()[name].cls.evaluations}", flush=True)
