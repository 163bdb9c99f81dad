"""The parts of `python -m bench.gpu`, the most valuable first."""

import sys
from pathlib import Path
from typing import NamedTuple

from bench.files import ROOT

TINY = [
    "train.steps=3", "measure.at=[]", "measure.draws=4", "measure.batches=1", "evaluate.at=[]", "evaluate.images=0",
    "latent=bernoulli_small", "threads=1", "timing.repetitions=2", "timing.block=0", "timing.warmup=0",
]  # fmt: skip
MNIST = ["latent=bernoulli", "data=mnist", "data.download=false", "train.steps=2000"]
ENGINES = ("eager", "compile", "graph", "compiled_graph")  # of bench.train.engine, which needs what may be missing here
SPEED = ("gradients", "draws", "steps")
AGAIN = 75  # exit status of a part whose process has lost the GPU, and which goes on in another
PUBLISHED = ("reinmax_8x4", "rodeo_bound")  # of conf/published; the trainings that take longest without a GPU


class Part(NamedTuple):
    """A module to run with its arguments, and its share of the time. It writes its results as soon as it has them."""

    name: str
    share: float
    module: str
    words: list[str]

    @property
    def command(self) -> list[str]:
        """The command line of the part's process."""
        return [sys.executable, "-m", self.module, *self.words]


def parts(device: str, out: Path, data: Path = Path("data")) -> list[Part]:
    """The parts for a device, in their order.

    Args:
        device: cuda, or cpu for the same commands at the smallest sizes, which shows that they work.
        out: folder of all results.
        data: folder of MNIST, which the parts on a GPU read.
    """
    tiny = device == "cpu"
    engines = "eager" if tiny else ",".join(ENGINES)
    where = [f"device={device}", f"output={quoted(out)}", *(TINY if tiny else [*MNIST, f"data.root={quoted(data)}"])]
    steps = ["name=steps", "estimator=rloo", f"engine={engines}", "replicas=1,2" if tiny else "replicas=1,8"]
    steps += [] if tiny else ["measure.at=[0]", "evaluate.at=[1]"]
    shared = ["name=shared", *(["probe.estimators=[rloo]", "probe.batch_sizes=[8]"] if tiny else [])]
    shared += ["probe.tuning_steps=1" if tiny else "probe.tuning_steps=200", "measure.reference=none"]
    quick = ["--quick"] if tiny else []
    speed = {
        f"speed_{what}": ["--device", device, "--out", str(out / f"speed_{what}"), "--only", what, "--continue", *quick]
        for what in SPEED[: 1 if tiny else None]
    }
    options = ["--device", device, "--out", str(out / "options.csv"), *(["--options", "rloo"] if tiny else [])]
    published = [
        "polynomial_programming",
        "estimator=reinmax",
        "problem.power=3",
        "timing.repetitions=1",
        "--time",
    ]  # which needs no data
    if not tiny:
        published = [*PUBLISHED, f"data.root={quoted(data)}", "data.download=false", "engine=graph"]
    published += [f"device={device}", f"output={quoted(out)}", "--results", str(out / "published")]
    tests = ["-q", "-p", "no:cacheprovider", "-m", "gpu", "--maxfail=50", *gpu_tests()]
    made = {
        "versions": (20, "bench.gpu.versions", []),
        "options": (110, "bench.gpu.options", options),
        "tests": (80, "pytest", tests),
        **{name: (25, "bench.speed", words) for name, words in speed.items()},
        "steps": (85, "bench", ["-m", *where, *steps]),
        "shared": (110, "bench.probe", [*where, *shared]),
        "published": (60, "bench.published", [*published, "--page", str(out / "published.md")]),
    }
    return [Part(name, *how) for name, how in made.items() if name != "tests" or (not tiny and gpu_tests())]


def quoted(path: Path) -> str:
    """The path as a quoted value for Hydra, so that it may hold any character."""
    return "'" + str(path).replace("'", "\\'") + "'"


def gpu_tests() -> list[str]:
    """The files with tests marked `gpu`; none if the package was installed without its tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file) for file in files if "pytest.mark.gpu" in file.read_text(encoding="utf-8")]
