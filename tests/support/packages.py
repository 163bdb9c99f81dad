"""Building, installing and running packages in processes of their own, for the tests of what is installed."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from bench.config.code import GROUPS
from bench.files import ROOT


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """The finished process; `environment` is added to this one's."""
    env = {**os.environ, **environment}
    return subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def done(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """What a command that must end well printed."""
    finished = run(*command, cwd=cwd, **environment)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def build(kind: str, folder: Path, source: Path = ROOT) -> Path:
    """The wheel or sdist of the project in `source`."""
    done(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder, source)
    (archive,) = folder.iterdir()
    return archive


def place(site: Path, name: str, source: str, group: str = "estimator", **points: str) -> None:
    """Put a distribution of one module into the folder, as pip leaves it; `points` are its options of this group."""
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(dedent(source))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{option} = {value}" for option, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUPS[group]}]", *lines, ""]))
