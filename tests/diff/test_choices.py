"""`python -m bench.diff` and mirrors of table `choices`: the use of codes and experts."""

import pytest

from bench.diff.command import main
from bench.sweep.mirrors import mirrored
from bench.tables.store import write
from tests.support.synthetic_runs import config, runs_row, tables


def row(step, usage, split="test"):
    return {"step": step, "split": split, "part": "stage.2", "perplexity": 3.0, "usage": usage}


def runs(root, usage):
    """Two runs with that usage at each step."""
    for name in ("rloo", "arm"):
        run = runs_row(config(name, "vq", 0), name)
        key = {"run": run["run"], "seed": run["seed"]}
        write(root / name, tables(run) | {"choices": [key | row(*at) for at in usage.items()]})
    return str(root)


@pytest.mark.parametrize(
    ("usage", "status", "words"),
    [
        ({0: 0.5001, 1000: 0.5}, 0, " 2 differ, 0 beyond"),  # one of each run, within the arithmetic
        ({0: 0.51, 1000: 0.5}, 1, " 2 differ, 2 beyond"),
        ({0: 0.5, 1000: 0.9}, 0, " 2 differ, 0 beyond"),  # the noise of training is in it
        ({0: None, 1000: 0.5}, 1, " 2 differ, 2 beyond"),  # no longer there
    ],
)
def test_the_use_of_codes_is_known_before_training(usage, status, words, tmp_path, capsys):
    a, b = runs(tmp_path / "a", {0: 0.5, 1000: 0.5}), runs(tmp_path / "b", usage)
    for only in (["--only", "choices"], []):
        assert main([a, b, *only]) == status
        out = capsys.readouterr().out
        assert words in out or not only
        assert ("stage.2" in out) == (" 0 differ" not in out)


def test_mirrors_have_a_curve_of_every_part_and_split(tmp_path):
    run = runs_row(config("rloo", "vq", 0), "rloo")
    key = {"run": run["run"], "seed": run["seed"]}
    rows = [
        key | row(step, usage, split) for step, split, usage in ((0, "test", 0.5), (9, "test", 0.7), (9, "train", 1.0))
    ]
    write(tmp_path, tables(run) | {"choices": rows})
    found = [p for p in mirrored(tmp_path).points if p.name.endswith("/usage")]
    assert sorted(found) == [
        ("choices/test/stage.2/usage", 0, 0.5),
        ("choices/test/stage.2/usage", 9, 0.7),
        ("choices/train/stage.2/usage", 9, 1.0),
    ]
    assert mirrored(tmp_path).final()["choices/test/stage.2/usage"] == 0.7
