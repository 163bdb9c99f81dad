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


def test_a_place_may_take_one(command, tmp_path):
    assert command("data.root=${oc.env:SECRET}/images", "train.steps=1") == 0
    [marker] = tmp_path.rglob(store.MARKER)
    assert f"{SECRET}/images" in store.read(marker.parent)["runs"]["config"][0].as_py()
