"""Parts that packages bring, and those of a YAML of one's own: found, listed, refused, run."""

import json

import numpy as np
import pytest

from bench import cli
from bench import list as listing
from bench.config import code, parts
from bench.errors import BadInput
from bench.tables import store
from tests.support import brought
from tests.support.packages import place

HERE = "tests.support.brought"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with options of one group, as pip leaves it; the registry looks again."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    parts.registry.cache_clear()

    def package(name, group, **points):
        place(site, name, f"from {HERE} import *\n", group, **points)

    yield package
    parts.registry.cache_clear()


def test_what_is_no_such_class_is_left_out_with_one_line(install, capsys):
    install("two", "data", coins="two:Coins", wrong="two:Target")
    assert [*parts.registry("data")] == ["coins"]
    [line] = capsys.readouterr().err.splitlines()
    assert line == "Data wrong of two is left out: two:Target is not a concrete subclass of bench.Dataset."


@pytest.mark.parametrize(
    ("option", "homes"), [("digits", r"conf/data/digits\.yaml and two"), ("mine", "(one|two) and (one|two)")]
)
def test_two_of_one_name_are_refused_with_both_their_homes(install, option, homes, capsys):
    if option == "mine":
        install("one", "data", mine="one:Coins")
    install("two", "data", **{option: "two:Coins"})
    with pytest.raises(BadInput, match=f"^Two options of data are called {option}: {homes}; rename one.$"):
        parts.registry("data")
    assert cli.main(["estimator=rloo"]) == 2
    assert f"Two options of data are called {option}: " in capsys.readouterr().err


def test_options_are_listed_by_their_kind(install, capsys):
    install("one", "latent", die="one:Die")
    assert listing.main(["--kind", "latent"]) == 0
    shown = capsys.readouterr().out
    [line] = [line for line in shown.splitlines() if line.split()[:1] == ["die"]]
    assert "faces: int = 6, temperature: float = 0.5" in line
    assert line.split()[-1] == "one"
    assert "conf/latent" in shown
    assert listing.main(["--kind", "data", "--markdown"]) == 2


def test_a_yaml_of_ones_own_for_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    held = {
        "data": f"_target_: {HERE}.Coins\nside: 3\n",
        "model": f"_target_: {HERE}.Bits\nwidth: 5\n",
        "latent": f"_target_: {HERE}.Die\nfaces: 4\n",
        "problem": "# @package _global_\ndefaults: [override /latent: null, override /model: null, override "
        f"/data: null]\nproblem: {{_target_: {HERE}.Target, dim: 2}}\nobjective: {{beta: 0}}\n",
    }
    for group, text in held.items():
        (tmp_path / "mine" / group).mkdir(parents=True)
        (tmp_path / "mine" / group / "my_own.yaml").write_text(text)
    words = [
        "--config-dir",
        "mine",
        "device=cpu",
        "threads=1",
        "train.steps=1",
        "train.batch_size=8",
        "measure.draws=4",
    ]
    words += ["measure.batches=1", "measure.at=[1]", "evaluate.at=[1]", "evaluate.samples=2", "timing.repetitions=0"]
    assert cli.main([*words, "data=my_own", "model=my_own", "latent=my_own", "data.side=2"]) == 0
    assert cli.main([*words, "problem=my_own", "problem.dim=3"]) == 0
    rows = [store.read(marker.parent)["runs"].to_pylist()[0] for marker in tmp_path.rglob(store.MARKER)]
    assert {(row["status"], row["family"]) for row in rows} == {("done", "die"), ("done", "bernoulli")}
    configs = [json.loads(row["config"]) for row in rows]
    assert {c["problem"].get("dim") for c in configs} == {None, 3}
    capsys.readouterr()
    (tmp_path / "mine" / "data" / "digits.yaml").write_text(held["data"])
    assert cli.main([*words, "data=my_own"]) == 2
    assert capsys.readouterr().err == "mine/data/digits.yaml has the name of an option of data; give it another name.\n"


def test_tensors_and_arrays_are_the_same_images():
    stored = brought.Coins().stored()
    assert isinstance(stored.train, np.ndarray)
    assert stored.train.shape[1:] == (1, 4, 4)


def test_the_digest_says_which_package_a_part_is_from(install):
    assert code.distribution("from_a_package.Coins") is None
    code.distribution.cache_clear()
    install("from_a_package", "data", from_there="from_a_package:Coins")
    assert code.distribution("from_a_package.Coins") == "from_a_package 1.0"
