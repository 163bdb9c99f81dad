"""`python -m bench.gpu` with each part on the pretended GPU, at sizes for a processor."""

import sys
from pathlib import Path
from unittest import mock

from bench.gpu import command
from bench.gpu.parts import Part, parts

RUN = [
    "train.steps=6", "measure.draws=4", "measure.batches=1", "measure.at=[1]", "evaluate.at=[1]",
    "evaluate.examples=10", "evaluate.samples=2", "evaluate.prior_samples=0",
    "timing.repetitions=1", "timing.block=0", "timing.warmup=0",
    "threads=1",
]  # fmt: skip
SMALLER = {
    "options": ["--options", "rloo", "reparam"],
    **{f"speed_{what}": ["--quick", "--threads", "1"] for what in ("gradients", "draws", "steps")},
    "steps": RUN,
    "shared": [*RUN, "probe.batch_sizes=[50]", "probe.tuning_steps=1", "probe.estimators=[rloo,disarm]"],
    "published": ["threads=1", "timing.repetitions=1"],
}
MODULES = {"bench.published": "tests.support.pretended.published"}


def smaller(device: str, out: Path, data: Path = Path("data")) -> list[Part]:
    """The parts, each as a program on the pretended GPU."""
    return [
        Part(name, share, "tests.support.pretended.main", [MODULES.get(module, module), *words, *SMALLER.get(name, [])])
        for name, share, module, words in parts(device, out, data)
    ]


if __name__ == "__main__":
    with mock.patch.object(command, "parts", smaller):
        sys.exit(command.main(sys.argv[1:]))
