"""One sentence for each panel, first on the page: what the rankings show. Every clause follows from an interval."""

from typing import NamedTuple

from bench.report.collection.collect import Collection, Group
from bench.report.figures.panels import title
from bench.report.page.answer import Ranking, ranked
from bench.report.page.criteria import CRITERIA
from bench.report.page.numbers import bounded

NOISE = CRITERIA[0]._replace(among=False)
ACCEPTABLE = 0.5  # of the squared gradient norm: an estimate of 0 has a squared bias of 1
NAMED = 4  # names of a list before `and 7 others`


class Sentence(NamedTuple):
    """The name of a panel, and the sentence about it."""

    name: str
    text: str


def sentences(collection: Collection, found: list[Ranking], survivors: bool = False) -> dict[Group, Sentence]:
    """The sentence of every panel in which noise at equal evaluations, or a bias, was measured."""
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
    others = f"among the {'other ' if noise.noiseless else ''}estimators that claim to be unbiased, "
    if len(noise.contenders) == 1:
        clauses.append(f"{others}only {leader.label} was measured at equal evaluations")
    elif not noise.enough:
        few = f"{sample(noise)} {'is' if leader.value.n == 1 else 'are'} too few to compare"
        return [*clauses, f"{others}{leader.label} has the lowest measured noise at equal evaluations; {few}"]
    elif not noise.ties:
        clauses.append(f"{others}{leader.label} has less noise at equal evaluations than every other")
    else:
        clauses.append(f"{others}{leader.label} has the lowest measured noise at equal evaluations")
        clauses.append(tied(noise))
    return clauses + _biased(collection, of, panel, leader.label, survivors)


def _biased(
    collection: Collection, of: dict[tuple[Group, str], Ranking], panel: Group, leader: str, survivors: bool
) -> list[str]:
    """The clause that compares the estimators that claim to be biased with the leader of the others.

    An estimate near 0 has little noise, and teaches nothing: its squared bias is the whole squared gradient norm. So
    only estimators whose squared bias is significantly below `ACCEPTABLE` are named."""
    ranking = ranked(collection, panel, NOISE, survivors, against=leader)
    quieter = {c.label: c.against for c in ranking.contenders if c.separated and c.against.low > 1} if ranking else {}
    if ranking is None or not ranking.enough or len(ranking.contenders) < 2:
        return []
    if not quieter:
        return [f"no estimator that claims to be biased has significantly less noise than {leader}"]
    errors, biases = of.get((panel, "mse")), of.get((panel, "bias"))
    bias = {c.label: c.value for c in biases.contenders if c.value.high < ACCEPTABLE} if biases else {}
    order = [c.label for c in errors.contenders if c.label in quieter] if errors else list(quieter)
    chosen = next((label for label in order if label in bias or not biases), None)
    if chosen is None:
        both = f"less noise than {leader} and a squared bias below half of the squared gradient norm"
        return [f"no estimator that claims to be biased has, significantly, both {both}"]
    ratio, low, high, _ = quieter[chosen]
    clause = f"if bias is acceptable, {chosen} has {bounded(1 / ratio, 1 / high, 1 / low)} times the noise of {leader}"
    if chosen not in bias:
        return [f"{clause}; its bias was not measured"]
    return [f"{clause} and a squared bias of {bounded(*bias[chosen])} times the squared gradient norm"]


def _least_error(errors: Ranking | None) -> list[str]:
    if errors is None or len(errors.contenders) < 2 or not errors.enough:
        return []
    clause = f"{errors.contenders[0].label} has the lowest measured error of one gradient"
    return [clause, tied(errors)] if errors.ties else [clause]


def tied(ranking: Ranking) -> str:
    """`a and b tie with it (95 % intervals over 3 seeds)`."""
    return f"{listed(ranking.ties)} tie{'s' * (len(ranking.ties) == 1)} with it (95 % intervals over {sample(ranking)})"


def listed(names: list[str], most: int = NAMED) -> str:
    """`a`, `a and b`, `a, b, c and 7 others`."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def sample(ranking: Ranking) -> str:
    """The sample behind the intervals: the draws, or a number of seeds."""
    n = ranking.contenders[0].value.n
    return "the draws" if ranking.by_draws else f"{n} seed{'s' if n != 1 else ''}"
