"""Run directories from elsewhere: a configuration of odd types is one line, and the other runs are reported."""

import json
import os
import shutil

import numpy as np
import pytest

import bench
from bench.report.collection.collect import collect, find, widened
from bench.report.collection.compare import comparison
from bench.report.collection.saved import DIGESTS, write_tables
from bench.report.command import main
from bench.run.images import IMAGES_FILE
from bench.tables.store import MARKER, SchemaError, read, write
from tests.support.damaged import one_sentence
from tests.support.odd_files import ODD_TEXTS, ODD_VALUES, deep, edited, good
from tests.support.synthetic_runs import config, runs_row, tables

KEYS = (
    "seed", "seeds", "seeds.model", "estimator", "estimator._target_", "latent", "latent.family", "latent.dim",
    "data.name", "objective.beta", "train", "train.lr", "train.steps", "train.betas", "name", "unknown",
)  # fmt: skip
PROBED = {"trained_with": "rloo", "step": 1000, "digest": "0", "trajectory": {"seeds": {}}}
ORIGIN = ("probe", "probe.trained_with", "probe.step", "probe.trajectory", "probe.trajectory.seeds", "probe.digest")


def odd(folder, text, number=0):
    name = f"0dd{number:09x}"
    row = runs_row(config("rloo", "bernoulli", 7), "rloo") | {"run": name}
    write(folder / name, tables(row | {"config": text}))


def reported(folder, capsys):
    """What the report says on standard error: a line for each run that it leaves out."""
    assert main([str(folder), "--only", "final_elbo", "--csv"]) == 0
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.splitlines()


def left_out(folder):
    """A line for each run that is left out of tables that can be written, compared and loaded."""
    collection, lines = collect(find([folder]))
    write_tables(collection.tables | {"runs": widened(collection.tables["runs"])}, folder / "report", as_csv=True)
    comparison(collection)
    assert all(one_sentence(line) for line in lines)
    return lines


@pytest.mark.parametrize("kind", ODD_TEXTS)
def test_a_text_that_is_no_configuration(tmp_path, kind):
    good(tmp_path)
    odd(tmp_path, ODD_TEXTS[kind])
    [line] = left_out(tmp_path)
    assert line.startswith(f"{tmp_path / '0dd000000000'} has no row of runs with a config of this suite: ")


def odd_configurations(kind):
    ordinary = config("rloo", "bernoulli", 7, probe=PROBED)
    return [*(edited(ordinary, key, ODD_VALUES[kind]) for key in (*KEYS, *ORIGIN)), deep(ODD_VALUES[kind], 300)]


@pytest.mark.parametrize("kind", ODD_VALUES)
def test_a_configuration_with_an_odd_value(tmp_path, kind):
    good(tmp_path)
    for number, content in enumerate(odd_configurations(kind)):
        odd(tmp_path, json.dumps(content), number)
    assert left_out(tmp_path)
    with pytest.warns(UserWarning, match="0dd"):
        runs, *_ = bench.load(tmp_path)
    assert len(runs) >= 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:constrained_layout")  # two hundred names in one figure
def test_the_report_of_all_of_them(tmp_path, capsys):
    good(tmp_path)
    texts = [*ODD_TEXTS.values(), *(json.dumps(content) for kind in ODD_VALUES for content in odd_configurations(kind))]
    for number, text in enumerate(texts):
        odd(tmp_path, text, number)
    assert len(reported(tmp_path, capsys)) > 200


PLACES = [MARKER, "runs.parquet", "gradient.parquet"]


@pytest.mark.parametrize("name", PLACES)
def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path, name):
    good(tmp_path)
    [run] = [path for path in tmp_path.iterdir() if path.is_dir()]
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(SchemaError):
        read(run)


def test_a_device_in_place_of_a_table_does_not_fill_the_memory(tmp_path):
    good(tmp_path)
    [run] = tmp_path.iterdir()
    (run / "cost.parquet").unlink()
    (run / "cost.parquet").symlink_to("/dev/zero")
    with pytest.raises(SchemaError, match="is missing, truncated"):
        read(run)


@pytest.mark.parametrize("name", [DIGESTS, "pairs.parquet", "all_objective.parquet"])
def test_a_pipe_in_a_report(tmp_path, capsys, name):
    good(tmp_path / "runs")
    assert main([str(tmp_path / "runs"), "--only", "final_elbo", "--out", str(tmp_path / "report")]) == 0
    (tmp_path / "report" / name).unlink()
    os.mkfifo(tmp_path / "report" / name)
    shutil.rmtree(tmp_path / "runs")
    assert main([str(tmp_path / "report"), "--only", "final_elbo", "--out", str(tmp_path / "again")]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("codes", [np.array(["a"]), np.array([[1]]), np.array([0.5]), np.array([True]), None])
def test_odd_pictures_are_left_out(tmp_path, capsys, codes):
    good(tmp_path)
    [run] = [path for path in tmp_path.iterdir() if path.is_dir()]
    if codes is None:
        os.mkfifo(run / IMAGES_FILE)
    else:
        kinds = dict.fromkeys(("data", "reconstruction", "prior"), np.zeros((1, 1, 4, 4), np.uint8))
        np.savez(run / IMAGES_FILE, **kinds, codes=codes)
    assert reported(tmp_path, capsys) == []
