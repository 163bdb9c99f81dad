"""The report: what is collected, what it is called, how it is averaged, and figures of the same bytes each time."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from scipy import stats

from bench.report import labels, style
from bench.report.__main__ import main
from bench.report.collect import collect, find, widened
from bench.report.compare import COMPARISON, comparison, to_arrow
from bench.report.figures import FIGURES, draw
from bench.report.statistics import log_t_interval, t_interval
from bench.schema import SCHEMA, TABLES
from bench.tables import MARKER, SchemaError, write
from tests.synthetic_runs import ESTIMATORS, collection, config, runs_row, tables

ROOT = Path(__file__).resolve().parents[1]
VARIED = ("bias_vs_temperature", "variance_vs_parameter")  # nothing here varies a temperature, or a toy's parameter
DRAWN = [name for name in FIGURES if name not in VARIED]
SOME = tuple(e for e in ESTIMATORS if e[0] in ("arm", "exact", "rloo", "straight_through"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two families, five configurations, three seeds; read only."""
    root = tmp_path_factory.mktemp("sweep")
    collection(root, families=("bernoulli", "vq"), estimators=SOME)
    return root


@pytest.fixture(scope="module")
def collected(sweep):
    return collect(find([sweep]))[0]


def place(root, resolved, *, directory=None, changes=None, estimator="rloo", **properties):
    """Write one run and return its hash."""
    row = runs_row(resolved, estimator, **(changes or {}))
    write(root / (directory or row["run"]), tables(row, **properties))
    return row["run"]


# statistics


def test_t_interval_is_scipys():
    x = np.random.default_rng(0).normal(3, 2, 5)
    mean, low, high, n = t_interval(x)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    np.testing.assert_allclose([mean, low, high], [x.mean(), *expected], rtol=1e-12)
    assert n == 5


def test_t_interval_has_known_values():
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5, 3), rel=1e-6
    )
    assert t_interval([1.0, float("nan"), 3.0]) == pytest.approx((2.0, 2 - 12.706205, 2 + 12.706205, 2), rel=1e-6)
    assert t_interval([5.0]) == pytest.approx((5.0, np.nan, np.nan, 1), nan_ok=True)
    assert t_interval([]) == pytest.approx((np.nan, np.nan, np.nan, 0), nan_ok=True)


def test_log_t_interval_is_the_t_interval_of_the_logs():
    x = [0.1, 1.0, 10.0]
    half = 4.302653 * np.log(10) / 3**0.5
    assert log_t_interval(x) == pytest.approx((1.0, np.exp(-half), np.exp(half), 3), rel=1e-5)
    assert log_t_interval([0.0, 2.0]) == pytest.approx((1.0, np.nan, np.nan, 2), nan_ok=True)


# labels


def test_a_label_says_what_differs_and_no_more():
    a, b = (
        {"estimator.k": 2, "estimator.beta": 1, "train.lr": 0.1},
        {"estimator.k": 4, "estimator.beta": 1, "train.lr": 0.1},
    )
    assert labels.label_keys([[a, b]]) == ["estimator.k"]
    assert labels.describe(a, ["estimator.k"]) == "k=2"
    assert labels.label_keys([[a], [a]]) == []


def test_a_key_that_follows_another_is_left_out():
    runs = [{"train.lr": lr, "train.tuning_lr": lr, "estimator.k": 2} for lr in (0.1, 0.01)]
    assert labels.label_keys([runs]) == ["train.lr"]


def test_two_keys_that_differ_independently_are_both_told():
    runs = [{"estimator.k": k, "train.lr": lr} for k in (2, 4) for lr in (0.1, 0.01)]
    assert labels.describe(runs[0], labels.label_keys([runs])) == "k=2 lr=0.1"


def test_a_training_key_that_goes_with_the_panel_is_not_told_but_a_hyperparameter_is():
    panels = [[{"train.lr": 0.1, "estimator.k": 2}], [{"train.lr": 0.01, "estimator.k": 4}]]
    assert labels.label_keys(panels) == ["estimator.k"]


@pytest.mark.parametrize(
    "key", ["seed", "seeds.model", "name", "output", "estimator._target_", "data.root", "timing.warmup"]
)
def test_keys_that_do_not_change_results_are_never_told(key):
    runs = [{key: 1, "train.lr": 0.1}, {key: 2, "train.lr": 0.1}]
    assert labels.label_keys([runs]) == []
    assert labels.problem_keys(runs) == []


def test_the_problem_is_told_by_its_name():
    runs = [
        {"data.binarisation": b, "data.name": n, "latent.dim": 2}
        for b, n in (("static", "digits"), ("dynamic", "mnist"))
    ]
    assert labels.describe(runs[1], labels.problem_keys(runs)) == "mnist"


def test_values_read_well_and_an_absent_key_is_silent():
    values = {"a.x": None, "b.y": True, "c.z": 1e-4, "d.w": "[0.9, 0.99]"}
    assert labels.describe(values, [*values, "e.v"]) == "x=none y=true z=0.0001 w=[0.9, 0.99]"
    assert labels.describe({"estimator.a.lr": 1, "train.lr": 2}, ["estimator.a.lr", "train.lr"]) == "a.lr=1 train.lr=2"


def test_labels_of_a_sweep(collected):
    expected = {"arm", "exact", "rloo k=2", "rloo k=4", "straight_through"}
    assert set(collected.units.label) == expected
    assert set(collected.units.setting) == {""}


def test_objectives_settings_and_checkpoints_are_never_mixed(tmp_path):
    for seed in (0, 1):
        place(tmp_path, config("rloo", "bernoulli", seed))
        place(tmp_path, config("rloo", "bernoulli", seed, data__name="mnist"))
        place(tmp_path, config("rloo", "bernoulli", seed, train__iwae=True), changes={"objective": "iwae"})
    rows = comparison(collect(find([tmp_path]))[0])
    assert list(zip(rows.objective, rows.setting, rows.seeds, strict=True)) == [
        ("elbo", "digits", 2), ("elbo", "mnist", 2), ("iwae", "digits", 2),
    ]  # fmt: skip


def test_a_probe_measures_several_estimators_in_one_run(tmp_path):
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    made = tables(row)
    measured = [g | {"trained_with": "rloo"} for g in made["gradient"]]
    noisier = [g | {"estimator": "arm", "variance_noise": 2 * g["variance_noise"]} for g in measured]
    write(tmp_path / "probe", made | {"gradient": measured + noisier})
    rows = comparison(collect(find([tmp_path]))[0]).set_index("label")
    assert set(rows.trained_with) == {"rloo"}
    assert rows.variance_noise_encoder["arm"] == pytest.approx(2 * rows.variance_noise_encoder["rloo"])
    assert np.isnan(rows.elbo_test["arm"])  # the run trained rloo


# collecting


def test_copies_of_a_run_count_once(tmp_path):
    resolved = config("rloo", "bernoulli", 0)
    place(tmp_path, resolved, directory="a", changes={"status": "failed", "started": "2026-11-21T00:00:00Z"})
    place(tmp_path, resolved, directory="b")
    place(tmp_path, resolved, directory="c", changes={"started": "2026-11-19T00:00:00Z"})
    found, problems = collect(find([tmp_path, tmp_path / "a"]))
    assert found.tables["runs"].select(["status", "started"]).to_pylist() == [
        {"status": "done", "started": "2026-11-20T10:00:00Z"}
    ]
    assert found.tables["objective"].num_rows == len(tables(runs_row(resolved, "rloo"))["objective"])
    assert sum("another copy" in line for line in problems) == 2


def test_the_same_seed_under_one_label_counts_once(tmp_path):
    resolved = config("rloo", "bernoulli", 0)
    place(tmp_path, resolved)
    newer = place(tmp_path, resolved, directory="new", changes={"run": "ffff", "started": "2026-11-21T00:00:00Z"})
    found, problems = collect(find([tmp_path]))
    assert (found.units.run.tolist(), len(problems)) == (["ffff"], 1)
    assert comparison(found).seeds.tolist() == [1]
    assert newer != "ffff" or found.tables["runs"].num_rows == 2  # the tables keep both


def test_a_bad_directory_is_reported_and_passed_over(tmp_path, capsys):
    for seed in range(4):
        place(tmp_path, config("rloo", "bernoulli", seed), directory=str(seed))
    (tmp_path / "1" / "gradient.parquet").write_bytes(b"PAR1 half a file")
    marker = tmp_path / "2" / MARKER
    marker.write_text(marker.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    (tmp_path / "3" / MARKER).unlink()
    assert main([str(tmp_path), "--only", "final_elbo"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "gradient.parquet is missing, truncated or not Parquet" in lines[0]
    assert "schema 99" in lines[1]
    assert pq.read_table(tmp_path / "report" / "runs.parquet").num_rows == 1


def test_config_columns_are_numeric_where_all_values_are(tmp_path):
    values = [(1, 1, "a", None, True), (2, 0.5, 3, 4, False)]
    for seed, (whole, real, text, hole, flag) in enumerate(values):
        place(
            tmp_path,
            config(
                "rloo", "bernoulli", seed, x={"whole": whole, "real": real, "text": text, "hole": hole, "flag": flag}
            ),
        )
    table = widened(collect(find([tmp_path]))[0].tables["runs"]).sort_by("seed")
    types = {name: table.schema.field(f"config.x.{name}").type for name in ("whole", "real", "text", "hole", "flag")}
    assert types == {
        "whole": pa.int64(),
        "real": pa.float64(),
        "text": pa.string(),
        "hole": pa.int64(),
        "flag": pa.bool_(),
    }
    assert table["config.x.text"].to_pylist() == ["a", "3"]
    assert table["config.train.betas"].to_pylist() == ["[0.9, 0.999]"] * 2


# comparing


def test_the_comparison_agrees_with_the_rows(collected):
    rows = comparison(collected).set_index(["family", "label"])
    row = rows.loc["bernoulli", "rloo k=2"]
    runs = collected.units[(collected.units.family == "bernoulli") & (collected.units.label == "rloo k=2")].run
    objective = collected.tables["objective"].to_pandas()
    final = objective[objective.run.isin(runs) & (objective.step == 1000) & (objective.split == "test")].elbo
    assert (row.elbo_test, row.elbo_test_low, row.elbo_test_high) == pytest.approx(t_interval(final)[:3])
    gradient = collected.tables["gradient"].to_pandas()
    noise = gradient[gradient.run.isin(runs) & (gradient.step == 1000) & (gradient.part == "latent")].variance_noise
    assert row.variance_noise_latent == pytest.approx(np.exp(np.log(noise).mean()))
    cost = collected.tables["cost"].to_pandas()
    seconds = cost[cost.run.isin(runs) & (cost.what == "gradient")].seconds.median()
    assert row.seconds_gradient == pytest.approx(seconds)
    assert row.variance_x_evaluations == pytest.approx(row.variance_noise_encoder * 2)
    assert row.variance_x_seconds == pytest.approx(row.variance_noise_encoder * seconds)


def test_what_did_not_end_well_is_counted_and_not_averaged(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0))
    alone = comparison(collect(find([tmp_path]))[0])
    for seed, status in enumerate(("diverged", "failed", "skipped"), start=1):
        place(tmp_path, config("rloo", "bernoulli", seed), changes={"status": status}, variance=99.0)
    row = comparison(collect(find([tmp_path]))[0]).iloc[0]
    assert (row.done, row.diverged, row.failed, row.skipped, row.seeds) == (1, 1, 1, 1, 1)
    assert row.elbo_test == alone.elbo_test[0]
    assert row.variance_noise_encoder == alone.variance_noise_encoder[0]


def test_an_invalid_timing_is_no_timing(tmp_path):
    made = tables(runs_row(config("rloo", "bernoulli", 0), "rloo"), evaluations=4)
    made["cost"] = [row | {"valid": False} for row in made["cost"]]
    write(tmp_path / "run", made)
    row = comparison(collect(find([tmp_path]))[0]).iloc[0]
    assert np.isnan(row.seconds_gradient)
    assert np.isnan(row.variance_x_seconds)
    assert row.evaluations == 4


def test_the_comparison_has_its_schema(collected):
    table = to_arrow(comparison(collected))
    assert table.column_names == list(COMPARISON)
    assert [field.type for field in table.schema] == [column.type for column in COMPARISON.values()]
    assert table["elbo_test"].null_count == 1  # arm on vq, which was skipped; NaN has become null


# the command


def test_the_command_writes_tables_twins_and_figures(sweep, tmp_path, capsys):
    assert main([str(sweep), "--out", str(tmp_path), "--csv"]) == 0
    out = capsys.readouterr().out
    assert "arm does not differentiate vq latents" in out
    assert "rloo k=4" in out
    for name in [*TABLES, "comparison"]:
        table = pq.read_table(tmp_path / f"{name}.parquet")
        options = pa.csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        parsing = pa.csv.ParseOptions(newlines_in_values=True)
        twin = pa.csv.read_csv(tmp_path / f"{name}.csv", convert_options=options, parse_options=parsing)
        assert twin.to_pylist() == table.to_pylist()
    written = {f.name for f in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{kind}" for name in DRAWN for kind in ("svg", "png")}


def test_a_report_is_not_mistaken_for_a_run(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0))
    assert main([str(tmp_path), "--only", "final_elbo"]) == main([str(tmp_path), "--only", "final_elbo"]) == 0
    assert len(find([tmp_path])) == 1


def test_families_and_only_choose(sweep, tmp_path):
    assert main([str(sweep), "--out", str(tmp_path), "--families", "vq", "--only", "bias"]) == 0
    assert {f.stem for f in (tmp_path / "figures").iterdir()} == {"bias"}
    for name in ("runs", "comparison"):
        assert set(pq.read_table(tmp_path / f"{name}.parquet")["family"].to_pylist()) == {"vq"}
    runs = set(pq.read_table(tmp_path / "runs.parquet")["run"].to_pylist())
    assert set(pq.read_table(tmp_path / "gradient.parquet")["run"].to_pylist()) <= runs


def test_a_figure_without_data_is_left_out_with_a_line(tmp_path, capsys):
    row = runs_row(config("rloo", "bernoulli", 0), "rloo")
    write(tmp_path / "run", {"runs": [row], "objective": tables(row)["objective"]})
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    left_out = {name for name in DRAWN if f"Figure {name} is left out: there is no" in out}
    assert left_out == {"variance_vs_step", "variance_vs_evaluations", "variance_vs_seconds", "bias"}
    assert {f.stem for f in (tmp_path / "report" / "figures").iterdir()} == set(DRAWN) - left_out


@pytest.mark.parametrize("make", [lambda p: p / "absent", lambda p: p, lambda p: _file(p)])
def test_nothing_to_report_is_a_sentence_and_status_2(tmp_path, capsys, make):
    assert main([str(make(tmp_path))]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("python -m bench.report: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unwritable_place_is_a_sentence_and_status_2(sweep, tmp_path, capsys):
    assert main([str(sweep), "--out", str(_file(tmp_path))]) == 2
    assert capsys.readouterr().err == f"python -m bench.report: cannot use {tmp_path / 'file'}: File exists.\n"


@pytest.mark.parametrize("wrong", [["--only", "boxplot"], ["--families", "poisson"], ["--colour"]])
def test_a_wrong_option_is_a_sentence_and_status_2(sweep, capsys, wrong):
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main([str(sweep), *wrong]))
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_all_bad_is_an_error(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0), directory="run")
    (tmp_path / "run" / "runs.parquet").unlink()
    with pytest.raises(SchemaError, match="None of the run directories"):
        collect(find([tmp_path]))


# figures


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
    assert len(files) == 4
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / "figures" / file.name).read_bytes()
    svg = (tmp_path / "a" / "figures" / "elbo_vs_step.svg").read_text()
    assert "<text" in svg
    assert "dc:date" not in svg


def test_no_two_estimators_look_alike_and_none_changes_its_look():
    names = [f"estimator {i:02d}" for i in range(88)]
    looks = style.looks(names)
    assert len({(look.colour, look.marker) for look in looks.values()}) == 88
    assert style.looks(reversed(names)) == looks


def test_names_in_a_crowd_do_not_overlap(tmp_path):
    crowd = tuple((f"estimator_{i}", {}, 1 + 0.02 * i, 0.0, 1 + i % 2, 1.0 + 0.01 * i) for i in range(14))
    collection(tmp_path, families=("bernoulli",), estimators=crowd, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    figure = draw("variance_vs_evaluations", found, style.looks(found.units.label), "encoder")
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.axes[0].texts]
    assert len(boxes) == 15  # the names and the note
    overlaps = [
        1
        for a, b in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    assert not overlaps


@pytest.mark.parametrize("name", DRAWN)
def test_all_figures_survive_one_seed_and_another_part(tmp_path, name):
    collection(tmp_path, families=("bernoulli",), estimators=SOME, seeds=(0,))
    found = collect(find([tmp_path]))[0]
    assert not isinstance(draw(name, found, style.looks(found.units.label), "latent"), str)
    assert isinstance(draw("bias", found, style.looks(found.units.label), "layer 7"), str)


def test_importing_the_command_loads_neither_torch_nor_hydra():
    program = (
        "import sys, bench.report.__main__; sys.exit(any(m in sys.modules for m in ('torch', 'hydra', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "bench.report loads torch, Hydra or matplotlib"


def _file(directory):
    path = directory / "file"
    path.write_text("")
    return path
