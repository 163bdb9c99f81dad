"""An estimator whose every estimate ends the job in a way of its own, for the tests of launchers."""

import os
import signal
import sys
import time

from estimators import Bernoulli, Estimator
from estimators.rloo import RLOO

SMALL = (
    "threads=1", "device=cpu", "train.steps=1", "measure.draws=2", "measure.batches=1", "measure.at=[0]",
    "evaluate.at=[0]", "evaluate.examples=5", "evaluate.samples=2", "evaluate.prior_samples=0", "timing.repetitions=1",
    "timing.warmup=0", "latent.dim=4", "data.train_size=100",
)  # fmt: skip
TOLD = ("CUDA_VISIBLE_DEVICES", "ESTIMATOR_BENCH_JOBS", "ESTIMATOR_BENCH_GPU_JOBS")


class Ends(Estimator):
    """RLOO, unless it is told to end otherwise. Unbiased. Cost evaluations per estimate: 2.

    Args:
        how: well, fails, killed, hangs, exits, prints, or tells: fails with what its launcher has told it.
    """

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "2 / 0"
    paper = "-"

    def __init__(self, how: str = "well"):
        super().__init__()
        self.how, self.inner = how, RLOO(2)

    def forward(self, q, cost, x):
        if self.how == "fails":
            raise RuntimeError("It broke.")
        if self.how == "tells":
            raise RuntimeError(" ".join(f"{name}={os.environ.get(name)}" for name in TOLD))
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hangs":
            time.sleep(600)
        if self.how == "exits":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
        if self.how == "prints":
            print("a warning", file=sys.stderr)
        return self.inner(q, cost, x)


def sweep(folder, output, *arguments):
    """The arguments of a small sweep over the estimator `ends`, an option through a YAML in `folder`."""
    (folder / "estimator").mkdir(parents=True, exist_ok=True)
    (folder / "estimator" / "ends.yaml").write_text("_target_: tests.support.ends.Ends\nhow: well\n")
    return ["--config-dir", str(folder), "-m", "estimator=ends", *SMALL, f"output={output}", *arguments]
