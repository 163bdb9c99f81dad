"""`bench.export`: the numbers of the report's first screen as a table for a paper."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from bench.export import main
from bench.report.collection.collect import collect, find
from bench.report.page.answer import rankings
from bench.report.paper import decimals, escaped, latex_cell
from tests.support.synthetic_runs import SOME, collection

METRICS = ("variance_x_evaluations", "bias", "bound")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    collection(root, families=("bernoulli", "vq"), estimators=SOME)
    return root


def exported(folder, capsys, *options: str) -> str:
    assert main([str(folder), "--metrics", ",".join(METRICS), *options]) == 0
    return capsys.readouterr().out


def test_every_value_is_that_of_the_first_screen(folder, capsys):
    table = pd.read_csv(io.StringIO(exported(folder, capsys, "--csv")), keep_default_na=False, na_values=[""])
    seen = 0
    for ranking in rankings(collect(find([folder]))[0]):
        if ranking.criterion.name not in METRICS:
            continue
        panel = ranking.panel[0]
        of = table[(table.panel == panel) & (table.metric == ranking.criterion.name)].set_index("label")
        alone = not ranking.ties and ranking.enough and len(ranking.contenders) > 1
        assert list(of.index[of.best]) == (ranking.noiseless or ([ranking.contenders[0].label] if alone else []))
        for contender in ranking.contenders:
            row = of.loc[contender.label]
            np.testing.assert_allclose([row.value, row.low, row.high, row.n], contender.value, rtol=1e-5)
            seen += 1
        assert set(of.index) >= set(ranking.noiseless)
    assert seen > 10
    assert table.best.any()


def test_the_forms_say_the_same(folder, capsys):
    long = json.loads(exported(folder, capsys, "--json"))
    wide = json.loads(exported(folder, capsys, "--json", "--wide"))
    assert len({(row["panel"], row["label"]) for row in long}) == len(wide)
    for row in long:
        [line] = [w for w in wide if (w["panel"], w["label"]) == (row["panel"], row["label"])]
        assert line[row["metric"]] == row["value"]
        assert line[f"{row['metric']}_best"] == row["best"]
    tex = exported(folder, capsys)
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
    assert tex.count(r"\mathbf") == sum(row["best"] for row in long)
    for line in (words for words in tex.splitlines() if "&" in words):
        assert line.count("&") == len(METRICS)
        assert line.endswith(r"\\")


def test_names_of_ones_own(folder, capsys, tmp_path):
    names = tmp_path / "names.yaml"
    names.write_text("straight_through: Straight-through (50 % biased)\nbound: Final bound\n")
    out = tmp_path / "table.tex"
    assert main([str(folder), "--names", str(names), "--out", str(out)]) == 0
    assert r"Straight-through (50 \% biased)" in out.read_text()
    assert "Final bound (nats)" in out.read_text()
    assert "straight\\_through" not in out.read_text()
    assert not capsys.readouterr().out


def test_figures_have_the_width_of_a_column(folder, capsys, tmp_path):
    from matplotlib import pyplot

    exported(folder, capsys, "--figures", str(tmp_path), "--width", "8.4cm")
    drawn = sorted(path.stem for path in tmp_path.glob("*.png"))
    assert "variance_vs_step" in drawn
    assert "bias" in drawn
    for name in drawn:
        image = pyplot.imread(tmp_path / f"{name}.png")
        assert image.shape[1] == pytest.approx(200 * 8.4 / 2.54, abs=2), name
        assert (image[:, [0, -1], :3] == 1).all(), name  # no word is cut


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metrics", "variance"], "no metric 'variance'; there are variance_x_evaluations, "),
        (["--width", "wide"], "inches from 1 to 40"),
        (["--width", "3pt"], "inches from 1 to 40"),
        (["--latex", "--csv"], "not allowed with"),
    ],
)
def test_bad_options_are_one_sentence(folder, capsys, arguments, words):
    with pytest.raises(SystemExit) as end:
        main([str(folder), *arguments])
    assert end.value.code == 2
    assert words in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["- a\n", "a: 1\n", "a: [\n", "\ud800"])
def test_names_that_are_none_are_one_sentence(folder, capsys, tmp_path, text):
    names = tmp_path / "names.yaml"
    names.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert main([str(folder), "--names", str(names)]) == 2
    said = capsys.readouterr().err
    assert str(names) in said
    assert said.count("\n") == 1


def test_nothing_to_export_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "No complete run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "low", "high", "digits"),
    [
        (-99.4321, -99.9, -98.9, 2),
        (714, 536, 949, 0),
        (0.0352, 0.0317, 0.0387, 4),
        (5.0, np.nan, np.nan, 1),
        (0, 0, 0, 0),
    ],
)
def test_digits_go_by_the_interval(value, low, high, digits):
    assert decimals(value, low, high) == digits


def test_a_value_with_an_uneven_interval_shows_its_ends():
    row = {"metric": "mse", "value": 1.0, "low": 0.5, "high": 4.0, "best": False}
    assert latex_cell(row) == r"$1.0\;[0.5, 4.0]$"
    assert latex_cell(row | {"low": 0.5, "high": 1.5, "best": True}) == r"$\mathbf{1.00 \pm 0.50}$"
    assert latex_cell(row | {"value": np.nan}) == "--"


def test_data_are_never_commands():
    assert escaped("\\input{a}_$x$ 5% #1 & ~^\x1b") == (
        r"\textbackslash{}input\{a\}\_\$x\$ 5\% \#1 \& \textasciitilde{}\textasciicircum{}\textbackslash{}x1b"
    )
