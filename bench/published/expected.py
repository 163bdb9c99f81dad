"""What papers published, and what is exact: the files `conf/published/<name>.yaml`.

    title: what it is, and the paper
    experiment: a file of conf/experiment
    runs:                       # each a sweep over these overrides, by which a command may choose among them
    - [estimator=disarm]
    - ["estimator=rodeo,double_cv", "estimator.k=2,3"]
    replicas: false             # the seeds cannot be trained together: a problem; left out: they can
    full: {steps: 1000000, seeds: [1, 2, 3, 4, 5], overrides: []}     # as the paper has it
    short: {steps: 2000, seeds: [1, 2], overrides: []}                # what two cores do within an hour
    differs: sentences, what our protocol has that the paper's has not
    found: sentences, what an investigation of a disagreement found
    rows:
    - what: words for the row
      ours: "objective estimator=disarm last train elbo"              # bench.published.measured
      group: rows of one group are ordered among themselves; left out: all rows are one group
      full: {value: -102.1, se: 0.1, seeds: 5, sure: read in the paper, source: Table 1}
      short: {value: -120, sure: exact, source: ...}

Of an expected value: `se` its standard error or `sd` the standard deviation over `seeds`, where they are known;
`digits` after its point, where those that are written are not all there are, or an exact value is rounded;
`at_least: true` where it is a bound from below. `both` stands for the two; `full` or `short` may be left out: a row
without `full` has no published value, and one without `short` is compared with our longer run at the step at which the
short form ends.
"""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bench.errors import BadInput
from bench.files import CONF

FOLDER = CONF / "published"
FORMS = ("full", "short")
TIMED = "timed"  # runs of a single step, for the time of one
SURE = ("exact", "read in the paper", "read in code or raw data", "secondary")
LONGER = "our longer run"
LITTLE = (
    "evaluate.at=[1]", "evaluate.examples=10", "evaluate.samples=2", "evaluate.prior_samples=0", "measure.at=[1]",
    "measure.draws=2", "measure.batches=1", "measure.reference=none", "timing.repetitions=10", "train.warmup=0",
)  # fmt: skip


class Expected(NamedTuple):
    """A value and how well it is known; `sure` is one of SURE, or LONGER."""

    value: float
    sure: str
    source: str
    se: float | None = None
    sd: float | None = None
    seeds: int | None = None
    digits: int | None = None
    at_least: bool = False


class Row(NamedTuple):
    """A number: in words, as a query on our tables, and what is expected of it in each form."""

    what: str
    ours: str
    group: str = ""
    full: Expected | None = None
    short: Expected | None = None


class Form(NamedTuple):
    """A length of the experiment."""

    steps: int
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()


class Published(NamedTuple):
    """One file of `conf/published`."""

    name: str
    title: str
    experiment: str
    runs: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    full: Form
    short: Form
    differs: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    replicas: bool = True

    def form(self, name: str) -> Form:
        """The form of this name."""
        if name == TIMED:
            return Form(1, self.full.seeds[:1], LITTLE)
        return self.short if name == "short" else self.full


def names(folder: Path = FOLDER) -> list[str]:
    """The names of all files, in order."""
    return sorted(file.stem for file in folder.glob("*.yaml"))


def read(name: str, folder: Path = FOLDER) -> Published:
    """The file of this name. Raises BadInput where there is none, or a part of it is not as it should be."""
    if name not in names(folder):
        raise BadInput(f"There are no published numbers {name!r}; there are {', '.join(names(folder))}.")
    try:
        given = dict(yaml.safe_load((folder / f"{name}.yaml").read_text()))
        given |= {key: tuple(given[key]) for key in ("differs", "found") if key in given}
        given["runs"] = tuple(tuple(each) for each in given["runs"])
        given |= {key: _form(given[key]) for key in FORMS}
        given["rows"] = tuple(_row(row) for row in given["rows"])
        found = Published(name=name, **given)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"conf/published/{name}.yaml cannot be used: {' '.join(str(error).split())}.") from error
    if not found.rows:
        raise BadInput(f"conf/published/{name}.yaml has no rows.")
    return found


def _form(given: dict[str, Any]) -> Form:
    form = Form(**given | {"seeds": tuple(given["seeds"]), "overrides": tuple(given.get("overrides", ()))})
    if not form.seeds or not all(isinstance(number, int) for number in (form.steps, *form.seeds)):
        raise ValueError(f"steps and seeds need whole numbers, got {given}")
    return form


def _row(given: dict[str, Any]) -> Row:
    given = dict(given)
    given |= dict.fromkeys(FORMS, given.pop("both")) if "both" in given else {}
    row = Row(**given | {form: Expected(**given[form]) for form in FORMS if form in given})
    for expected in filter(None, (row.full, row.short)):
        if expected.sure not in SURE:
            raise ValueError(f"sure is one of {', '.join(SURE)}, got {expected.sure!r}")
        if not all(isinstance(v, int | float) for v in (expected.value, expected.se or 0, expected.sd or 0)):
            raise ValueError(f"value, se and sd need numbers, got {expected}")
        if expected.sd is not None and not expected.seeds:
            raise ValueError("sd needs seeds")
    return row
