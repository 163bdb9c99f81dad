"""A ranking in words: a cell of the first screen, and a row of the table below it."""

from typing import Any

from bench.report.figures.panels import title
from bench.report.page.answer import Ranking
from bench.report.page.listing import Cell, Listing
from bench.report.page.numbers import bounded, nats, percent
from bench.report.page.sentences import listed

ALL_AT_ONCE = (
    "All intervals and probabilities of a criterion hold jointly with 95 % confidence, by Tukey's studentised range "
    "over the estimators compared."
)


def cell(ranking: Ranking) -> dict[str, Any]:
    """A cell of the first screen: the first contender, its value, and the statement about the others."""
    aside = {"noiseless": ranking.noiseless, "behind": ranking.behind}
    if not ranking.contenders:
        alone = {"label": ", ".join(ranking.noiseless), "value": "no noise"}
        empty = {"label": "", "value": "no finite number"}
        return (alone if ranking.noiseless else empty) | {"note": "", "statement": "", "kind": ""} | aside
    first, ties = ranking.contenders[0], ranking.ties
    better = "higher" if ranking.criterion.highest else "lower"
    if len(ranking.contenders) == 1:
        statement, kind = "the only one compared", "single"
    elif not ranking.enough:
        statement, kind = f"{_seeds(first.value.n)}: too few to compare", "few"
    elif not ties:
        statement, kind = f"{better} than all others", "separated"
    else:
        statement, kind = f"ties with {listed(ties)}", "tied"
    shown = {"label": first.label, "note": first.note, "value": _valued(ranking, 0), "statement": statement}
    return shown | {"kind": kind} | aside


def details(found: list[Ranking]) -> Listing:
    """The table of every answer with its intervals, its probability and its ties."""
    rows = []
    for ranking in (r for r in found if r.contenders):
        first = ranking.contenders[0]
        criterion = ranking.criterion
        cells = [
            Cell(title(ranking.panel).replace("\n", "; ")),
            Cell(f"{criterion.title}{f' ({criterion.unit})' if criterion.unit else ''}"),
            Cell(f"{first.label} ({first.note})" if first.note else first.label),
        ]
        cells.append(Cell(_valued(ranking, 0), first.value.mean))
        if len(ranking.contenders) > 1:
            second = ranking.contenders[1]
            show = bounded if criterion.ratio or criterion.name == "bias" else nats
            sign = "\N{MULTIPLICATION SIGN} " if criterion.ratio else ""
            probability = second.probability if ranking.enough else float("nan")
            known = probability == probability
            cells.append(Cell(second.label))
            cells += [Cell(sign + show(*second.against), second.against.mean)]
            cells += [Cell(percent(probability) if known else "", probability if known else None)]
        else:
            cells += [Cell("")] * 3
        cells.append(Cell(", ".join(ranking.ties) if ranking.enough else "too few seeds to compare"))
        cells.append(Cell(", ".join(ranking.behind)))
        rows.append([*cells, Cell(str(first.value.n), first.value.n), Cell(_sample(ranking))])
    columns = ["family and setting", "criterion", "best measured", "value", "runner-up", "best to runner-up",
               "P(best is better)", "ties with", "not ranked", "seeds", "interval by"]  # fmt: skip
    note = (
        f"[95 % intervals]. {ALL_AT_ONCE} Best to runner-up: a ratio (\N{MULTIPLICATION SIGN}) or a difference. Ties "
        "with: estimators for which the interval of this ratio or difference includes equality. Not ranked: "
        "configurations with runs that failed, diverged or gave no finite number; --rank-survivors ranks them too."
    )
    numeric = [c in ("value", "best to runner-up", "P(best is better)", "seeds") for c in columns]
    return Listing("answers", "Intervals and ties", note, columns, rows, numeric)


def _sample(ranking: Ranking) -> str:
    return ranking.criterion.sample if ranking.by_draws else "seeds"


def _valued(ranking: Ranking, i: int) -> str:
    show = nats if ranking.criterion.name == "bound" else bounded
    return show(*ranking.contenders[i].value)


def _seeds(n: int) -> str:
    return f"{n} seed{'s' if n != 1 else ''}"
