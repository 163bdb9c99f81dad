"""`python -m bench.speed`: gradient draws and training steps against what a user would write, in one run, as ratios."""

import argparse
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.measure import own_stream, take
from bench.model import VAE
from bench.objective import Objective
from bench.plugins import estimator
from bench.provenance import device_name
from bench.speed.plain import BareLoop, plain_draws
from bench.timing import timed
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


def compare(ours: Callable, plain: Callable, device: torch.device, repetitions: int) -> dict[str, float]:
    """Medians of both, taken in turn, and the quartiles of the ratio plain / ours."""
    pairs = []
    for i in range(repetitions + 1):
        pair = [timed(work, device, 1, 0)["seconds"] for work in (ours, plain)]
        if i:  # the first is the warm-up
            pairs.append(pair)
    seconds = np.array(pairs)
    q1, median, q3 = np.quantile(seconds[:, 1] / seconds[:, 0], [0.25, 0.5, 0.75])
    return {"ours": np.median(seconds[:, 0]), "plain": np.median(seconds[:, 1]), "ratio": median, "q1": q1, "q3": q3}


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
    bare = BareLoop(twin.model.encoder, twin.model.decoder, repeat(x), TRAIN["lr"])

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
    chosen = parser.parse_args(argv)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("device cuda was asked for and this machine has none; --device cpu works.")
    if min([chosen.threads, chosen.repetitions, *chosen.draws]) < 1 or min(chosen.draws) < 2:
        parser.error("--threads and --repetitions are 1 or more, and --draws 2 or more.")
    torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    print(f"{device_name(chosen.device)}, {chosen.threads} threads, PyTorch {torch.__version__}")
    print("Bernoulli VAE 784-200-200-200, batch 100, RLOO with 2 samples; ratio = plain / ours, more than 1 is faster")
    print(f"{'what':34} {'size':>5} {'ours, s':>9} {'plain, s':>9} {'ratio':>6}   quartiles")
    rows = [*draws_rows(device, chosen.draws, chosen.repetitions), step_row(device, chosen.repetitions)]
    for r in rows:
        times = f"{r['ours']:9.4f} {r['plain']:9.4f} {r['ratio']:6.2f}   {r['q1']:.2f} - {r['q3']:.2f}"
        print(f"{r['what']:34} {r['size']:5} {times}")
    return 0
