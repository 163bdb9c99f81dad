"""Calls in Python that are refused, each with its sentence. `make docs` prints them to `docs/errors.md`."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import torch

import bench
from bench.errors import BadInput
from tests.support import bad_models
from tests.support.bad_answers import row
from tests.support.own_models import Adopted

batches = torch.ones(2, 3, 1, 4, 4)
NAMES: dict[str, Any] = {
    **{name: made for name, made in vars(bad_models).items() if isinstance(made, type)},
    "bench": bench, "torch": torch, "batches": batches, "VAE": Adopted, "few": {"draws": 2, "repetitions": 0},
}  # fmt: skip
CALLS = (
    "bench.measure(None, batches, ['rloo'])",
    "bench.measure(NoLikelihood(), batches, ['rloo'])",
    "bench.measure(Frozen(), batches, ['rloo'])",
    "bench.measure(Constant(), batches, ['rloo'])",
    "bench.measure(Logits(), batches, ['rloo'])",
    "bench.measure(BatchOfOne(), batches, ['rloo'])",
    "bench.measure(MapOfBits(), batches, ['rloo'])",
    "bench.measure(Centred(), torch.eye(16).view(2, 8, 1, 4, 4), ['rloo'])",
    "bench.measure(Summed(), batches, ['rloo'])",
    "bench.measure(Infinite(), batches, ['rloo'])",
    "bench.measure(Noisy(), batches, ['rloo'])",
    "bench.measure(MeanOverBatch(), torch.eye(16).view(2, 8, 1, 4, 4), ['rloo'])",
    "bench.measure(NextExample(), torch.eye(16).view(2, 8, 1, 4, 4), ['rloo'])",
    "bench.measure(BestPoint(), batches, ['rloo'])",
    "bench.measure(Skip(), batches, ['rloo'])",
    "bench.measure(OtherPrior(), batches, ['rloo'])",
    "bench.measure(VAE(), batches.to('meta'), ['rloo'])",
    "bench.measure(VAE(), batches[:0], ['rloo'])",
    "bench.measure(VAE(), batches[:, :0], ['rloo'])",
    "bench.measure(VAE(), [], ['rloo'])",
    "bench.measure(VAE(), batches[0, 0, 0, 0], ['rloo'])",
    "bench.measure(VAE(), [batches[0], batches[0, :2]], ['rloo'])",
    "bench.measure(VAE(), batches, ['rlo'])",
    "bench.measure(VAE(), batches, 'rloo')",
    "bench.measure(VAE(), batches, [])",
    "bench.measure(VAE(), batches, ['rloo', 'rloo'])",
    "bench.measure(VAE(), batches, ['reparam'])",
    "bench.measure(VAE(), batches, ['vimco'], kl='analytic')",
    "bench.measure(VAE(), batches, ['rloo'], kl='exact')",
    "bench.measure(VAE(), batches, ['rloo'], reference='straight_through')",
    "bench.measure(VAE(), batches, ['rloo'], reference='reparam')",
    "bench.measure(VAE(), batches, ['rloo'], draws=1)",
    "bench.measure(VAE(), batches, ['rloo'], tuning_steps=-1)",
    "bench.measure(VAE(), batches, ['rloo'], parts={'first': 'fc9'})",
    "bench.measure(VAE(), batches, ['rloo'], parts={'first': 'act'})",
    "bench.measure(VAE(), batches, ['rloo'], parts={'first': 'fc1.weight'})",
    "bench.measure(VAE(), batches, ['rloo'], parts={'encoder': 'fc1'})",
    "bench.measure(VAE(), batches, ['rloo'], parts='fc1')",
    "bench.measure(VAE(), 3, ['rloo'])",
    "bench.measure(VAE(), batches, ['rloo'], seed='a')",
    "bench.measure(VAE(), batches, ['rloo'], reference=None)",
    "bench.measure(VAE(), batches, ['rloo'], beta=float('nan'))",
    "bench.train(NoLikelihood(), batches[0], 'rloo', batch_size=2)",
    "bench.train([], batches[0], 'rloo')",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=9)",
    "bench.train(VAE(), batches[0, :0], 'rloo')",
    "bench.train(VAE(), batches[0], 'rlo', batch_size=2)",
    "bench.train(VAE(), batches[0], 'reparam', batch_size=2)",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, engine='jit')",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, engine='graph')",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, at=[2])",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, at=[])",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, test=batches[0, :, 0])",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, samples=2.5)",
    "bench.train(VAE(), batches[0], 3, batch_size=2)",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, lr=-1)",
    "bench.train(VAE(), batches[0], 'rloo', batch_size=2, stepz=3)",
    "bench.train(VAE(), batches[0], 'rloo', steps=0.5)",
    "bench.estimator('half')",
    "bench.estimator(3)",
    "bench.run({'estimator': 'rlo'})",
    "bench.run(['train.stepz=3'])",
    "bench.run('estimator=rloo')",
    "bench.run({'estimator': 'disarm', 'latent': 'gaussian'})",
    "bench.sweep({'train.stepz': [1, 2]})",
)
INTRODUCTION = """## In Python

Each call below raises `bench.errors.BadInput`, a ValueError, with this sentence. The models are those of
`tests/support/bad_models.py`.

| call | answer |
|---|---|
"""


def said(call: str) -> str:
    """The sentence."""
    with torch.random.fork_rng([]), tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        torch.manual_seed(0)
        try:
            eval(call, dict(NAMES))
        except BadInput as error:
            return str(error)
    raise AssertionError(f"{call} was not refused")


def section() -> str:
    """Of the page."""
    return INTRODUCTION + "".join(f"{line(call)}\n" for call in CALLS)


def line(call: str) -> str:
    """Its row."""
    return row(call, said(call), Path("nowhere"))
