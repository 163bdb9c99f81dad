"""The folder of a report: which patterns find its tables, what a filter leaves in it, how it survives a kill."""

import csv
import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import bench
from bench.report.collection.folder import rewritten
from bench.report.collection.saved import DIGESTS, KEPT, NEXT, stem
from bench.report.command import main
from bench.tables.schema import OF_SOME, TABLES
from tests.support import report_kills
from tests.support.packages import ROOT
from tests.support.synthetic_runs import SOME, collection, config, place

QUICK = ("--only", "final_elbo")


@pytest.fixture(params=report_kills.KINDS)
def only_copy(request, tmp_path):
    """A report of two families whose runs are gone."""
    return report_kills.only_copy(tmp_path, request.param)


@pytest.mark.parametrize("pattern", ["*/{}.parquet", "**/{}.parquet"])
@pytest.mark.parametrize("options", [(), ("--csv",)])
def test_a_pattern_finds_the_tables_of_runs_alone(tmp_path, pattern, options):
    for seed in (0, 1):
        place(tmp_path, config("rloo", "bernoulli", seed), directory=str(seed))
    before = {name: [*tmp_path.glob(pattern.format(name))] for name in TABLES}
    assert main([str(tmp_path), *QUICK, *options]) == 0
    for name, files in before.items():
        assert sorted(tmp_path.glob(pattern.format(name))) == sorted(files)
        table = tmp_path / "report" / f"all_{name}.parquet"
        assert table.is_file() == (name not in OF_SOME)  # no empty table
        rows = ds.dataset([str(file) for file in files]).count_rows()
        assert rows == (pq.read_metadata(table).num_rows if files else 0)


def test_a_report_of_before_gives_way_to_one_that_no_pattern_finds(tmp_path):
    out = report_kills.only_copy(tmp_path, "old names")
    before = report_kills.numbers(out)
    assert [*out.glob("*/gradient.parquet")]
    assert len(bench.load(out).runs) == 8
    assert main([str(out), *QUICK]) == 0
    assert not [*out.rglob("gradient.parquet")]
    assert report_kills.numbers(out) == before


def test_a_report_beside_the_tables_of_a_run_leaves_them(tmp_path):
    run = tmp_path / place(tmp_path, config("rloo", "bernoulli", 0))
    before = report_kills.files(run)
    for _ in range(2):
        assert main([str(tmp_path), "--out", str(run), *QUICK]) == 0
    assert report_kills.files(run).items() >= before.items()


@pytest.mark.parametrize("place", ["", "report"])
def test_a_filter_never_shrinks_its_own_source(only_copy, capsys, place):
    """`place`: a report can be given as the folder that holds it, or as itself."""
    before, out = report_kills.numbers(only_copy), str(only_copy / "report")
    capsys.readouterr()
    assert main([str(only_copy / place), "--out", out, "--families", "vq", *QUICK]) == 0
    said = capsys.readouterr().out
    assert f"{out} is read and written: its tables keep all families.\n" in said
    assert "bernoulli, " not in said
    assert report_kills.numbers(only_copy) == before
    for name, families in (("comparison", {"bernoulli", "vq"}), ("pairs", {"bernoulli"})):  # of VQ one is measured
        table = pq.read_table(only_copy / "report" / f"{name}.parquet")
        assert set(table["family"].to_pylist()) == families


def test_runs_that_cannot_be_reported_are_not_lost_from_their_only_copy(tmp_path, capsys, monkeypatch):
    out = report_kills.only_copy(tmp_path, "new")
    files = report_kills.files(out)
    monkeypatch.setattr("bench.report.collection.labels.check", refuse_vq)
    assert main([str(out), *QUICK]) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("is read and written, and 4 of its runs cannot be reported: name another place with --out.")
    )
    assert report_kills.files(out) == files
    assert main([str(out), *QUICK, "--out", str(tmp_path / "elsewhere")]) == 0


def refuse_vq(config):
    if config["latent"]["family"] == "vq":
        raise ValueError("no VQ")


def test_what_does_not_end_well_changes_nothing(only_copy):
    before = report_kills.files(only_copy)
    with suppress(ZeroDivisionError), rewritten(only_copy / "report") as stage:
        (stage / KEPT).write_text("half")
        raise ZeroDivisionError
    assert report_kills.files(only_copy) == before


def test_an_error_names_the_place_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as error, rewritten(tmp_path) as stage:
        (stage / "figures" / "bias.svg").write_text("")
    assert error.value.filename == str(tmp_path / "figures" / "bias.svg")


def test_files_of_others_and_other_figures_stay(tmp_path):
    collection(tmp_path, families=("bernoulli",), estimators=SOME, seeds=(0, 1))
    assert main([str(tmp_path), "--only", "bias"]) == 0
    (tmp_path / "report" / "README.md").write_text("mine")
    assert main([str(tmp_path), *QUICK]) == 0
    assert (tmp_path / "report" / "README.md").read_text() == "mine"
    assert {file.stem for file in (tmp_path / "report" / "figures").iterdir()} == {"bias", "final_elbo"}


def test_tables_that_a_former_report_alone_had_do_not_stay(tmp_path):
    report = tmp_path / "report"
    place(tmp_path, config("rloo", "bernoulli", 0))
    assert main([str(tmp_path), *QUICK]) == 0
    names = {file.name for file in report.iterdir()}
    assert main([str(tmp_path), *QUICK, "--csv"]) == 0
    assert {f"{stem(name)}.csv" for name in TABLES.keys() - {*OF_SOME}} < {file.name for file in report.iterdir()}
    (report / f"{stem('choices')}.parquet").write_bytes(b"PAR1")
    assert main([str(tmp_path), *QUICK]) == 0
    assert {file.name for file in report.iterdir()} == names


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path):
    report = tmp_path / "report"
    for process in (dead(), os.getpid(), os.getppid(), "x"):
        (report / f"{NEXT}.{process}-0123abcd.tmp" / "figures").mkdir(parents=True)
    place(tmp_path, config("rloo", "bernoulli", 0))
    assert main([str(tmp_path), *QUICK]) == 0
    assert [file.name for file in report.glob(".*")] == [f"{NEXT}.{os.getppid()}-0123abcd.tmp"]


@pytest.mark.parametrize("moved", [(), ("all_gradient.parquet",), ("all_runs.parquet", KEPT, "pairs.parquet")])
def test_a_report_in_two_places_is_read_and_put_together(tmp_path, moved):
    """As if killed after the rename that commits, and after so many files."""
    out = report_kills.only_copy(tmp_path, "new")
    newer = shutil.copytree(out, tmp_path / "newer") / "report"
    place(tmp_path / "runs", config("rloo", "bernoulli", 5), directory="a")
    assert main([str(tmp_path / "newer"), str(tmp_path / "runs"), *QUICK]) == 0
    wanted, files = report_kills.numbers(tmp_path / "newer"), report_kills.files(newer)
    shutil.copytree(newer, out / "report" / NEXT)
    for name in moved:
        (out / "report" / NEXT / name).replace(out / "report" / name)
    assert report_kills.numbers(out) == wanted != report_kills.numbers(tmp_path / "runs")
    with suppress(ZeroDivisionError), rewritten(out / "report"):
        raise ZeroDivisionError
    assert report_kills.numbers(out) == wanted
    assert main([str(out), *QUICK]) == 0
    assert report_kills.numbers(out) == wanted
    assert report_kills.files(out / "report").keys() == files.keys()


def test_a_first_report_that_waits_for_its_place_is_read(tmp_path):
    out = report_kills.only_copy(tmp_path, "new")
    wanted = report_kills.numbers(out)
    (out / "report").rename(out / "aside")
    (out / "report").mkdir()
    (out / "aside").rename(out / "report" / NEXT)
    assert report_kills.numbers(out) == wanted


@pytest.mark.parametrize("damaged", [DIGESTS, f"{stem('gradient')}.parquet"])
def test_a_damaged_file_that_waits_for_its_place_is_a_sentence(tmp_path, damaged):
    out = report_kills.only_copy(tmp_path, "new")
    shutil.copytree(out / "report", tmp_path / "copy")
    (tmp_path / "copy" / damaged).write_bytes(b"{")
    shutil.rmtree(out / "report")
    shutil.copytree(tmp_path / "copy", out / "report" / NEXT)
    assert "is missing, truncated or not as it was written: write the report again." in report_kills.numbers(out)


def test_a_report_killed_at_some_moments_can_be_read_and_written_again(tmp_path):
    command = [sys.executable, "-m", "tests.support.report_kills", "6", "--seed", "1", "--out", tmp_path / "kills.csv"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "kills.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["overwrites"] for row in rows} == set(report_kills.KINDS)
    assert len(rows) == 6
    assert {(row["readable"], row["status"], row["identical"], row["left"]) for row in rows} == {
        ("True", "0", "True", "")
    }
