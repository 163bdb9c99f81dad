"""The types of the public names, as mypy sees them in a user's own script, and what it says of misuse."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import bench
from tests.support.packages import ROOT

REVEALED = {
    "bench.estimator": "def (name: str, **hyper: Any) -> Estimator[Any]",
    "bench.estimator('rloo', k=4)": "Estimator[Any]",
    "bench.load": "def (*directories: str | Path) -> Frames",
    "bench.load('x').gradient": "DataFrame",
    "bench.compare(cost, Bernoulli(t), ['rloo'])": "DataFrame",
    "bench.measure(OwnModel(), t, ['rloo'])": "DataFrame",
    "bench.train(OwnModel(), t, 'rloo').table": "DataFrame",
    "bench.run({'seed': 3}).gradient": "DataFrame",
    "bench.sweep(['seed=0,1'])": "Frames",
    "bench.__version__": "str",
    "Disarm": "def (k: int =) -> Disarm",
    "Disarm(k=4)(Bernoulli(t), cost, t)": "Estimate",
    "Disarm().forward(Bernoulli(t), cost, t).loss": "Tensor",
    "as_loss(Bernoulli(t), t)": "Tensor",
    "Bernoulli(t).sample(3)": "Tensor",
    "Gaussian(t).standard()": "Gaussian",
    "FAMILIES": "dict[str, type[Latent]]",
    "check('rloo')": "list[Verdict]",
    "check(Mine)[0].status": "str",
    "names()": "list[str]",
}
SCRIPT = """
import torch
from torch import Tensor, nn

import bench
from bench.check import check, names
from estimators import FAMILIES, Bernoulli, Cost, Estimate, Estimator, Gaussian, as_loss
from estimators.disarm import Disarm

t = torch.zeros(2, 3)


def cost(z: Tensor, q: object = None) -> Tensor:
    return z.sum(-1)


class Mine(Estimator):
    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        return Estimate(loss=as_loss(q, q.logits), cost=cost(q.sample(1))[0])


class Typed(Estimator[Bernoulli]):
    def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
        return Mine()(q, cost, x)


class OwnModel(nn.Module):
    def encode(self, x: Tensor) -> Bernoulli:
        return Bernoulli(x)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return z.sum(-1)


def any_of_them(estimator: Estimator) -> str:
    return estimator.name


any_of_them(Typed())
any_of_them(bench.estimator("rloo"))
"""
WRONG = {
    "Disarm()(Gaussian(t), cost, t)": "arg-type",
    "bench.nothing": "attr-defined",
    "bench.compare(cost, t, ['rloo'])": "arg-type",
    "bench.estimator(3)": "arg-type",
    "bench.measure(nn.Linear(2, 2), t, ['rloo'])": "arg-type",
}


def mypy(folder: Path, lines: list[str]) -> dict[int, str]:
    """Number of each line of the script, with these lines below it, -> the first that strict mypy says of it."""
    (folder / "script.py").write_text("\n".join([SCRIPT, *lines, ""]))
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\ndisallow_any_generics = false\nfollow_imports = silent\n")
    cache = ROOT / ".mypy_cache" / "script"  # kept, since torch takes a minute
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(cache), "script.py"]
    done = subprocess.run(command, cwd=folder, env={"MYPYPATH": str(ROOT)}, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    said: dict[int, str] = {}
    for number, text in re.findall(r"^script.py:(\d+): (?:note|error): (.*)$", done.stdout, re.MULTILINE):
        said.setdefault(int(number), text)
    return said


def short(text: str) -> str:
    """A revealed type without the modules of its names, a named tuple by its name alone."""
    text = re.sub(r"\b(?:\w+\.)+(?=\w)", "", text.removeprefix("Revealed type is ").strip('"'))
    text = re.sub(r"^tuple\[.*, fallback=(\w+)\]$", r"\1", text)  # of which one field holds others of its kind
    return re.sub(r"tuple\[[^\[\]]*, fallback=(\w+)\]", r"\1", text)


@pytest.mark.slow
def test_public_names_are_what_they_are_and_misuse_is_told(tmp_path):
    said = mypy(tmp_path, [*(f"reveal_type({name})" for name in REVEALED), *WRONG])
    first = SCRIPT.count("\n") + 2
    assert [*said] == [*range(first, first + len(REVEALED) + len(WRONG))]  # nothing of the script itself
    texts = [*said.values()]
    assert dict(zip(REVEALED, map(short, texts), strict=False)) == REVEALED
    codes = [text.rpartition("[")[2].rstrip("]") for text in texts[len(REVEALED) :]]
    assert dict(zip(WRONG, codes, strict=True)) == WRONG


def test_dir_shows_the_public_names():
    assert {*bench.__all__} <= {*dir(bench)}
    assert bench.__all__ == [
        *("Dataset", "Model", "Problem", "__version__"),
        *("compare", "estimator", "load", "measure", "run", "sweep", "train"),
    ]


def test_looking_at_the_names_loads_no_torch():
    program = dedent("""
        import sys, bench
        assert {"estimator", "load", "compare"} <= {*dir(bench)}
        assert callable(bench.load) and callable(bench.measure)
        sys.exit("torch" in sys.modules)
    """)
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
