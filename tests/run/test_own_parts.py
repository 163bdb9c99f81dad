"""Runs with data, a model and latents of one's own are continued to the bit, and their checkpoints are measured at."""

import json

import pytest

from bench.config.prepare import prepare
from bench.probe.command import main
from bench.run.single import run
from bench.tables import store
from tests.support.composed import resolved
from tests.support.runs import SMALL, numbers
from tests.support.stopped import STOPS, killed, stopping

HERE = "tests.support.brought"
PARTS = {"data": ("Coins", "side", 4), "model": ("Bits", "width", 4), "latent": ("Die", "faces", 6)}


def test_an_interrupted_run_has_the_same_tables(tmp_path, monkeypatch, capsys):
    groups = {group: {"_target_": f"{HERE}.{cls}", key: value} for group, (cls, key, value) in PARTS.items()}
    stops = [word for word in STOPS if not word.startswith("model.")]
    settings = prepare(resolved(*SMALL, *stops, "train.batch_size=20", "device=cpu") | groups | {"option": "rloo"})
    assert run(settings, tmp_path / "a").status == "done"
    stopping(monkeypatch, 5, killed)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "b")
    assert run(settings, tmp_path / "b").status == "done"
    assert capsys.readouterr().err.endswith(" 5.\n")
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_every_estimator_is_measured_at_one_checkpoint_of_such_a_model(tmp_path, capsys):
    for group, (cls, key, value) in PARTS.items():
        (tmp_path / "own" / group).mkdir(parents=True)
        (tmp_path / "own" / group / "mine.yaml").write_text(f"_target_: {HERE}.{cls}\n{key}: {value}\n")
    words = ["--config-dir", f"{tmp_path / 'own'}", *(f"{group}=mine" for group in PARTS), *SMALL, "device=cpu"]
    words += [f"output={tmp_path}", "name=p", "measure.reference=exact", "probe.tuning_steps=1", "probe.batch_sizes=[]"]
    assert main([*words, "probe.estimators=[rloo,exact,disarm]"]) == 0
    found = [store.read(marker.parent)["runs"].to_pylist()[0] for marker in tmp_path.rglob(store.MARKER)]
    probed = {row["estimator"]: row for row in found if "probe" in json.loads(row["config"])}
    assert {name: row["status"] for name, row in probed.items()} == {
        "rloo": "done",
        "exact": "done",
        "disarm": "skipped",
    }
    capsys.readouterr()
    assert main([*words, "model.width=5", f"probe.checkpoint={tmp_path}"]) == 2
    assert "holds a model of model.width=4, and this configuration has model.width=5" in capsys.readouterr().err
