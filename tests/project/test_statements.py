"""What the pages say in numbers is what the tables say; wrong numbers, lost sentences, bold orderings are found."""

import pytest
import yaml

from tests.support import queries, statements
from tests.support.orderings import below
from tests.support.packages import ROOT
from tests.support.rounding import agrees, written
from tests.support.statements import Statement, look, unaccounted

ALL = statements.statements()


@pytest.mark.parametrize("name", ALL)
def test_every_number_of_a_page_is_recomputed_or_a_setting(name):
    page = (ROOT / name).read_text()
    found = [finding for statement in ALL[name] for finding in look(statement, page)]
    assert [(finding.words, finding.wrong) for finding in found if finding.wrong] == []
    assert [page[begin:end] for begin, end in unaccounted(page, ALL[name])] == []


def test_every_page_of_evidence_has_statements():
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "results").rglob("README.md")}
    assert pages | {"README.md", "docs/choosing.md"} <= ALL.keys()


OF = "policy/groups:gradient encoder k=4"
TEXT = "`rloo` has {rloo variance_exact} in {rloo draws} draws, {two: 2} steps".replace("{two: 2}", "2")
PAGE = "At four samples `rloo` has 0.0103\n  in 2,000 draws, 2 steps, and 17 others."


def wrong(page, statement):
    return [finding.wrong for finding in look(statement, page) if finding.wrong]


def test_a_changed_number_a_lost_sentence_and_a_new_number_are_found():
    right = Statement(TEXT, OF)
    assert wrong(PAGE, right) == []
    assert [PAGE[a:b] for a, b in unaccounted(PAGE, [right])] == ["17"]
    assert unaccounted(PAGE.replace("17", "`17`"), [right]) == []
    assert wrong(PAGE.replace("0.0103", "0.0104"), right) == ["it is another number"]
    assert wrong(PAGE.replace("2,000", "2,100"), right) == ["it is another number"]
    assert wrong(PAGE.replace("2 steps", "3 steps"), right) == ["it stands 0 times in the page"]
    assert wrong(PAGE + PAGE, right) == ["it stands 2 times in the page"]
    [found] = wrong(PAGE, Statement("`rloo` has {variance_exact}", OF))
    assert "chooses 6 rows" in found
    [found] = wrong(PAGE, Statement("`rloo` has {rlo variance_exact}", OF))
    assert "'rlo'" in found


@pytest.mark.parametrize(
    ("ordering", "holds"),
    [
        ("rloo variance_noise < grpo variance_noise", True),
        ("grpo variance_noise < rloo variance_noise", False),
        ("rloo variance_noise < vargrad variance_noise", False),  # equal but for chance
        ("vargrad variance_noise < rloo variance_noise", False),
        ("rloo variance_noise < reinforce variance_noise < grpo variance_noise", True),
        ("rloo variance_exact < grpo variance_exact", False),  # no error is known
        ("rloo variance_exact exact < grpo variance_exact exact", True),
        ("rloo variance_noise < 0.02", True),
    ],
)
def test_an_ordering_holds_where_its_intervals_support_it(ordering, holds):
    found = wrong(PAGE, Statement(TEXT, OF, (ordering,)))
    assert found == ([] if holds else ["its intervals do not support it"])


def test_pairs_that_a_report_tells_apart_are_ordered_by_them(monkeypatch):
    """Both intervals overlap, and the differences within seeds do not; and the other way round."""
    import pandas as pd

    row = {"family": "f", "objective": "elbo", "setting": "", "trained_with": "own", "seeds": 5}
    column = "variance_noise_encoder"
    both = pd.DataFrame(
        [row | {"label": label, column: value, f"{column}_low": value - 1, f"{column}_high": value + 1}
         for label, value in (("a", 2.0), ("b", 2.5))]
    )  # fmt: skip
    for separated in (True, False, None):
        pair = pd.DataFrame(
            [row | {"A": "a", "B": "b", "variance_noise_ratio": 0.8, "variance_noise_separated": separated}]
        )
        monkeypatch.setattr("tests.support.queries.frame", lambda table: both)
        monkeypatch.setattr("tests.support.orderings.frame", lambda table, pair=pair: pair)
        assert below("x a variance_noise_encoder", "x b variance_noise_encoder") is (separated is True)
        assert not below("x b variance_noise_encoder", "x a variance_noise_encoder")


@pytest.mark.parametrize(
    ("text", "number", "right"),
    [
        ("0.0103", 0.01034, True), ("0.0103", 0.01036, False), ("40,800", 40_849, True), ("40,800", 40_851, False),
        ("1,000", 1004, True), ("1,000", 1006, False), ("-118.8", -118.76, True), ("\N{MINUS SIGN}118.8", -118.8, True),
        ("twice", 2.4, True), ("twice", 2.6, False), ("1.5e-3", 0.00154, True), ("616", 616.2, True),
        ("3.00", 2.999, True),
    ],
)  # fmt: skip
def test_a_number_is_what_its_page_rounds_to(text, number, right):
    assert agrees(text, number) == right
    if right:
        assert agrees(written(number, text), number)


def test_percent_and_writing(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("Of them 12 % are `rloo`, whose variance is 0.5.\n")
    file = tmp_path / "statements.yaml"
    entry = {"text": "Of them {count / 36} % are `rloo`, whose variance is {rloo k=4 variance_exact}",
             "of": "policy/groups:gradient encoder"}  # fmt: skip
    file.write_text(yaml.safe_dump({"page.md": [entry]}))
    monkeypatch.setattr(statements, "FILE", file)
    monkeypatch.setattr(statements, "ROOT", tmp_path)
    assert statements.main([]) == 1
    assert statements.main(["--write"]) == 1
    assert page.read_text() == "Of them 100 % are `rloo`, whose variance is 0.0.\n"
    page.write_text("Of them 12 % are `rloo`, whose variance is 0.5000.\n")
    statements.main(["--write"])
    assert statements.main([]) == 0
    assert page.read_text() == "Of them 100 % are `rloo`, whose variance is 0.0103.\n"
    page.write_text("Of them 100 % are `rloo`, whose variance is 0.0103, see results/policy/README.md; 0.00582 too.\n")
    capsys.readouterr()
    assert statements.main(["--find"]) == 1
    assert "{policy/groups:gradient 'label=reinforce k=8' encoder last variance_exact}" in capsys.readouterr().out
    assert statements.main(["--show", "policy/groups:gradient encoder k=4 rloo variance_noise"]) == 0
    assert "variance_noise_se" in capsys.readouterr().out


def test_a_table_that_is_not_there_is_a_sentence():
    with pytest.raises(ValueError, match=r"There is no table results/nowhere\."):
        queries.number("nowhere a b")
