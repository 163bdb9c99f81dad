"""Estimators measured at one checkpoint are timed in turn, for several batch sizes, and their other tables stay."""

import pytest

from bench.measure import cost
from bench.probe import timing
from bench.probe.command import main
from bench.tables import store
from tests.support.runs import SMALL, TIMES

WORDS = (
    *SMALL, "latent=bernoulli_small", "device=cpu", "measure.reference=none", "probe.tuning_steps=1", "train.steps=0",
    "measure.at=[]", "evaluate.at=[]", "probe.estimators=[rloo,rebar,reparam]", "name=p",
)  # fmt: skip


def tables(folder) -> dict[str, dict]:
    """Estimator -> the tables of its measurement."""
    found = [store.read(marker.parent) for marker in folder.rglob(store.MARKER)]
    runs = [{name: table.to_pylist() for name, table in each.items()} for each in found]
    return {run["runs"][0]["estimator"]: run for run in runs if '"probe"' in run["runs"][0]["config"]}


def test_all_estimators_are_timed_in_turn_and_at_every_batch_size(tmp_path, monkeypatch, capsys):
    asked = []
    in_turn = cost.in_turn

    def watched(works, device, rounds):
        asked.append(sorted({what for _, what in works}))
        return in_turn(works, device, rounds)

    monkeypatch.setattr(timing, "in_turn", watched)
    assert main((*WORDS, f"output={tmp_path}", "probe.batch_sizes=[7,41]")) == 0
    assert asked == [["gradient", "step"], ["scaling"], ["scaling"]]
    found = tables(tmp_path)
    assert found["reparam"]["runs"][0]["status"] == "skipped"
    for name in ("rloo", "rebar"):
        rows = found[name]["cost"]
        assert [(row["what"], row["batch_size"]) for row in rows] == [
            ("gradient", 20), ("step", 20), ("scaling", 7), ("scaling", 41),
        ]  # fmt: skip
        assert [row["interleaved"] for row in rows] == [4, 4, 2, 2]
        assert all(row["seconds"] > 0 and row["seconds_se"] >= 0 and row["valid"] is not None for row in rows)
        assert {row["estimator"] for row in rows} == {name}
        assert (rows[2]["evaluations_forward"], rows[2]["engine"]) == (rows[0]["evaluations_forward"], "eager")
    assert not list(tmp_path.rglob("running.json"))
    capsys.readouterr()
    assert main((*WORDS, f"output={tmp_path}", "probe.batch_sizes=[7,41]")) == 0
    assert len(asked) == 3  # nothing was measured, so nothing is timed
    assert tables(tmp_path) == found
    capsys.readouterr()


@pytest.mark.parametrize("stage", [0, 2])
def test_times_that_an_interruption_left_out_are_taken_by_the_next_call(tmp_path, monkeypatch, capsys, stage):
    """At its limit a part of `bench.gpu` ends so, and all measurements but their times are done."""
    asked: list[list[str]] = []
    in_turn = cost.in_turn

    def interrupted(works, device, rounds):
        if len(asked) == stage:
            raise KeyboardInterrupt
        return watched(works, device, rounds)

    def watched(works, device, rounds):
        asked.append(sorted({what for _, what in works}))
        return in_turn(works, device, rounds)

    words = (*WORDS, f"output={tmp_path}", "probe.batch_sizes=[7,41]")
    monkeypatch.setattr(timing, "in_turn", interrupted)
    assert main(words) == 130
    before = tables(tmp_path)
    assert [row["what"] for row in before["rloo"]["cost"]] == ["gradient", "step", "scaling"][: 2 + stage // 2]
    monkeypatch.setattr(timing, "in_turn", watched)
    assert main(words) == 0
    assert asked == [["gradient", "step"], ["scaling"], ["scaling"]]
    found = tables(tmp_path)
    for name in ("rloo", "rebar"):
        assert [row["batch_size"] for row in found[name]["cost"]] == [20, 20, 7, 41]
        assert [row["interleaved"] for row in found[name]["cost"]] == [4, 4, 2, 2]
        assert found[name]["cost"][: 3 if stage else 0] == before[name]["cost"][: 3 if stage else 0]
        for table in ("gradient", "runs"):
            assert found[name][table] == before[name][table]
    assert main(words) == 0
    assert len(asked) == 3
    capsys.readouterr()


def test_timing_together_changes_no_other_number(tmp_path, monkeypatch, capsys):
    assert main((*WORDS, f"output={tmp_path / 'a'}", "probe.batch_sizes=[7]")) == 0
    monkeypatch.setattr(timing, "time_together", lambda *_: None)
    monkeypatch.setattr("bench.probe.shared.time_together", lambda *_: None)
    assert main((*WORDS, f"output={tmp_path / 'b'}", "probe.batch_sizes=[7]")) == 0
    one, other = tables(tmp_path / "a"), tables(tmp_path / "b")
    for name in ("rloo", "rebar"):
        assert one[name]["gradient"] == other[name]["gradient"]
        assert [row["run"] for row in one[name]["runs"]] == [row["run"] for row in other[name]["runs"]]
        same = [{k: v for k, v in row.items() if k not in {*TIMES, "interleaved"}} for row in one[name]["cost"][:2]]
        for row, before in zip(same, other[name]["cost"], strict=True):
            assert row["evaluations_forward"] == before["evaluations_forward"]
    capsys.readouterr()


@pytest.mark.parametrize(("limit", "value"), [("LONGEST", 1e-9), ("LARGEST", 1)])
def test_what_would_take_too_long_or_too_much_is_told_and_left_out(tmp_path, monkeypatch, capsys, limit, value):
    monkeypatch.setattr(timing, limit, value)
    assert main((*WORDS, f"output={tmp_path}", "probe.batch_sizes=[30]")) == 0
    assert "Too long or too large to be timed with 30 examples: rloo, rebar." in capsys.readouterr().err
    assert [row["what"] for row in tables(tmp_path)["rebar"]["cost"]] == ["gradient", "step"]


def test_an_estimator_that_breaks_keeps_its_own_times(tmp_path, monkeypatch, capsys):
    subject = timing.Subject

    def broken(trainer, *rest):
        if trainer.estimator.name == "rebar":
            raise RuntimeError("the disk of the moon is full")
        return subject(trainer, *rest)

    monkeypatch.setattr(timing, "Subject", broken)
    assert main((*WORDS, f"output={tmp_path}", "probe.batch_sizes=[]")) == 0
    assert "rebar is not timed with the others: RuntimeError: the disk of the moon" in capsys.readouterr().err
    found = tables(tmp_path)
    assert [row["interleaved"] for row in found["rebar"]["cost"]] == [2, 2]
    assert [row["interleaved"] for row in found["rloo"]["cost"]] == [2, 2]
