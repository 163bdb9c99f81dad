"""Captions of the page's figures: what was measured, how often, and on which data and models."""

import json
from typing import TYPE_CHECKING, NamedTuple

from bench.docstrings import docstring
from bench.report.collection import labels
from bench.report.collection.collect import Collection
from bench.report.figures.catalogue import AT_CHECKPOINTS, FIGURES

if TYPE_CHECKING:
    import pandas as pd

TITLES = {
    "variance_vs_step": "Noise along the training",
    "elbo_vs_step": "Bound along the training",
    "elbo_vs_seconds": "Bound against training time",
    "variance_vs_evaluations": "Noise against evaluations of the cost",
    "variance_vs_seconds": "Noise against time",
    "final_elbo": "Final bound",
    "time_to_level": "Time to a bound",
    "bias": "Relative squared bias and noise",
    "bias_vs_variance": "Bias against noise",
    "ratio_to_baseline": "Every estimator on every problem",
    "critical_difference": "Mean ranks over problems",
    "error_vs_budget": "Error of an average of draws",
    "bias_vs_temperature": "Bias against temperature",
    "bound_vs_lr": "Bound against learning rate",
    "bound_over_temperature": "Bound over learning rate and temperature",
    "best_vs_budget": "Expected best bound against the budget of a tuning",
}
TUNING = ("bound_vs_lr", "bound_over_temperature", "best_vs_budget")
# from table `objective`, all others from `gradient`
BOUNDS = ("elbo_vs_step", "elbo_vs_seconds", "final_elbo", "time_to_level", *TUNING)
STATED = (
    "problem.name", "data.name", "data.path", "data.binarisation", "latent.dim", "latent.categories",
    "latent.positions", "latent.codes", "model.arch", "model.name", "model.hidden", "objective.kl",
    "train.steps", "train.batch_size", "train.lr",
)  # fmt: skip


class Caption(NamedTuple):
    """The sentences under a figure. `often` and `on` may be the same for several figures of a section."""

    title: str
    what: str
    often: str
    on: str


def shared_facts(captions: "list[Caption]") -> str:
    """How often, and on what, the figures of a section were measured; each fact appears once."""
    return " ".join(dict.fromkeys(filter(None, [*(c.often for c in captions), *(c.on for c in captions)])))


def caption(name: str, collection: Collection, part: str) -> Caption:
    """The caption of the figure of that name; `collection` is that of the whole report."""
    drawn = AT_CHECKPOINTS.get(name, name)
    measured = collection.measured(shared=name in AT_CHECKPOINTS)
    what = " ".join(docstring(FIGURES[drawn]).split()).replace("`", "")
    title = TITLES.get(drawn, drawn.replace("_", " ").capitalize())
    title += ", at shared checkpoints" if name in AT_CHECKPOINTS else ""
    often = _evaluated(measured) if drawn in BOUNDS else _drawn(measured, part)
    return Caption(title, what, often, setting(measured))


def setting(collection: Collection) -> str:
    """Data, latents, model and training of the runs, by family: `bernoulli: digits, dynamic, dim 10, ...`."""
    runs = collection.tables["runs"].select(["run", "config"]).to_pylist()
    configs = {row["run"]: labels.flatten(json.loads(row["config"])) for row in runs}
    stated = {}
    for family, units in collection.units.groupby("family"):
        of = [configs[run] for run in units.run]
        stated[str(family)] = [words for key in STATED if (words := _values(key, of))]
    shared = [words for words in next(iter(stated.values()), []) if all(words in of for of in stated.values())]
    particular = [f"{f}: {', '.join(w for w in of if w not in shared) or 'all as stated'}" for f, of in stated.items()]
    return (
        f"{', '.join(shared)}. {'; '.join(particular)}."
        if len(stated) > 1
        else f"{', '.join(stated)}: {', '.join(shared)}."
    )


def _values(key: str, configs: list[labels.FlatConfig]) -> str:
    found = sorted({str(c[key]) for c in configs if c.get(key) is not None}, key=lambda v: (len(v), v))
    found = [name for name in found if key != "problem.name" or name != "vae"]
    word = (
        ""
        if key in ("problem.name", "data.name", "model.arch", "model.name")
        else f"{key.rpartition('.')[2].replace('_', ' ')} "
    )
    return f"{word}{' | '.join(found)}" if found else ""


def _drawn(collection: Collection, part: str) -> str:
    rows = collection.joined("gradient")
    rows = rows[rows.part == part]
    if rows.empty:
        return ""
    text = f"{_range(rows.draws)} gradient draws on each of {_range(rows.batches)} probe batches at {_steps(rows)}, "
    text += f"{_seeds(rows)}; part: {part}."
    if references := sorted(rows.reference.dropna().unique()):
        many = _range(rows.reference_draws[rows.reference.notna() & ~rows.reference.isin(["exact", "quadrature"])])
        text += f" Reference: {', '.join(references)}{f' ({many} draws a batch)' if many else ''}."
    return text


def _evaluated(collection: Collection) -> str:
    rows = collection.joined("objective")
    if rows.empty:
        return ""
    text = f"{_range(rows.examples)} examples of each split at {_steps(rows)}, {_seeds(rows)}; importance-weighted "
    return text + f"bound with {_range(rows.samples)} samples."


def _steps(rows: "pd.DataFrame") -> str:
    steps = sorted(rows.step.unique())
    shown = steps if len(steps) <= 6 else [*steps[:3], "...", steps[-1]]
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, shown))}"


def _seeds(rows: "pd.DataFrame") -> str:
    seeds = rows.seed.nunique()
    return f"{seeds} seed{'s' if seeds > 1 else ''}"


def _range(values: "pd.Series") -> str:
    low, high = values.min(), values.max()
    return "" if low != low else f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
