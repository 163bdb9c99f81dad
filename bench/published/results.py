"""The rows of one form with all that the page says of each, from the tables in `results/published/<name>/<form>`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.published.expected import FORMS, LONGER, TIMED, Expected, Published, Row
from bench.published.measured import Frame, Measured, frames, joined, meant, measure, runs_of
from bench.published.verdict import Compared, compared

if TYPE_CHECKING:
    from bench.report.frames import Frames

    Loaded = dict[str, Frames | None]


NOT_RUN = "not run"


class Run(NamedTuple):
    """The runs of a number together: wall-clock seconds, what they ran on, and the commits."""

    seconds: float
    device: str
    commits: tuple[str, ...]


class Cost(NamedTuple):
    """What training would take on a device: seconds of each configuration, by a run of it that was timed, as the median
    of the steps has it; all together as their quartiles have it; and whether nothing disturbed the timing."""

    seconds: dict[str, float]
    low: float
    high: float
    device: str
    valid: bool


class Cell(NamedTuple):
    """A row in one form: what is expected, ours with its verdict where it ran, else a reason and what it would cost."""

    row: Row
    expected: Expected | None
    ours: Measured | None = None
    compared: Compared | None = None
    run: Run | None = None
    reason: str = ""
    cost: Cost | None = None


def place(root: Path, published: Published, form: str) -> Path:
    """Where the tables of a form lie."""
    return root / published.name / form


def cells(published: Published, root: Path, form: str) -> list[Cell]:
    """Every row of the form, in order. `root` is the folder `results/published`."""
    loaded = {each: frames(place(root, published, each)) for each in (*FORMS, TIMED)}
    tables = {each: joined(found) for each, found in loaded.items() if found}
    found = []
    for row in published.rows:
        expected = _expected(row, published, form, tables)
        cell = Cell(row, expected)
        try:
            if form not in tables:
                raise ValueError(NOT_RUN)
            ours = measure(row.ours, tables[form])
        except ValueError as error:
            cost = _cost(row, published, form, loaded, tables)
            cell = cell._replace(reason=_reason(row, str(error), tables.get(form), loaded[form]), cost=cost)
        else:
            run = _run(ours, loaded[form])
            cell = cell._replace(ours=ours, run=run)
        found.append(cell)
    return [_judged(cell, found) for cell in found]


def _expected(row: Row, published: Published, form: str, tables: dict[str, Frame]) -> Expected | None:
    """What the file says; of a short form without it our longer run, at the step at which the short form ends."""
    if form == "full" or row.short:
        return row.full if form == "full" else row.short
    if "full" not in tables:
        return None
    words = f"step={published.short.steps}"
    text = " ".join(words if word == "last" else word for word in row.ours.split(" "))
    try:
        ours = measure(text, tables["full"])
    except ValueError:
        return None
    return Expected(ours.value, LONGER, f"step {published.short.steps:,} of the full form", se=ours.half / 1.96)


def _judged(cell: Cell, every: list[Cell]) -> Cell:
    if not (cell.ours and cell.expected):
        return cell
    same = partial(_beside, cell)
    others = [(c.ours, c.expected) for c in every if same(c) and c.ours and c.expected]
    return cell._replace(compared=compared(cell.ours, cell.expected, others))


def _beside(cell: Cell, other: Cell) -> bool:
    """Whether the order of the two counts."""
    bounds = [c.expected.at_least for c in (cell, other) if c.expected]
    return other is not cell and other.row.group == cell.row.group and not any(bounds)


def _run(ours: Measured, loaded: "Frames | None") -> Run:
    assert loaded is not None
    rows = loaded.runs[loaded.runs.run.isin(ours.runs)]
    devices = dict.fromkeys(str(name) for name in rows.device_name.fillna(rows.device))
    commits = tuple(dict.fromkeys(str(c)[:7] + ("+" if str(c).endswith("+") else "") for c in rows.commit.dropna()))
    return Run(float(rows.seconds.sum()), ", ".join(devices), commits)


def _reason(row: Row, said: str, frame: Frame | None, loaded: "Frames | None") -> str:
    """Why there is no number: the reasons of its runs that ended otherwise, where there are any; else what is wrong
    with those that it is from, or that there are none."""
    if loaded is None or frame is None:
        return NOT_RUN
    ended = meant(row.ours, loaded.runs[loaded.runs.status != "done"])
    words = [f"{run.label}: {run.status}, {run.reason}" for run in ended.itertuples()]
    try:
        runs_of(row.ours, frame)
    except ValueError:
        said = NOT_RUN
    return "; ".join(dict.fromkeys(words)) or said


def _cost(row: Row, published: Published, form: str, loaded: "Loaded", tables: dict[str, Frame]) -> Cost | None:
    """What the training of the row's runs would take, by the timed steps of those of another form."""
    for other in (TIMED, *FORMS):
        timed = loaded[other]
        if other == form or timed is None:
            continue
        runs = set(meant(row.ours, timed.runs[timed.runs.status == "done"]).run)
        steps = timed.cost[(timed.cost.what == "step") & timed.cost.run.isin(runs)]
        if runs and set(steps.run) == runs:
            wanted = published.form(form)
            groups = [(of.run.min(), of.median(numeric_only=True)) for _, of in steps.groupby("label")]
            low, middle, high = (
                {run: float(of[column]) * wanted.steps * len(wanted.seeds) for run, of in groups}
                for column in ("seconds_q1", "seconds", "seconds_q3")
            )
            device = ", ".join(dict.fromkeys(steps.device_name.dropna()))
            return Cost(middle, sum(low.values()), sum(high.values()), device, bool(steps.valid.all()))
    return None
