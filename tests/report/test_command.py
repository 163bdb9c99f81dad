"""`python -m bench.report`: what it writes, what it leaves out, and how it ends on bad input."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bench.report.collection.collect import find
from bench.report.collection.saved import stem
from bench.report.command import main
from bench.tables.schema import OF_SOME, TABLES
from bench.tables.store import write
from tests.support.packages import ROOT
from tests.support.synthetic_runs import DRAWN, ESTIMATORS, SOME, collection, config, place, runs_row, tables


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two families, five configurations, three seeds; read only."""
    root = tmp_path_factory.mktemp("sweep")
    collection(root, families=("bernoulli", "vq"), estimators=SOME)
    return root


def occupied(directory):
    """A file where a directory is asked for."""
    path = directory / "file"
    path.write_text("")
    return path


def test_the_command_writes_tables_twins_and_figures(sweep, tmp_path, capsys):
    assert main([str(sweep), "--out", str(tmp_path), "--csv"]) == 0
    out = capsys.readouterr().out
    assert "3 runs skipped, impossible pair: arm with vq." in out
    assert "rloo k=4" in out
    for name in [*(name for name in TABLES if name not in OF_SOME), "comparison", "pairs", "ranks"]:
        table = pq.read_table(tmp_path / f"{stem(name)}.parquet")
        options = pa.csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        parsing = pa.csv.ParseOptions(newlines_in_values=True)
        twin = pa.csv.read_csv(tmp_path / f"{stem(name)}.csv", convert_options=options, parse_options=parsing)
        assert twin.to_pylist() == table.to_pylist()
    assert not any((tmp_path / f"{stem(name)}.parquet").exists() for name in OF_SOME)  # these runs have no rows of them
    written = {f.name for f in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{kind}" for name in DRAWN for kind in ("svg", "pdf", "png")}


def test_why_a_run_diverged_is_told(tmp_path, capsys):
    collection(tmp_path, families=("bernoulli",), estimators=tuple(e for e in ESTIMATORS if e[0] == "reinforce"))
    assert main([str(tmp_path), "--only", "final_elbo"]) == 0
    assert "The loss was nan at step 412." in capsys.readouterr().out


def test_a_report_is_not_mistaken_for_a_run(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0))
    assert main([str(tmp_path), "--only", "final_elbo"]) == main([str(tmp_path), "--only", "final_elbo"]) == 0
    assert len(find([tmp_path])) == 1


def test_families_and_only_choose(sweep, tmp_path):
    assert main([str(sweep), "--out", str(tmp_path), "--families", "vq", "--only", "bias"]) == 0
    assert {f.stem for f in (tmp_path / "figures").iterdir()} == {"bias"}
    for name in ("runs", "comparison"):
        assert set(pq.read_table(tmp_path / f"{stem(name)}.parquet")["family"].to_pylist()) == {"vq"}
    runs = set(pq.read_table(tmp_path / "all_runs.parquet")["run"].to_pylist())
    assert set(pq.read_table(tmp_path / "all_gradient.parquet")["run"].to_pylist()) <= runs


def test_a_figure_without_data_is_left_out_with_a_line(tmp_path, capsys):
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    write(tmp_path / "run", {"runs": [row], "objective": tables(row)["objective"]})
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    left_out = {name for name in DRAWN if f"Figure {name} is left out: there is no" in out}
    assert left_out == set(DRAWN) - {"elbo_vs_step", "elbo_vs_seconds", "final_elbo", "time_to_level"}
    assert {f.stem for f in (tmp_path / "report" / "figures").iterdir()} == set(DRAWN) - left_out


def test_a_figure_over_time_says_that_no_time_is_valid(tmp_path, capsys):
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    made = tables(row)
    write(tmp_path / "run", made | {"runs": [row], "cost": [cost | {"valid": False} for cost in made["cost"]]})
    assert main([str(tmp_path), "--only", "elbo_vs_seconds"]) == 0
    assert "elbo_vs_seconds is left out: there is no bound of a run with valid times." in capsys.readouterr().out


@pytest.mark.parametrize("make", [lambda p: p / "absent", lambda p: p, lambda p: occupied(p)])
def test_nothing_to_report_is_a_sentence_and_status_2(tmp_path, capsys, make):
    assert main([str(make(tmp_path))]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("python -m bench.report: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unwritable_place_is_a_sentence_and_status_2(sweep, tmp_path, capsys):
    assert main([str(sweep), "--out", str(occupied(tmp_path))]) == 2
    assert capsys.readouterr().err == f"python -m bench.report: cannot use {tmp_path / 'file'}: File exists.\n"


@pytest.mark.parametrize("wrong", [["--only", "boxplot"], ["--families", "poisson"], ["--colour"]])
def test_a_wrong_option_is_a_sentence_and_status_2(sweep, capsys, wrong):
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main([str(sweep), *wrong]))
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_figures_are_the_same_bytes_in_another_process(sweep, tmp_path):
    command = [
        sys.executable,
        "-m",
        "bench.report",
        str(sweep),
        "--only",
        "variance_vs_seconds",
        "--only",
        "elbo_vs_step",
    ]
    for name in ("a", "b"):
        subprocess.run([*command, "--out", str(tmp_path / name)], cwd=ROOT, check=True, capture_output=True)
    files = sorted((tmp_path / "a" / "figures").iterdir())
    assert len(files) == 6
    for file in [*files, tmp_path / "a" / "report.html"]:
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    svg = (tmp_path / "a" / "figures" / "elbo_vs_step.svg").read_text()
    assert "<text" in svg
    assert "dc:date" not in svg


def test_importing_the_command_loads_neither_torch_nor_hydra():
    program = (
        "import sys, bench.report.__main__; sys.exit(any(m in sys.modules for m in ('torch', 'hydra', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "bench.report loads torch, Hydra or matplotlib"
