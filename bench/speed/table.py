"""The table of a run of `bench.speed`, and its figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.files import replace
from bench.report.figures.style import RC, looks, write_figure
from bench.speed.problems import TWO_LAYERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = {
    "what": "what was done: some draws of a gradient and the trace of their covariance, training steps, peak memory",
    "estimator": "name of the option",
    "family": "latent family",
    "size": "draws, replicas that are trained at once, or examples of a batch",
    "engine": "how it was executed",
    "unit": "of ours, reference and the floors: s or bytes",
    "ours": "seconds: median over blocks of calls, timed in turn with the reference",
    "ours_se": "its standard error",
    "reference": "the same by a plain loop; of bench.measure, take; of peak memory, that of the fewest draws",
    "reference_se": "its standard error",
    "ratio": "median over rounds of reference / ours; of peak memory, ours / reference",
    "ratio_se": "its standard error",
    "q1": "first quartile of the ratio",
    "q3": "its third quartile",
    "floor": "time of the matrix products that cannot be left out, each at its measured rate",
    "fraction_of_floor": "floor / ours",
    "memory_floor": "time to write and read once all that passes between layers, at the measured speed of a copy",
    "gflops": "1e9 operations of those matrix products",
    "seconds_device": "of a gradient of a batch on a GPU: time of its kernels and copies",
    "overhead": "1 - seconds_device / ours: the share of the time in which the GPU waits",
    "launches": "kernels and copies",
    "valid": "whether nothing disturbed the timing of a gradient of a batch",
    "device": "cpu or cuda",
    "device_name": "name of the processor or of the GPU",
    "threads": "CPU threads",
    "torch": "version of PyTorch",
    "commit": "git commit, with + where the tree was changed",
}


def write(rows: list[dict[str, Any]], directory: Path, name: str) -> list[Path]:
    """`<name>.parquet` and `<name>.csv`, each whole or not at all."""
    frame = _frame(rows, name)
    paths = [directory / f"{name}.parquet", directory / f"{name}.csv"]
    replace(paths[0], frame.to_parquet(index=False, compression="zstd"))
    replace(paths[1], frame.to_csv(index=False).encode())
    return paths


def read(directory: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a table that `write` wrote, without their empty cells; none where there is none."""
    try:
        frame = pd.read_parquet(directory / f"{name}.parquet")
    except (OSError, ValueError):  # not there, or damaged
        return []
    return [{str(key): value for key, value in row.items() if not pd.isna(value)} for row in frame.to_dict("records")]


def draw(rows: list[dict[str, Any]], directory: Path, name: str) -> list[Path]:
    """The figure of `speed`, where all its parts were timed; else nothing."""
    frame = _frame(rows, name)
    if name != "speed" or not all(frame.what.str.contains(part).any() for part in ("draws", "steps", "peak")):
        return []
    return write_figure(figure(frame), directory, name)


def _frame(rows: list[dict[str, Any]], name: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=list(COLUMNS)) if name == "speed" else frame


def figure(frame: pd.DataFrame) -> "Figure":
    """Speed of draws against the loop and against the floor, of steps, and memory, each against its size."""
    import matplotlib
    import seaborn

    with matplotlib.rc_context({**seaborn.axes_style("ticks"), **RC}):
        return _panels(frame)


def _panels(frame: pd.DataFrame) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(7.4, 5.4), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2).ravel()
    draws = frame[frame.what.str.startswith("draws")]
    _lines(axes[0], draws, "ratio")
    axes[0].set(title="Gradient draws against a plain loop", xlabel="draws", ylabel="times as fast")
    axes[0].axhline(1, color="#7F7F7F", linewidth=0.8)
    _lines(axes[1], draws.assign(percent=100 * draws.fraction_of_floor), "percent")
    axes[1].set(title="Share of the time that the products need", xlabel="draws", ylabel="floor / ours (%)")
    axes[1].set_ylim(0, 100)
    steps = frame[frame.what.str.contains("steps")]
    each = zip(steps.what, steps.estimator, steps.engine, steps["size"], strict=True)
    names = [
        f"{TWO_LAYERS}, {e}" if what.endswith(TWO_LAYERS) else f"{engine}, {n} at once" for what, e, engine, n in each
    ]
    axes[2].barh(names, steps.ratio, color="#0072B2", height=0.5)
    for side in ("q1", "q3"):
        axes[2].plot(steps[side], names, "|", color="#000000", markersize=8)
    axes[2].axvline(1, color="#7F7F7F", linewidth=0.8)
    axes[2].set(title="Training steps against a bare loop", xlabel="times as fast", ylim=(-0.8, len(names) - 0.2))
    memory = frame[frame.what.str.startswith("peak")]
    axes[3].plot(memory["size"], memory.ours / 2**20, marker="o", color="#0072B2")
    axes[3].set(title="Peak memory", xlabel="draws", ylabel="MiB", ylim=(0, 1.2 * memory.ours.max() / 2**20))
    _sizes(axes[3], memory)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    first = frame.iloc[0]
    figure.suptitle(f"{first.device_name}, {first.threads} threads, PyTorch {first.torch}", fontsize=8)
    return figure


def _lines(ax: "Axes", draws: pd.DataFrame, column: str) -> None:
    """One line an estimator and part; bars of the ratio are quartiles."""
    look = looks(draws.estimator)
    for (estimator, what), curve in draws.groupby(["estimator", "what"], sort=True):
        colour, marker, _ = look[str(estimator)]
        part = str(what).removeprefix("draws, ")
        dashes = "-" if part == "encoder" else "--"
        ax.plot(curve["size"], curve[column], dashes, color=colour, marker=marker, label=f"{estimator}, {part}")
        if column == "ratio":
            ax.vlines(curve["size"], curve.q1, curve.q3, color=colour, alpha=0.45, linewidth=0.9)
    ax.set_ylim(bottom=0)
    _sizes(ax, draws)


def _sizes(ax: "Axes", frame: pd.DataFrame) -> None:
    """A log axis with the sizes that were measured for its ticks."""
    sizes = sorted(frame["size"].unique())
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.set_xticks([], minor=True)
