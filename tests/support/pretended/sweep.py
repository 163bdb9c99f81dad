"""Everything that a run does, on the pretended GPU: each option on each family."""

import copy
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench.config import plugins
from bench.data.batches import Batches
from bench.data.datasets import Data
from bench.measure.evaluate import evaluate
from bench.measure.gradient.draws import take
from bench.model.objective import Objective
from bench.streams import own_stream
from bench.train.capture import obstacle
from bench.train.engine import engine
from bench.train.graph import WARM_UP
from bench.train.trainer import Trainer
from tests.support.pretended.gpu import Seen, Watch
from tests.support.small import LATENTS, PIXELS, TRAIN, vae

STEPS = WARM_UP + 3
VQ = {"codebook": "ema", "restart": 0.5}  # the codebook of which most moves


def made(option: str, family: str, **train: Any) -> tuple[Trainer, Tensor] | None:
    """A trainer on the pretended GPU and a batch; None where they do not go together."""

    def objective(kl: str) -> Objective:
        torch.manual_seed(0)
        model = vae(family, VQ if family == "vq" else None).float().to("cuda")
        return Objective(model, plugins.estimator(option).to("cuda"), kl=kl)

    found = possible(objective, "analytic", x := next(batches()))
    return None if found is None else (Trainer(found, batches(), TRAIN | train), x)


def possible(made: Callable[[str], Objective], kl: str, x: Tensor) -> Objective | None:
    """The objective with this KL or a sampled one, whichever goes with its estimator; None if neither does."""
    for form in (kl, "sampled"):
        objective = made(form)
        with torch.no_grad():
            q = objective.model.encode(x)
        if objective.impossible(q) is None:
            objective.estimate(objective.model.encode(x), x)  # sizes of lazy layers
            return objective
    return None


def batches(seed: int = 0) -> Batches:
    """Of four among ten grey images, so that every other step begins another order."""
    grey = torch.rand(10, PIXELS, generator=torch.Generator().manual_seed(1)).to("cuda")
    return Batches(Data("small", "dynamic", (1, 4, 4), grey, None, None, grey.mean(0)), 4, seed)


def losses(trainer: Trainer, fresh: Iterator[Tensor], name: str) -> tuple[list[float], list[list[str]]]:
    """Losses of a copy that trains on these batches by this engine, and what was seen of the last step as it is
    written."""
    executed = engine(twin := copy.deepcopy(trainer, {id(trainer.batches): fresh}), name)
    seen: list[Seen] = []
    with own_stream(1, "take"):
        for step in range(STEPS):
            if step in (WARM_UP - 1, WARM_UP):  # the last as it is written, and the one that a graph captures
                with Watch() as watch:
                    executed.step()
                seen = watch.seen if step < WARM_UP else seen
            else:
                executed.step()
    return twin.losses[:STEPS].tolist(), [list(s) for s in seen]


def watched(trainer: Trainer, x: Tensor, fresh: Callable[[], Iterator[Tensor]]) -> dict[str, Any]:
    """What was seen of a trainer's steps, of its gradient draws and of an evaluation; `fresh` begins its batches."""
    row: dict[str, Any] = {}
    row["eager"], row["train"] = losses(trainer, fresh(), "eager")
    row["obstacle"] = obstacle(trainer, x)
    if row["obstacle"] is None:
        try:
            row["graph"], _ = losses(trainer, fresh(), "graph")
        except RuntimeError as error:
            row["graph"] = str(error)
    for name, work in {
        "take": lambda: take(trainer.objective, x, 6),
        "evaluate": lambda: evaluate(trainer.model, x, 3, 4, 0),
    }.items():
        with Watch() as watch, own_stream(2, "step"):
            work()
        row[name], row[f"{name} kernels"] = [list(s) for s in watch.seen], watch.kernels.total()
    return row


def pair(option: str, family: str) -> dict[str, Any] | None:
    """What was seen of one option on one family; None where they do not go together."""
    found = made(option, family)
    return None if found is None else {"option": option, "family": family, **watched(*found, batches)}


def pairs(chosen: list[tuple[str, str]]) -> list[dict[str, Any] | None]:
    """`pair` of some families and options."""
    return [pair(option, family) for family, option in chosen]


def wrong(row: dict[str, Any]) -> list[str]:
    """What a GPU would make a fault of in a row of `pair`. A call of `take` may wait once, for where the draws belong,
    and an evaluation for its results."""
    found = [f"{name}: {s}" for name in ("train", "take", "evaluate") for s in row[name] if s[0] == "mix"]
    found += [f"train: {s}" for s in row["train"] if s[0] == "wait"]
    found += [f"take: {s}" for s in [s for s in row["take"] if s[0] == "wait"][1:]]
    found += [f"obstacle: {row['obstacle']}"] if row["obstacle"] is not None else []
    if row["obstacle"] is None and not alike(row["graph"], row["eager"]):
        found.append(f"graph: {row['graph']} is not {row['eager']}")
    return found


def alike(graph: list[float] | str, eager: list[float]) -> bool:
    """Whether the losses are those of eager."""
    return not isinstance(graph, str) and torch.allclose(torch.tensor(graph), torch.tensor(eager), rtol=1e-5, atol=0)


def report(pair: Callable[[str, str], dict[str, Any] | None], options: list[str], names: Iterable[str]) -> int:
    """A line for each pair of an option, by default of all, with a family or a model. Exit status 1 where something is
    wrong."""
    start, count, faults = time.perf_counter(), 0, 0
    for name in names:
        for option in options or [*plugins.registry(), *plugins.presets()]:
            row = pair(option, name)
            if row is None:
                continue
            count, said = count + 1, wrong(row)
            faults += len(said)
            print(f"{option}, {name}: {row['take kernels']} kernels a take of 6 draws", *(said or ["ok"]), sep="  ")
            sys.stdout.flush()
    print(f"{count} pairs, {faults} faults, {time.perf_counter() - start:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(report(pair, sys.argv[1:], LATENTS))
