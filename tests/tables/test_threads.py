"""No command leaves a thread of pyarrow's behind: one that outlives the interpreter aborts the process at its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.packages import ROOT
from tests.support.synthetic_runs import config, place

PROGRAM = """
import os, sys
import pandas, pyarrow, pyarrow.parquet

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
{work}
print("started" if threads() > before else "none")
"""
READ = "pyarrow.parquet.read_table({file!r})"
CONVERT = "pyarrow.table(dict(a=[1, 2, 3])).to_pandas()"
OURS = "from bench.tables import store; store.read({folder!r})"
LOAD = "import bench; [frame for frame in bench.load({place!r})]"


def started(work: str) -> str:
    program = PROGRAM.replace("{work}", work)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    place(folder, config("rloo", "bernoulli", 0))
    return folder


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list the threads of a process")
def test_reading_starts_no_thread(runs):
    folder = next(runs.rglob("complete.json")).parent
    assert started(OURS.format(folder=str(folder))) == "none"
    assert started(LOAD.format(place=str(runs))) == "none"
    assert started(READ.format(file=str(folder / "runs.parquet"))) == "started"  # what must be seen is seen
    assert started(CONVERT) == "started"
