"""`bench.load`: the same frames from run directories and from a report, and the recipes of the notebook page."""

import re
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bench
from bench.report.collection.saved import stem
from bench.report.command import main
from bench.tables.schema import OF_SOME, SCHEMA, TABLES
from bench.tables.store import SchemaError
from tests.support.packages import ROOT
from tests.support.synthetic_runs import SOME, collection, config, place


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """One family, five configurations, two seeds, with a report beside them; read only."""
    root = tmp_path_factory.mktemp("frames")
    collection(root / "outputs" / "quickstart", families=("bernoulli",), estimators=SOME, seeds=(0, 1))
    place(root / "outputs" / "quickstart", config("rloo", "bernoulli", 0, estimator__k=1))
    assert main([str(root / "outputs" / "quickstart"), "--only", "final_elbo"]) == 0
    return root


def test_run_directories_and_their_report_give_the_same_frames(sweep):
    at = sweep / "outputs" / "quickstart"
    frames, again = bench.load(at), bench.load(str(at / "report"))
    assert frames._fields == tuple(TABLES)
    assert len(frames.runs) == 11
    for name, one, other in zip(TABLES, frames, again, strict=True):
        keys = [k for k in ("run", "step", "split", "part", "what") if k in one]
        pd.testing.assert_frame_equal(
            one.sort_values(keys, ignore_index=True), other.sort_values(keys, ignore_index=True), obj=name
        )
    assert set(frames.gradient.label) == {"arm", "exact", "rloo k=1", "rloo k=2", "rloo k=4", "straight_through"}
    assert set(frames.objective.columns) == set(TABLES["objective"]) | {"family", "setting", "label", "status"}


def test_tables_of_an_older_schema_are_read_and_of_a_later_one_refused(sweep, tmp_path):
    report = sweep / "outputs/quickstart/report"
    names = [*(name for name in TABLES if name not in OF_SOME), "comparison"]
    made = {name: pq.read_table(report / f"{stem(name)}.parquet") for name in names}

    def written(version: int, without: str):
        runs = made["runs"]
        versions = pa.array([version] * len(runs), pa.int64())
        runs = runs.set_column(runs.column_names.index("schema"), "schema", versions)
        tables = made | {"runs": runs}
        for name, table in tables.items():
            pq.write_table(
                table.drop_columns([c for c in [without] if c in table.column_names]), tmp_path / f"{name}.parquet"
            )
        return tmp_path

    old = bench.load(written(1, "kurtosis"))
    assert old.gradient["kurtosis"].isna().all()
    assert old.gradient.variance_noise.notna().all()
    for version, without, words in ((SCHEMA + 1, "", "of schema"), (1, "part", "has no column part")):
        with pytest.raises(SchemaError, match=words):
            bench.load(written(version, without))


def test_nothing_to_load_is_one_sentence(tmp_path):
    with pytest.raises(SchemaError, match="No complete run lies under"):
        bench.load(tmp_path)
    with pytest.raises(SchemaError, match="There is no directory"):
        bench.load(tmp_path / "absent")


def test_a_run_that_cannot_be_read_is_a_warning(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0))
    bad = tmp_path / place(tmp_path, config("rloo", "bernoulli", 1))
    (bad / "gradient.parquet").write_bytes(b"")
    with pytest.warns(UserWarning, match="gradient.parquet is missing, truncated"):
        assert len(bench.load(tmp_path).runs) == 1


def test_loading_loads_no_torch(sweep):
    program = f"import sys, bench; bench.load({str(sweep / 'outputs')!r}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "bench.load loads torch"


def valid_latex(table):
    """Environments and braces close, every row has as many cells as the table has columns, and what is a command to
    LaTeX is escaped."""
    text = re.sub(r"\\[_&%#$^~{}]", "", table)
    assert not re.search(r"[_%#$^~]", text)
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin{(\w+)}", text) == re.findall(r"\\end{(\w+)}", text) == ["tabular"]
    columns = len(re.match(r"\\begin{tabular}{(\w+)}", text)[1])
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len(rows) > 2
    for row in rows:
        spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", row))
        assert row.count("&") + 1 + spanned == columns
    known = "begin end toprule midrule bottomrule cline multicolumn textasciitilde textasciicircum"  # with booktabs
    assert {*re.findall(r"\\([a-z]+)", text)} <= {*known.split()}


@pytest.mark.parametrize("odd", ["straight_through", "50 %", "a & b", "$x^2$", "{b}", "#1", "~"])
def test_names_of_all_kinds_in_the_latex_recipe(sweep, tmp_path, monkeypatch, capsys, odd):
    for seed in (0, 1):
        place(tmp_path / "outputs" / "quickstart", config("rloo", "bernoulli", seed), estimator=odd)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(blocks[0], names)
    exec(blocks[3], names)
    out = capsys.readouterr().out
    valid_latex(out[out.index("\\begin{tabular}") :])


def test_the_recipes_of_the_notebook_page_run(sweep, tmp_path, monkeypatch, capsys):
    """As they stand, one after the other, on a sweep with the labels they name."""
    import matplotlib

    matplotlib.use("agg")
    for name, hyper in (("rloo", {}), ("straight_through", {})):
        for seed in (0, 1):
            place(tmp_path / "outputs" / "quickstart", config(name, "bernoulli", seed, **hyper), estimator=name)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    names: dict = {}
    for block in blocks:
        exec(block, names)
    out = capsys.readouterr().out
    assert re.search(r"bernoulli .* 2\n", out)
    valid_latex(out[out.index("\\begin{tabular}") :])
    assert (tmp_path / "noise.pdf").stat().st_size > 1000
