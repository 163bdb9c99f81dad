"""One sentence a family, first on the page: what the rankings let one say, every clause from an interval."""

from typing import NamedTuple

from bench.report.collection.collect import Collection, Group
from bench.report.figures.panels import title
from bench.report.page.answer import Ranking, ranked
from bench.report.page.criteria import CRITERIA
from bench.report.page.numbers import bounded

NOISE = CRITERIA[0]._replace(among=False)
NAMED = 4  # names of a list before `and 7 others`


class Sentence(NamedTuple):
    """Of one panel."""

    name: str
    text: str


def sentences(collection: Collection, found: list[Ranking], survivors: bool = False) -> dict[Group, Sentence]:
    """Of every panel in which noise at equal evaluations, or a bias, was measured."""
    of = {(r.panel, r.criterion.name): r for r in found}
    panels = dict.fromkeys(r.panel for r in found if r.criterion.name in (NOISE.name, "mse", "bias"))
    texts = {panel: _text(collection, of, panel, survivors) for panel in panels}
    return {p: Sentence(title(p).replace("\n", "; "), f"{'; '.join(t)}.") for p, t in texts.items() if t}


def _text(collection: Collection, of: dict[tuple[Group, str], Ranking], panel: Group, survivors: bool) -> list[str]:
    noise = of.get((panel, NOISE.name))
    clauses = []
    if noise and noise.noiseless:
        clauses.append(f"{listed(noise.noiseless)} {'has' if len(noise.noiseless) == 1 else 'have'} no noise")
    if not noise or not noise.contenders:
        return clauses + _least_error(of.get((panel, "mse")))
    leader = noise.contenders[0]
    others = "of the others that claim to be unbiased, " if noise.noiseless else "of those that claim to be unbiased, "
    if len(noise.contenders) == 1:
        clauses.append(f"{others}{leader.label} alone was measured at equal evaluations")
    elif not noise.enough:
        return [*clauses, f"{others}{leader.label} measured the least noise at equal evaluations, and {sample(noise)} "
                "cannot tell it from any"]  # fmt: skip
    elif not noise.ties:
        clauses.append(f"{others}{leader.label} has less noise at equal evaluations than every other")
    else:
        clauses.append(f"{others}{leader.label} measured the least noise at equal evaluations")
        clauses.append(f"{listed(noise.ties)} cannot be told from it by {sample(noise)}")
    return clauses + _biased(collection, of, panel, leader.label, survivors)


def _biased(
    collection: Collection, of: dict[tuple[Group, str], Ranking], panel: Group, leader: str, survivors: bool
) -> list[str]:
    """What those that claim to be biased have over the leader of the others."""
    ranking = ranked(collection, panel, NOISE, survivors, against=leader)
    quieter = {c.label: c.against for c in ranking.contenders if c.separated and c.against.low > 1} if ranking else {}
    if ranking is None or not ranking.enough or len(ranking.contenders) < 2:
        return []
    if not quieter:
        return [f"no estimator that claims to be biased can be told to have less noise than {leader}"]
    errors = of.get((panel, "mse"))
    order = [c.label for c in errors.contenders if c.label in quieter] if errors else []
    chosen = next(iter(order or quieter))
    ratio, low, high, _ = quieter[chosen]
    clause = f"if bias is acceptable, {chosen} has {bounded(1 / ratio, 1 / high, 1 / low)} of the noise of {leader}"
    bias = next((c.value for c in of[panel, "bias"].contenders if c.label == chosen), None) if (
        (panel, "bias") in of) else None  # fmt: skip
    return [f"{clause} and a squared bias of {bounded(*bias)} of the squared gradient" if bias else clause]


def _least_error(errors: Ranking | None) -> list[str]:
    if errors is None or len(errors.contenders) < 2 or not errors.enough:
        return []
    first, ties = errors.contenders[0].label, errors.ties
    tied = f", and {listed(ties)} cannot be told from it by {sample(errors)}" if ties else ""
    return [f"{first} has the least error of one gradient measured{tied}"]


def listed(names: list[str], most: int = NAMED) -> str:
    """`a`, `a and b`, `a, b, c and 7 others`."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def sample(ranking: Ranking) -> str:
    """What judges: the draws, or so many seeds."""
    n = ranking.contenders[0].value.n
    return "the draws" if ranking.by_draws else f"{n} seed{'s' if n != 1 else ''}"
