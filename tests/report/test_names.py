"""Display names: on the page and in its figures; tables keep labels."""

import pyarrow.parquet as pq
import pytest

from bench import export
from bench.report.collection.collect import collect, find
from bench.report.collection.ranks import ranks
from bench.report.command import main
from bench.report.names import renamed
from tests.support.synthetic_runs import SOME, collection

NAMES = {"rloo k=2": "RLOO", "rloo k=4": "RLOO, four samples", "straight_through": "Straight-through"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("named")
    collection(root, families=("bernoulli",), estimators=SOME)
    return root


def test_the_page_has_display_names_and_the_tables_labels(root, tmp_path, capsys):
    (tmp_path / "names.yaml").write_text("".join(f"{label}: {name}\n" for label, name in NAMES.items()))
    words = ["--names", str(tmp_path / "names.yaml"), "--only", "final_elbo", "--out", str(tmp_path / "out")]
    assert main([str(root), *words]) == 0
    text = (tmp_path / "out" / "report.html").read_text()
    for label, name in NAMES.items():
        assert f">{name}<" in text
        assert f'data-s="{name}"' in text
        assert f">{label}<" not in text
        assert f'data-s="{label}"' not in text
    assert set(NAMES) <= set(pq.read_table(tmp_path / "out" / "comparison.parquet")["label"].to_pylist())


def test_names_change_no_number(root):
    found = collect(find([root]))[0]
    before, after = ranks(found), ranks(renamed(found, NAMES))
    assert len(before) > 0
    assert set(after.baseline) == {"RLOO"}
    assert before.assign(**{c: before[c].map(lambda x: NAMES.get(x, x)) for c in ("label", "baseline")}).equals(after)


@pytest.mark.parametrize("command", [main, export.main])
@pytest.mark.parametrize("name", ["RLOO", "arm"])  # what another has been given, and what another is called
def test_two_of_one_name_are_one_sentence(root, tmp_path, capsys, command, name):
    (tmp_path / "names.yaml").write_text(f"rloo k=2: {name}\nrloo k=4: RLOO\n")
    place = ["--out", str(tmp_path / "out")] + (["--figures", str(tmp_path / "drawn")] if command != main else [])
    assert command([str(root), "--names", str(tmp_path / "names.yaml"), *place]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"would both be called {name}." in said
    assert not (tmp_path / "out").exists()
