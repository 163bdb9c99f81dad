"""`report.html`: one self-contained file, which opens offline and loads nothing from the network."""

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.collection.collect import PANEL, UNIT, Collection, Group
from bench.report.collection.ranks import ranks
from bench.report.figures.catalogue import AT_CHECKPOINTS
from bench.report.figures.panels import title
from bench.report.figures.style import Looks, looks
from bench.report.page.answer import Ranking, rankings
from bench.report.page.averaged import MOST, averages
from bench.report.page.captions import Caption, caption, setting, shared_facts
from bench.report.page.criteria import CRITERIA
from bench.report.page.listing import comparison_listing, endings_listing, pairs_listing, runs_listing
from bench.report.page.numbers import number
from bench.report.page.pictures import galleries
from bench.report.page.problems import ranks_listing
from bench.report.page.sentences import Sentence, sentences
from bench.report.page.statements import ALL_AT_ONCE, cell, details
from bench.report.page.svg import inline, swatch
from bench.tables.schema import OWN_TRAINING, STATUSES

if TYPE_CHECKING:
    import pandas as pd

AMONG = (True, False, None)
CLAIMS = {True: "claim to be unbiased", False: "claim to be biased", None: "all"}
HERE = Path(__file__).parent


class PageFigure(NamedTuple):
    """A figure on the page. `note` and `legend`, a swatch for each label, replace the legend of the figure's file."""

    name: str
    svg: str
    caption: Caption
    command: str
    note: str
    legend: Sequence[tuple[str, str]]


def page(
    collection: Collection,
    compared: "pd.DataFrame",
    paired: "pd.DataFrame",
    figures: dict[str, bytes],
    command: list[str],
    part: str,
    unfinished: int,
    survivors: bool = False,
    style: Looks | None = None,
    docs: str = "",
) -> str:
    """The whole page.

    Args:
        collection: the runs of the report.
        compared, paired: the tables of `bench.report.compare` and `bench.report.pairs`.
        figures: SVG files by name.
        command: the command line of this report, without `--only`.
        part: of the gradient, in the figures.
        unfinished: the number of run directories that are not complete.
        survivors: whether configurations with runs that failed or diverged are ranked by their other runs.
        style: the look of each label; by default that of `looks`.
        docs: the address of docs/choosing.md for a link; empty if the file is not there.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    found = rankings(collection, survivors)
    style = style or looks(collection.units.label)
    drawn: list[PageFigure] = []
    for name, svg in figures.items():
        shown = inline(svg, name, (told := caption(name, collection, part)).title)
        needed = shown.labels if shown.note or not drawn else []
        legend = [(label, Markup(swatch(style[label]))) for label in needed if label in style.of]
        drawn.append(
            PageFigure(name, Markup(shown.markup), told, shlex.join([*command, "--only", name]), shown.note, legend)
        )
    script, css = ((HERE / name).read_text() for name in ("page.js", "page.css"))
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    best = {(*v.panel, v.contenders[0].label) for v in found if v.contenders}
    listings = [
        ranks_listing(ranks(collection), collection.units),
        comparison_listing(compared),
        pairs_listing(paired, best),
        runs_listing(collection),
    ]
    return environment.get_template("page.html.j2").render(
        title=_title(sorted({str(run["name"]) for run in _runs(collection)})),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(css),
        standing=_standing(collection, unfinished),
        families=sorted(collection.units.family.unique()),
        setting=setting(collection),
        sections=_sections(found, drawn, sentences(collection, found, survivors)),
        docs=docs,
        criteria=CRITERIA,
        details=details(found),
        all_at_once=ALL_AT_ONCE,
        drawn=len(drawn),
        averages=averages(collection),
        most=MOST,
        galleries=galleries(collection, list(compared[UNIT].itertuples(index=False, name=None))),
        listings=[listing for listing in listings if listing.rows],
        endings=endings_listing(collection.units),
        provenance=_provenance(collection),
        commands=Counter(str(run["command"]) for run in _runs(collection)).most_common(),
        command=shlex.join(command),
    )


def _runs(collection: Collection) -> list[dict[str, Any]]:
    return collection.tables["runs"].to_pylist()


def _title(names: list[str]) -> str:
    """The first three names, and the number of the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _sections(found: list[Ranking], drawn: list[PageFigure], said: dict[Group, Sentence]) -> list[dict[str, Any]]:
    """The sections of own trajectories and of shared checkpoints, each with its answers and figures."""
    sections: list[dict[str, Any]] = []
    for shared in (False, True):
        of = [v for v in found if (v.panel[PANEL.index("trained_with")] != OWN_TRAINING) == shared]
        figures = [figure for figure in drawn if (figure.name in AT_CHECKPOINTS) == shared]
        if of or figures:
            asked = sorted(
                (c for c in CRITERIA if any(v.criterion == c for v in of)), key=lambda c: AMONG.index(c.among)
            )
            panels = list(dict.fromkeys(v.panel for v in of))
            rows = [
                (
                    title(panel),
                    [next((cell(v) for v in of if (v.panel, v.criterion) == (panel, c)), None) for c in asked],
                )
                for panel in panels
            ]
            section: dict[str, Any] = {"shared": shared, "criteria": asked, "rows": rows, "figures": figures}
            section["groups"] = [(CLAIMS[a], sum(c.among is a for c in asked)) for a in AMONG]
            section["sentences"] = [said[panel] for panel in panels if panel in said]
            section["facts"] = shared_facts([figure.caption for figure in figures])
            sections.append(section)
    return sections


def _standing(collection: Collection, unfinished: int) -> str:
    """`72 of 80 runs are complete: 46 done, 26 skipped`."""
    ended = Counter(run["status"] for run in _runs(collection))
    total = sum(ended.values())
    text = f"{total} of {total + unfinished} runs are complete" if unfinished else f"{total} runs, all complete"
    return f"{text}: {', '.join(f'{ended[s]} {s}' for s in STATUSES if ended[s])}"


def _provenance(collection: Collection) -> list[tuple[str, str]]:
    """Machine and versions of the runs; if there are several values, each with its number of runs."""
    told = {"device_name": "device", "device": "kind", "threads": "threads", "torch": "PyTorch", "python": "Python",
            "suite": "suite", "schema": "schema of the tables", "commit": "commit"}  # fmt: skip
    found = []
    for column, word in told.items():
        values = Counter(str(run[column]) for run in _runs(collection) if run[column] is not None).most_common()
        if values:
            found.append((word, ", ".join(f"{v} ({n} runs)" for v, n in values) if len(values) > 1 else values[0][0]))
    started = sorted(str(run["started"]) for run in _runs(collection) if run["started"])
    seconds = sum(run["seconds"] or 0 for run in _runs(collection))
    if started:
        found.append(("started", started[0] if started[0] == started[-1] else f"{started[0]} to {started[-1]}"))
    return [*found, ("computing", f"{number(seconds / 60)} minutes in all")] if seconds else found
