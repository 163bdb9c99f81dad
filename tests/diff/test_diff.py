"""`python -m bench.diff`: what moved is told, noise is not, and what cannot be compared is said."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from bench.diff.command import main
from bench.diff.moved import DRAWS_FREEDOM, compared, holm
from bench.report.collection.collect import collect, find
from bench.tables.store import write
from tests.support.synthetic_runs import config, runs_row, tables

TIMED = {"device": "cpu", "device_name": "a", "threads": 1, "seconds_se": 1e-6, "batch_size": 100}


def runs(root, change=lambda table, row: row, names=("rloo", "arm"), seeds=(0, 1), **changes):
    """Runs of a few estimators, each row of their tables changed."""
    for name in names:
        for seed in seeds:
            row = runs_row(config(name, "bernoulli", seed), name, **changes)
            made = tables(row)
            for cost in made["cost"]:
                cost |= TIMED
            write(root / row["run"], {t: [change(t, dict(r)) for r in rows] for t, rows in made.items()})
    return str(root)


def told(capsys, *words):
    code = main([*words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_same_numbers_are_the_same_whatever_computed_them(tmp_path, capsys):
    def elsewhere(table, row):
        if table == "runs":
            more = {"device": "cuda", "threads": 4, "measure": {"memory": 4096}, "name": "b", "precision": "highest"}
            row["config"] = json.dumps(json.loads(row["config"]) | more)
        return row

    code, out, err = told(capsys, runs(tmp_path / "a"), runs(tmp_path / "b", elsewhere))
    assert (code, err) == (0, "")
    assert out.startswith("4 runs are in both. Of ")
    assert " 0 differ, 0 beyond their noise" in out


def shifted(errors, name="variance_noise", at=("rloo", 0)):
    """One number moved by so many combined standard errors, each side having the same."""

    def change(table, row):
        if table == "gradient" and row["part"] == "encoder" and row["step"] == 1000 and row["estimator"] == at[0]:
            row[name] += errors * np.sqrt(2) * row[f"{name}_se"] * (row["seed"] == at[1])
        return row

    return change


@pytest.mark.parametrize(("errors", "status"), [(5.0, 1), (-5.0, 1), (1.5, 0)])
def test_a_number_that_moved_beyond_its_noise_is_told(errors, status, tmp_path, capsys):
    file = tmp_path / "moved.csv"
    a, b = runs(tmp_path / "a"), runs(tmp_path / "b", shifted(errors))
    code, out, _ = told(capsys, a, b, "--csv", str(file))
    assert code == status
    assert f" 1 differ, {status} beyond their noise" in out
    rows = [row for row in csv.DictReader(file.read_text().splitlines()) if float(row["a"]) != float(row["b"])]
    assert [(row["label"], row["seed"], row["where"], row["number"]) for row in rows] == [
        ("rloo", "0", "1000 encoder", "variance_noise")
    ]
    assert float(rows[0]["errors"]) == pytest.approx(errors, rel=1e-6)
    assert told(capsys, a, b, "--only", "objective")[0] == 0


def known(table, row):
    """Evaluations are known without noise."""
    return row | ({"evaluations_forward": row["evaluations_forward"] + 1} if table == "cost" else {})


def noiseless(table, row):
    return row | ({"draws": 1} if table == "gradient" else {})


def errorless(table, row):
    return row | ({"variance_noise": 9.0, "variance_noise_se": None} if table == "gradient" else {})


def slower(factor, **more):
    return lambda table, row: row | ({"seconds": row["seconds"] * factor} | more if table == "cost" else {})


@pytest.mark.parametrize(
    ("before", "after", "status", "words"),
    [
        (None, known, 1, "evaluations_forward"),
        (noiseless, lambda t, r: noiseless(t, shifted(0.5)(t, r)), 1, "variance_noise"),  # half an error of no noise
        (None, slower(3.0), 1, "seconds"),
        (None, slower(1.1), 0, "0 beyond their noise"),
        (None, slower(3.0, device_name="b"), 0, "8 times are not compared"),
        (None, slower(3.0, valid=False), 0, "8 times are not compared"),
        (None, errorless, 0, " - "),
    ],
)  # fmt: skip
def test_what_has_no_error_and_what_takes_time(before, after, status, words, tmp_path, capsys):
    code, out, _ = told(capsys, runs(tmp_path / "a", before or (lambda t, r: r)), runs(tmp_path / "b", after))
    assert code == status
    assert words in out


def test_runs_of_one_side_and_other_endings_are_listed(tmp_path, capsys):
    a = runs(tmp_path / "a", names=("rloo", "arm", "disarm"))
    b = runs(tmp_path / "b", names=("rloo", "disarm", "exact"), seeds=(0,))
    code, out, _ = told(capsys, a, b)
    assert code == 0
    assert "4 only in A: " in out
    assert "1 only in B: exact on bernoulli, seed 0" in out
    runs(tmp_path / "b", names=("rloo",), seeds=(0,), status="diverged")
    code, out, _ = told(capsys, a, b)
    assert code == 1
    assert "1 ended otherwise: rloo on bernoulli, seed 0: done and diverged" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a", "nowhere"], "There is no directory nowhere."),
        (["a", "empty"], "No complete run lies under empty; `python -m bench` makes one."),
        (["a", "b"], "No run of a has its configuration and seed in b."),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runs(tmp_path / "a", names=("rloo",), seeds=(0,))
    runs(tmp_path / "b", names=("arm",), seeds=(0,))
    (tmp_path / "empty").mkdir()
    assert told(capsys, *words) == (2, "", f"python -m bench.diff: {sentence}\n")


def test_holm():
    """Against a loop that is written out."""
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    assert holm(p) == pytest.approx([0.03, np.nan, 0.06, 0.06, 0.02], nan_ok=True)


def measured(random, collection, changed=0.0):
    """The collection with the noise of gradients measured anew: means of 32 groups of draws, and the standard error
    that these show; one number is `changed` true standard errors higher."""
    gradient = collection.tables["gradient"].to_pandas()
    groups = random.normal(size=(len(gradient), DRAWS_FREEDOM + 1))
    gradient["variance_noise"] = 1 + 0.1 * groups.mean(1)
    gradient["variance_noise_se"] = 0.1 * groups.std(1, ddof=1) / np.sqrt(groups.shape[1])
    gradient.loc[3, "variance_noise"] += changed * 0.1 / np.sqrt(groups.shape[1])
    return collection._replace(tables=collection.tables | {"gradient": Table(gradient)})


class Table:
    """A frame where an arrow table is expected."""

    def __init__(self, frame):
        self.frame = frame

    def to_pandas(self, use_threads):
        return self.frame.copy()


@pytest.mark.slow
def test_other_noise_is_told_as_moved_in_at_most_one_of_twenty_and_a_change_of_five_errors_is_found(tmp_path):
    runs(tmp_path, names=("rloo", "arm"), seeds=(0, 1))
    found = collect(find([tmp_path]))[0]
    random, trials = np.random.default_rng(0), 150

    def any_moved(changed):
        numbers = compared(measured(random, found), measured(random, found, changed), ["gradient"])[0]
        assert (numbers.a != numbers.b).sum() == 40
        return bool(numbers.moved.any())

    false = sum(any_moved(0.0) for _ in range(trials))
    assert false <= 0.05 * trials + 2 * np.sqrt(trials * 0.05 * 0.95)
    assert false > 0  # and not for want of power
    assert np.mean([any_moved(5 * np.sqrt(2)) for _ in range(20)]) > 0.8  # 5 combined errors on average
    assert all(any_moved(10 * np.sqrt(2)) for _ in range(5))


def test_columns_are_numbers(tmp_path):
    runs(tmp_path, names=("rloo",), seeds=(0,))
    found = collect(find([tmp_path]))[0]
    numbers = compared(found, found, ["gradient", "objective", "cost"])[0]
    assert isinstance(numbers, pd.DataFrame)
    assert set(numbers.table) == {"gradient", "objective", "cost"}
    assert not numbers.moved.any()
    assert (numbers.relative == 0).all()
