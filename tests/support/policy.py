"""Groups of samples at the uniform policy: a figure and a table from the tables of `experiment=policy`.

`python -m tests.support.policy FOLDER` reads the tables of a report in FOLDER/groups, writes FOLDER/figures and prints
the table. What is drawn through the measured points is exact (`bench.problems.groups`).
"""

import argparse
import sys
from pathlib import Path

import torch

import bench
from bench.problems import problem
from bench.problems.groups import advantages

SIZES = (2, 4, 8, 16, 32, 64)
NAMES = ("reinforce", "rloo", "dr_grpo", "grpo", "maxrl")
SHOWN = 8  # samples in a group of which the prompts are compared
PLAIN = {"name": "tokens", "vocabulary": 4, "length": 4, "prompts": 8, "policy": "own", "spread": 0.0}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.policy")
    parser.add_argument("folder", type=Path)
    return parser.parse_args(argv)


def known(name: str, size: int) -> tuple[float, float, torch.Tensor]:
    """Trace over the batch as it is; each prompt's share divided by its squared factor; the factors `[P]`."""
    made = problem(**PLAIN)
    groups = made.groups(torch.arange(len(made.answers), dtype=torch.float64)[:, None])
    signal = advantages(bench.estimator(name, k=size))
    assert signal is not None
    factors = (groups.mean(signal) * groups.gradient).sum(1) / groups.gradient.square().sum(1)
    variances = groups.variance(signal) / len(factors) ** 2
    return float(variances.sum()), float((variances / factors**2).sum()), factors


def draw(folder: Path) -> None:
    from matplotlib.figure import Figure

    tables = bench.load(folder / "groups")
    rows = tables.gradient[tables.gradient.part == "encoder"].merge(
        tables.runs[["run", "config.estimator.k"]], on="run"
    )
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    raw, free, bias = figure.subplots(1, 3)
    for colour, name in enumerate(NAMES):
        look = {"color": f"C{colour}", "linewidth": 1.2}
        exact = [known(name, size) for size in SIZES]
        raw.plot(SIZES, [e[0] for e in exact], label=name, **look)
        free.plot(SIZES, [e[1] for e in exact], **look)
        mine = rows[rows.estimator == name]
        raw.plot(mine["config.estimator.k"], mine.variance_noise, "o", color=look["color"], markersize=4)
        bias.plot(problem(**PLAIN).successes(), known(name, SHOWN)[2], "o-", markersize=4, **look)
    raw.set(title="raw", xlabel="samples in a group", ylabel="noise variance")
    free.set(title="scale-free", xlabel="samples in a group", ylabel="noise variance / squared factor")
    bias.set(title=f"between prompts, groups of {SHOWN}", xlabel="success probability", ylabel="mean / gradient")
    for ax in (raw, free, bias):
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
    figure.legend(loc="outside lower center", ncols=len(NAMES))
    (folder / "figures").mkdir(exist_ok=True)
    for suffix, settings in (("png", {"dpi": 150}), ("svg", {"metadata": {"Date": None}})):
        figure.savefig(folder / "figures" / f"groups.{suffix}", **settings)


def table() -> str:
    lines = ["| samples | " + " | ".join(NAMES) + " |", "|---" * (len(NAMES) + 1) + "|"]
    for size in SIZES:
        found = [known(name, size) for name in NAMES]
        lines.append(f"| {size} | " + " | ".join(f"{r:.3g} / {f:.3g}" for r, f, _ in found) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    draw(arguments(sys.argv[1:]).folder)
    print(table())
