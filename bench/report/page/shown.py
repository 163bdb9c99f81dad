"""The words for a verdict: a cell of the first screen, and a row of the table below it."""

from typing import Any

from bench.report.figures.panels import title
from bench.report.page.answer import Verdict
from bench.report.page.listing import Cell, Listing, bounded, nats, percent


def cell(verdict: Verdict) -> dict[str, Any]:
    """One answer of the first screen."""
    if not verdict.contenders:
        return {"label": ", ".join(verdict.silent), "value": "no noise", "told": "", "sure": "", "silent": []}
    first, tied = verdict.contenders[0], verdict.tied
    if len(verdict.contenders) == 1:
        told, sure = "the only one", "alone"
    elif not verdict.enough:
        told, sure = f"{_seeds(first.value.n)}: too few to tell", "few"
    elif not tied:
        told, sure = "told from all others", "yes"
    else:
        told = f"not told from {tied[0] if len(tied) == 1 else f'{len(tied)} others'}"
        sure = "no"
    return {"label": first.label, "value": _valued(verdict, 0), "told": told, "sure": sure, "silent": verdict.silent}


def details(found: list[Verdict]) -> Listing:
    """How sure each answer is."""
    rows = []
    for verdict in (v for v in found if v.contenders):
        first = verdict.contenders[0]
        criterion = verdict.criterion
        cells = [
            Cell(title(verdict.panel).replace("\n", "; ")),
            Cell(f"{criterion.title}{f' ({criterion.unit})' if criterion.unit else ''}"),
            Cell(first.label),
        ]
        cells.append(Cell(_valued(verdict, 0), first.value.mean))
        if len(verdict.contenders) > 1:
            second = verdict.contenders[1]
            show = bounded if criterion.ratio or criterion.name == "bias" else nats
            sign = "\N{MULTIPLICATION SIGN} " if criterion.ratio else ""
            sure = second.probability
            cells.append(Cell(second.label))
            cells += [Cell(sign + show(*second.against[:3]), second.against.mean)]
            cells += [Cell("" if sure != sure else percent(sure), None if sure != sure else sure)]
        else:
            cells += [Cell("")] * 3
        cells.append(Cell(", ".join(verdict.tied) if verdict.enough else "too few seeds to tell"))
        rows.append([*cells, Cell(str(first.value.n), first.value.n), Cell("draws" if verdict.by_draws else "seeds")])
    columns = ["family and setting", "criterion", "best measured", "value", "runner-up", "best to runner-up",
               "P(best is better)", "not told from", "seeds", "interval by"]  # fmt: skip
    note = (
        "[95 % intervals]: Student's t over seeds, or the draws' own error where the column says so. Best to "
        "runner-up: a ratio (\N{MULTIPLICATION SIGN}) or a difference, by paired seeds or by the draws. The "
        "probability is that of these two alone: nothing is corrected for having picked them among many."
    )
    numeric = [c in ("value", "best to runner-up", "P(best is better)", "seeds") for c in columns]
    return Listing("answers", "How sure", note, columns, rows, numeric)


def _valued(verdict: Verdict, i: int) -> str:
    show = nats if verdict.criterion.name == "bound" else bounded
    return show(*verdict.contenders[i].value[:3])


def _seeds(n: int) -> str:
    return f"{n} seed{'s' if n != 1 else ''}"
