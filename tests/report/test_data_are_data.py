"""Names and reasons are shown and never obeyed: no markup, no terminal escapes, no formulas; and no figure ends a
report."""

import csv
import re

import pytest

from bench.report.command import main
from bench.report.figures.catalogue import FIGURES
from bench.status import main as status
from bench.sweep.summary import show, show_unfinished
from bench.tables.store import write
from bench.terminal import cell, plain
from tests.support.synthetic_runs import config, place, runs_row, tables

HOSTILE = (
    "bad shape [/3, 4]",
    "[red]x",
    "a[/b]",
    "\x1b[2J\x1b]0;title\x07",
    ":smile:",
    "a\rb\nc",
    "\u202eback",
    "\ud800",
)
STORED = HOSTILE[:-1]  # a table holds no lone surrogate
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =2")


@pytest.mark.parametrize("text", HOSTILE)
def test_data_are_shown_as_they_stand(text):
    shown = plain(text)
    assert shown.isprintable()
    assert cell(text).plain == shown
    assert not cell(text).spans
    assert shown.encode().decode("unicode_escape") == text or text.isprintable()


@pytest.mark.parametrize("text", STORED)
def test_no_command_obeys_a_name_or_a_reason(tmp_path, capsys, text):
    place(tmp_path, config("rloo", "bernoulli", 0), estimator=text)
    row = runs_row(config("rloo", "bernoulli", 1), text, status="failed", reason=text)
    write(tmp_path / row["run"], {"runs": [row]})
    assert main([str(tmp_path), "--only", "final_elbo"]) == 0
    assert status([str(tmp_path)]) == 1  # a run failed
    show(tmp_path.iterdir())
    out = capsys.readouterr().out
    assert "\x1b" not in out
    squeezed = re.sub(r"\s", "", out)
    assert squeezed.count(re.sub(r"\s", "", plain(text))) >= 4


def test_no_reason_of_a_sweep_is_obeyed(capsys):
    from bench.run.ending import Ending

    show_unfinished([Ending("failed", text) for text in HOSTILE])
    out = capsys.readouterr().out
    assert all(plain(text) in out for text in HOSTILE)
    assert "\x1b" not in out


def test_no_text_of_a_csv_is_a_formula(tmp_path):
    for seed, text in enumerate(FORMULAS):
        place(tmp_path, config("rloo", "bernoulli", seed), estimator=text, changes={"command": text, "name": "-1.5"})
    assert main([str(tmp_path), "--csv", "--only", "final_elbo"]) == 0
    for name in ("all_runs", "comparison"):
        with (tmp_path / "report" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["estimator"] for row in rows} == {f"'{text}" for text in FORMULAS}
    with (tmp_path / "report" / "all_runs.csv").open(newline="") as file:
        assert {row["name"] for row in csv.DictReader(file)} == {"-1.5"}  # a number is no formula


ERRORS = (
    ValueError("Axis limits cannot be NaN\nsecond line"),
    ZeroDivisionError(),
    MemoryError(),
    KeyError("x"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_figure_that_cannot_be_drawn_is_one_line(tmp_path, capsys, monkeypatch, error):
    place(tmp_path, config("rloo", "bernoulli", 0))

    def broken(*_):
        raise error

    monkeypatch.setitem(FIGURES, "bias", broken)
    assert main([str(tmp_path), "--only", "bias", "--only", "final_elbo"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Figure bias is left out: ")]
    assert type(error).__name__ in line
    assert {f.stem for f in (tmp_path / "report" / "figures").iterdir()} == {"final_elbo"}
    assert "final_elbo" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_a_report_of_what_has_no_noise_and_no_bias(tmp_path, value):
    row = runs_row(config("exact", "categorical", 0), "exact")
    made = tables(row)
    gone = {"variance_noise": value, "variance_noise_se": value, "bias_sq": value, "bias_sq_se": value}
    made["gradient"] = [observed | gone for observed in made["gradient"]]
    if value != value:
        made["objective"] = [observed | {"elbo": value, "iwae": value} for observed in made["objective"]]
    write(tmp_path / row["run"], made)
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report" / "report.html").is_file()
