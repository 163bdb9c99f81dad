"""The page is what the tables and the expectations say, and the short polynomial programming ends where it must."""

import math
import re

import pandas as pd
import pytest

from bench.published import command, results
from bench.published.expected import TIMED, Form, names, read
from bench.published.measured import joined, meant, measure
from bench.published.page import page
from bench.published.results import cells
from bench.published.verdict import REPRODUCED
from tests.support.packages import ROOT

RESULTS, PAGE = ROOT / "results" / "published", ROOT / "docs" / "published.md"
T, P = 0.45, 1.5


def slopes(power):
    return power * (1 - T) ** (power - 1), -power * T ** (power - 1)  # at 1 and at 0


def plateau(power):
    """Where straight-through's mean gradient vanishes, what the bits cost."""
    one, zero = slopes(power)
    p = zero / (zero - one)
    return p * (1 - T) ** power + (1 - p) * T**power


def adam(power, steps, lr=2e-3):
    """What the bits cost after these steps of Adam along the exact gradient from p = 1/2."""
    gap, logit, mean, square = (1 - T) ** power - T**power, 0.0, 0.0, 0.0
    for step in range(1, steps + 1):
        p = 1 / (1 + math.exp(-logit))
        g = gap / 128 * p * (1 - p)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        logit -= lr * mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)) ** 0.5 + 1e-8)
    return T**power + gap / (1 + math.exp(-logit))


def test_the_page_is_what_the_tables_say():
    assert PAGE.read_text() == page([read(name) for name in names()], RESULTS)


def test_what_is_expected_of_polynomial_programming_is_exact():
    each = read("polynomial_programming")
    for row in each.rows:
        power = float(re.search(r"p = ([\d.]+)", row.what)[1])
        one, zero = slopes(power)
        for form in ("full", "short"):
            found = getattr(row, form)
            exact = {
                "exact gradient": -adam(power, each.form(form).steps),
                "straight-through": -plateau(power),
                "ReinMax": -plateau(power),
                "squared bias of ReinMax at the start":
                    128 * ((one + zero) / 2 / 128 / 4 - ((1 - T) ** power - T**power) / 128 / 4) ** 2,
            }[row.what.partition(",")[0]]  # fmt: skip
            digits = 4 if found.digits is None else found.digits
            assert found.value == pytest.approx(exact, abs=0.5001 * 10.0**-digits), row.what


def test_the_short_polynomial_programming_that_is_kept_is_reproduced_everywhere():
    found = cells(read("polynomial_programming"), RESULTS, "short")
    assert [cell.compared.verdict for cell in found if cell.compared] == [REPRODUCED] * 12


@pytest.mark.slow
def test_the_short_polynomial_programming_is_run_resumed_and_written(tmp_path, capsys, monkeypatch):
    cheap = ("measure.draws=64", "evaluate.at=[1]")
    each = read("polynomial_programming")
    cheaper = {name: read(name) for name in names()} | {
        each.name: each._replace(short=Form(1000, each.short.seeds, cheap))
    }
    monkeypatch.setattr(command, "read", cheaper.get)
    overrides = ["seed=0,1", "problem.power=1.5", "timing.repetitions=0", f"output={tmp_path / 'out'}"]
    where = ["--results", str(tmp_path / "kept"), "--page", str(tmp_path / "page.md")]
    for _ in range(2):
        assert command.main(["polynomial_programming", "--short", *overrides, *where]) == 0
    assert capsys.readouterr().out.count("already done") == 6
    found = {cell.row.what: cell for cell in cells(read("polynomial_programming"), tmp_path / "kept", "short")}
    of_this = [cell for what, cell in found.items() if what.endswith("p = 1.5")]
    assert [cell.compared.verdict for cell in of_this] == [REPRODUCED] * 4
    assert [cell.ours for what, cell in found.items() if not what.endswith("p = 1.5")] == [None] * 8
    text = (tmp_path / "page.md").read_text()
    assert len(re.findall(r"\| reproduced \| \d+, ", text)) == 4
    assert "| straight-through, p = 1.5 | -0.3522; exact: where its mean gradient vanishes | -0.352" in text


class Frames:
    """Two runs of estimator a in two seeds, one of b in seed 0, and a run that failed."""

    runs = pd.DataFrame({
        "run": ["1", "2", "3", "4"], "status": ["done", "done", "done", "failed"], "seed": [0, 1, 0, 0],
        "step": [2, 2, 2, 1], "estimator": ["a", "a", "b", "c"],
        "label": ["a", "a", "b", "c"], "config.estimator.k": [2, 2, 3, 2],
    })  # fmt: skip
    objective = pd.DataFrame({
        "run": ["1", "1", "2", "3", "4"], "seed": [0, 0, 1, 0, 0], "step": [1, 2, 2, 2, 2],
        "elbo": [1.0, 3.0, 5.0, 2.0, 9.0], "elbo_se": [0.1, 0.1, 0.1, 0.5, 0.1],
    })  # fmt: skip
    gradient = cost = objective


@pytest.mark.parametrize(
    ("query", "value", "n", "per"),
    [
        ("objective estimator=a last elbo", 4.0, 2, "seeds"),
        ("objective estimator=a max elbo", 4.0, 2, "seeds"),
        ("objective config.estimator.k=3 last elbo", 2.0, 1, "draws"),
        ("objective estimator=a last elbo exact", 4.0, 2, "nothing"),
        ("objective estimator=a last elbo - objective estimator=b last elbo", 1.0, 1, "nothing"),
        ("objective estimator=a last =elbo/2", 2.0, 2, "seeds"),
    ],
)
def test_a_number_is_of_seeds_or_else_of_draws(query, value, n, per):
    found = measure(query, joined(Frames))
    assert (found.value, found.n, found.per) == (value, n, per)
    half = {
        "seeds": (value == 4.0 or 0.5) * 12.7062047,
        "draws": 0.98,
        "nothing": 0.0 if "exact" in query else math.nan,
    }
    assert found.half == pytest.approx(half[per], rel=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("objective estimator=c last elbo", ["4"]),
        ("objective config.estimator.k=2 last elbo", ["4"]),
        ("objective estimator=a last elbo", []),
        ("objective estimator=c seed=1 last elbo", []),
        ("objective estimator=a last elbo - objective estimator=c last elbo", ["4"]),
        ("objective estimator=c step=0 decoder elbo - objective estimator=c last elbo", ["4"]),
    ],
)
def test_runs_that_ended_otherwise_are_named_where_they_are_meant(query, runs):
    assert list(meant(query, Frames.runs[Frames.runs.status != "done"]).run) == runs


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("objective estimator=a elbo", "2 rows of seed 0 are chosen"),
        ("objective estimator=c last elbo", "names no row"),
        ("nowhere estimator=a elbo", "There is no table 'nowhere'"),
        ("objective estimator=b last elbo - objective seed=1 last elbo", "no seed in all of its parts"),
    ],
)
def test_what_is_no_single_number_is_one_sentence(query, words):
    with pytest.raises(ValueError, match=words):
        measure(query, joined(Frames))


class Timed:
    """A step of one run of each estimator of reinmax_8x4: 1, 2, 3 and 4 seconds, beside other work."""

    names = ["straight_through", "st_gumbel_softmax", "gumbel_rao", "reinmax"]
    runs = pd.DataFrame({"run": list("abcd"), "status": "done", "seed": 0, "estimator": names, "label": names})
    objective = pd.DataFrame({"run": list("abcd"), "seed": 0, "step": 1, "split": "train", "elbo": -500.0})
    gradient = pd.DataFrame({
        "run": list("abcd"), "seed": 0, "step": 1, "part": "latent", "cosine": 1.0, "bias_sq": 1.0,
        "variance_noise": 1.0, "reference_norm_sq": 1.0,
    })  # fmt: skip
    cost = pd.DataFrame({
        "run": list("abcd"), "what": "step", "label": names, "seconds": [1.0, 2.0, 3.0, 4.0], "valid": False,
        "seconds_q1": [0.5, 1.0, 2.0, 3.0], "seconds_q3": [2.0, 4.0, 6.0, 8.0], "device_name": "a machine",
    })  # fmt: skip


def test_what_empty_cells_would_cost_is_counted_once_for_each_run(monkeypatch, tmp_path, capsys):
    each = read("reinmax_8x4")
    monkeypatch.setattr(results, "frames", lambda folder: Timed if folder.name == TIMED else None)
    found = {cell.row.what: cell.cost for cell in cells(each, tmp_path, "full")}
    runs = 96_000 * 10
    assert found["Gumbel-Rao, training bound"] == ({"c": 3.0 * runs}, 2.0 * runs, 6.0 * runs, "a machine", False)
    assert found["ReinMax less straight-through, nats"].seconds == {"a": 1.0 * runs, "d": 4.0 * runs}
    start = "noise at the start, straight-through Gumbel-softmax over Gumbel-Rao"  # where a timed run measures nothing
    assert found[start].seconds == {"b": 2.0 * runs, "c": 3.0 * runs}
    assert "would take 22.2 days to 66.7 days of training on a machine, by quartiles" in page([each], tmp_path)
    command.show([each], tmp_path)
    assert "111.1 days" in capsys.readouterr().out  # ten seconds a step, whatever the number of rows
