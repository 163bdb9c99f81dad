"""Models and problems other than a VAE of one latent layer, on the pretended GPU."""

import copy
import sys
from typing import Any

from torch import Tensor

from bench.config import plugins
from bench.model.objective import Objective
from bench.train.trainer import Trainer
from tests.support.pretended.sweep import possible, report, watched, wrong
from tests.support.variants import MODELS, experiment


def made(option: str, name: str) -> tuple[Trainer, Tensor] | None:
    """A trainer of the model on the pretended GPU and a batch; None where they do not go together."""
    first = experiment(name, "cuda")
    given, x = first.objective, first.example()

    def objective(kl: str) -> Objective:
        return type(given)(copy.deepcopy(first.model), plugins.estimator(option).to("cuda"), kl, given.beta)

    found = possible(objective, given.kl, x)
    return None if found is None else (Trainer(found, first.batches("training"), first.config["train"]), x)


def pair(option: str, name: str) -> dict[str, Any] | None:
    """What was seen of one option on one model; None where they do not go together."""
    found = made(option, name)
    if found is None:
        return None
    return {"option": option, "family": name, **watched(*found, lambda: experiment(name, "cuda").batches("training"))}


def pairs(chosen: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """`pair` of some models and options that go together, each with what is wrong."""
    rows = [pair(option, name) for name, option in chosen]
    assert None not in rows
    return [row | {"wrong": wrong(row)} for row in rows if row]


if __name__ == "__main__":
    sys.exit(report(pair, sys.argv[1:], MODELS))
