"""The parts of a sitting at a GPU, those first that are worth most."""

import sys
from pathlib import Path
from typing import NamedTuple

from bench.files import ROOT
from bench.train.engine import ENGINES

TINY = [
    "train.steps=3", "measure.at=[]", "measure.draws=4", "measure.batches=1", "evaluate.at=[]", "evaluate.images=0",
    "latent=bernoulli_small", "threads=1", "timing.repetitions=2", "timing.block=0", "timing.warmup=0",
]  # fmt: skip
MNIST = ["latent=bernoulli", "data=mnist", "data.download=false", "train.steps=2000"]
SPEED = ("gradients", "draws", "steps")


class Part(NamedTuple):
    """A module that leaves its results in a folder as soon as it has them, and its share of the seconds."""

    name: str
    share: float
    module: str
    words: list[str]

    @property
    def command(self) -> list[str]:
        """Of a process of its own."""
        return [sys.executable, "-m", self.module, *self.words]


def parts(device: str, out: Path, data: Path = Path("data")) -> list[Part]:
    """For a GPU; with `device=cpu` the same commands at the smallest sizes, to see that they work.

    Args:
        device: cuda or cpu.
        out: folder of all results.
        data: folder of MNIST, which the GPU's parts read.
    """
    tiny = device == "cpu"
    engines = ",".join(name for name in ENGINES if not tiny or name == "eager")
    where = [f"device={device}", f"output={quoted(out)}", *(TINY if tiny else [*MNIST, f"data.root={quoted(data)}"])]
    steps = ["name=steps", "estimator=rloo", f"engine={engines}", "replicas=1,2" if tiny else "replicas=1,8"]
    steps += [] if tiny else ["measure.at=[0]", "evaluate.at=[1]"]
    shared = ["name=shared", *(["probe.estimators=[rloo]", "probe.batch_sizes=[8]"] if tiny else [])]
    shared += ["probe.tuning_steps=1" if tiny else "probe.tuning_steps=200", "measure.reference=none"]
    quick = ["--quick"] if tiny else []
    speed = {
        f"speed_{what}": ["--device", device, "--out", str(out / f"speed_{what}"), "--only", what, *quick]
        for what in SPEED[: 1 if tiny else None]
    }
    options = ["--device", device, "--out", str(out / "options.csv"), *(["--options", "rloo"] if tiny else [])]
    tests = ["-q", "-p", "no:cacheprovider", "-m", "gpu", "--maxfail=50", *gpu_tests()]
    made = {
        "versions": (30, "bench.gpu.versions", []),
        "options": (120, "bench.gpu.options", options),
        "tests": (90, "pytest", tests),
        **{name: (30, "bench.speed", words) for name, words in speed.items()},
        "steps": (90, "bench", ["-m", *where, *steps]),
        "shared": (120, "bench.probe", [*where, *shared]),
    }
    return [Part(name, *how) for name, how in made.items() if name != "tests" or (not tiny and gpu_tests())]


def quoted(path: Path) -> str:
    """As a value of Hydra, whatever characters it has."""
    return "'" + str(path).replace("'", "\\'") + "'"


def gpu_tests() -> list[str]:
    """The files with tests marked `gpu`; none where the suite was installed without its tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file) for file in files if "pytest.mark.gpu" in file.read_text(encoding="utf-8")]
