"""A variable of the environment is no value of a configuration, since all are recorded; a place may take one."""

import pytest

from bench.tables import store
from tests.support.stand_in import stand_in_command

SECRET = "hunter2"


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", SECRET)
    return stand_in_command(tmp_path / "out", monkeypatch)


@pytest.mark.parametrize("words", [
    ["name=${oc.env:SECRET}"], ["-m", "seed=0,1", "name=${oc.env:SECRET}"],
    ["estimator=reinforce", "estimator.baseline=${oc.env:SECRET}"],
    ["measure.reference=x${oc.env:SECRET}y"], ["train.betas=['${oc.env:SECRET}',0.9]"],
    ["+more.key=${ oc.env : SECRET }"],
])  # fmt: skip
def test_a_secret_is_recorded_nowhere(command, tmp_path, capsys, words):
    assert command(*words) == 2
    assert SECRET not in "".join(capsys.readouterr())
    assert not [path for path in tmp_path.rglob("*") if SECRET in path.name or path.suffix == ".parquet"]


@pytest.mark.parametrize("words", [
    ["data.root=${oc.env:SECRET}/images"], ["-m", "seed=0,1", "data.root='~/${oc.env:SECRET}/images'"],
    ["data.root=${data.name}/${oc.env:SECRET}/images"],
])  # fmt: skip
def test_a_place_may_take_one_and_its_name_is_recorded(command, tmp_path, words):
    assert command(*words, "train.steps=1") == 0
    assert all(config["data"]["root"].endswith(f"{SECRET}/images") for config in command.runs)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    for marker in tmp_path.rglob(store.MARKER):
        [row] = store.read(marker.parent)["runs"].to_pylist()
        assert SECRET not in str(row)
        assert "/images" in row["config"]
