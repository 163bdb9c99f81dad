"""What the pages say in numbers, recomputed from the tables: `python -m tests.support.statements`.

`results/statements.yaml` has for each page its statements, each the text of the page with a query in braces in place of
every number that was measured:

    docs/choosing.md:
    - "`reparam` has variance {families gaussian label=reparam variance_noise_encoder}"
    - text: "at equal evaluations `rloo` {rloo variance_x_evaluations}, `disarm` {disarm variance_x_evaluations}"
      of: families bernoulli
      holds: ["rloo variance_x_evaluations < disarm variance_x_evaluations"]

`of` is what every query of the statement begins with. A number without braces is a setting, a date or a citation. The
queries are those of `tests.support.queries`. An ordering in `holds` fails unless the intervals support it.
`for: {k: [2, 4]}` repeats the statement with 2 and 4 for `$k`. A number of a page that no statement and no code has is
unaccounted.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.support import queries
from tests.support.candidates import candidates
from tests.support.orderings import below
from tests.support.packages import ROOT
from tests.support.rounding import NUMBER, WORDS, agrees, written

FILE = ROOT / "results" / "statements.yaml"
CODE = re.compile(r"^```.*?^```|`[^`]*`|\]\([^)]*\)|^#[^\n]*$|PyTorch [\d.]+|et al\. \d{4}", re.S | re.M)  # no evidence
OWN = re.compile(r"call |-?[\d.]+(e-?\d+)?$")  # what begins with no table
STATED = rf"({NUMBER.pattern}|\b(?:{'|'.join(WORDS)})\b)"


class Statement(NamedTuple):
    """Text with queries in braces; `of` is what each query begins with; `holds` are orderings."""

    text: str
    of: str = ""
    holds: tuple[str, ...] = ()

    @property
    def asked(self) -> list[str]:
        """The queries in braces."""
        return list(map(self.whole, re.findall(r"\{(.*?)\}", self.text)))

    def whole(self, query: str) -> str:
        """The query with what it begins with."""
        return " ".join(
            part if part in "/*-" or OWN.match(part) else f"{self.of} {part}" for part in re.split(r" ([/*-]) ", query)
        )

    def pattern(self) -> re.Pattern[str]:
        """Matches the text wherever its lines break; each number is a group."""
        parts = re.split(r"\{.*?\}", self.text)
        return re.compile(STATED.join(r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in parts))


class Finding(NamedTuple):
    """A number or an ordering that was recomputed: in words, what is wrong with it, and where it should be what."""

    words: str
    wrong: str = ""
    mended: tuple[int, int, str] | None = None


def statements() -> dict[str, list[Statement]]:
    """The statements of each page."""
    pages: dict[str, list[Any]] = yaml.safe_load(FILE.read_text())
    entries = {page: [{"text": e} if isinstance(e, str) else dict(e) for e in given] for page, given in pages.items()}
    return {page: [Statement(**one) for entry in of for one in _each(entry)] for page, of in entries.items()}


def _each(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entry once for every value of `for`."""
    (name, values), *more = [*given.pop("for", {"": [""]}).items()]
    for value in values:
        one = {key: _put(text, f"${name}", str(value)) if name else text for key, text in given.items()}
        if more:
            yield from _each(one | {"for": dict(more)})
        else:
            yield one | {"holds": tuple(one.get("holds", ()))}


def _put(text: Any, name: str, value: str) -> Any:
    return text.replace(name, value) if isinstance(text, str) else [line.replace(name, value) for line in text]


def look(statement: Statement, page: str) -> Iterator[Finding]:
    """What becomes of a statement in the text of its page."""
    found = list(statement.pattern().finditer(page))
    if len(found) != 1:
        yield Finding(statement.text, f"it stands {len(found)} times in the page")
    for match in found:
        for i, query in enumerate(statement.asked, 1):
            yield _number(query, page, match.span(i))
    for ordering in statement.holds:
        words = list(map(statement.whole, ordering.split(" < ")))
        try:
            wrong = "" if all(map(below, words, words[1:])) else "its intervals do not support it"
        except ValueError as error:
            wrong = str(error)
        yield Finding(" < ".join(words), wrong)


def _number(query: str, page: str, span: tuple[int, int]) -> Finding:
    stated, percent = page[slice(*span)], page[span[1] :].lstrip(" ").startswith("%")
    try:
        found = queries.number(query)
    except ValueError as error:
        return Finding(f"{stated}  {query}", str(error))
    words = f"{stated}  {query} = {found.value:.6g} [{found.low:.4g}, {found.high:.4g}]"
    right = agrees(stated, found.value, percent)
    return Finding(words, "" if right else "it is another number", (*span, written(found.value, stated, percent)))


def unaccounted(page: str, of: list[Statement]) -> list[tuple[int, int]]:
    """Where in the page a number stands that is in no code, no link, no heading and no statement."""
    taken = [match.span() for match in CODE.finditer(page)]
    taken += [match.span() for statement in of for match in statement.pattern().finditer(page)]
    spans = (match.span() for match in re.finditer(rf"(?<![\w.]){NUMBER.pattern}", page))
    return [(a, b) for a, b in spans if not any(begin <= a and b <= end for begin, end in taken)]


def main(argv: list[str] | None = None) -> int:
    """Exit status 1 where a statement fails or a number is unaccounted."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.statements", description="all pages, or these")
    parser.add_argument("pages", nargs="*", help="such as docs/choosing.md")
    parser.add_argument("--find", action="store_true", help="queries that give the numbers that are unaccounted")
    parser.add_argument("--show", metavar="QUERY", help="the number of every row that a query chooses")
    parser.add_argument("--write", action="store_true", help="the recomputed numbers into the pages, at their rounding")
    options = parser.parse_args(argv)
    if options.show:
        print(shown(options.show))
        return 0
    every, bad = statements(), 0
    for name in options.pages or every:
        page, of = (ROOT / name).read_text(), every.get(name, [])
        found = [finding for statement in of for finding in look(statement, page)]
        for finding in found:
            print(
                f"ok     {name}: {finding.words}"
                if not finding.wrong
                else f"WRONG  {name}: {finding.words}: {finding.wrong}"
            )
        if options.write:
            for begin, end, mended in sorted({f.mended for f in found if f.mended and f.wrong}, reverse=True):
                page = page[:begin] + mended + page[end:]
            (ROOT / name).write_text(page)
        left = unaccounted(page, of)
        for begin, end in left:
            print(f"?     {name}: {page[begin:end]}  in: {' '.join(page[max(0, begin - 50) : end + 20].split())}")
            if options.find:
                for query in candidates(name, page, page[begin:end], page[end:].lstrip(" ").startswith("%")):
                    print(f"          {{{query}}}")
        bad += sum(bool(finding.wrong) for finding in found) + len(left)
    return int(bad > 0)


def shown(query: str) -> str:
    """The rows that a query chooses, with their texts and the number."""
    asked = queries.parse(query)
    ends = [c for c in (f"{asked.column}{end}" for end in ("_low", "_high", "_n", "_se")) if c in asked.rows]
    texts = [
        c for c in asked.rows.columns if asked.rows[c].nunique() > 1 and asked.rows[c].astype(str).str.len().max() < 40
    ]
    texts = [c for c in texts if c in ("family", "setting", "label", "trained_with", "part", "seed", "step", "A", "B")]
    columns = [*(texts if "label" in asked.rows or "A" in asked.rows else asked.rows.columns), asked.column, *ends]
    return asked.rows[[c for c in dict.fromkeys(columns) if c]].to_string(index=False)


if __name__ == "__main__":
    sys.exit(main())
