"""A run of replicas leaves for every seed what a run of that seed alone leaves."""

import re

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from bench import cli
from bench.config.identity import replica
from bench.errors import BadInput
from bench.report.collection.collect import collect
from bench.run.ending import Ending
from bench.run.seeds import runs
from bench.run.single import run
from bench.tables import store
from bench.train.replicas import Replicas
from tests.support.small import run_config
from tests.support.trainers import STATEFUL


def config(case: str = "rloo", **changes) -> dict:
    family, estimator, more = STATEFUL[case]
    changes = {"measure": {"reference": "none", "at": [0, 1], "batches": 1}, "timing": {"repetitions": 0}} | changes
    return run_config(family, estimator, **more | changes) | {"replicas": 3, "option": case}


def written(output, chosen: dict, many: bool = True) -> list[Ending]:
    return list(runs(chosen | {"output": str(output), "sweep": {"retry": "failed", "time_limit": None}}, many))


@pytest.mark.parametrize("case", ["network", "ema"])
def test_every_seed_has_the_rows_of_its_own_run(tmp_path, case):
    measure = {"reference": "none", "at": [1], "batches": 1, "papers": True}
    chosen = config(case, measure=measure, timing={"repetitions": 1, "warmup": 0})
    ended = written(tmp_path, chosen)
    assert [finished.label for finished in ended] == ["seed=0", "seed=1", "seed=2"]
    for number, finished in enumerate(ended):
        run(replica(chosen, number), tmp_path / "alone" / str(number))
        mine, its = store.read(finished.directory), store.read(tmp_path / "alone" / str(number))
        assert mine["runs"]["seed"].to_pylist() == [number]
        for table in ("objective", "gradient", "cost"):
            assert mine[table].num_rows == its[table].num_rows > 0
        for table, columns in (
            ("objective", ("elbo", "kl", "step")),
            ("gradient", ("variance_noise", "norm_sq", "ema_variance")),
        ):
            for column in columns:
                for a, b in zip(mine[table][column].to_pylist(), its[table][column].to_pylist(), strict=True):
                    assert (a is None) == (b is None)
                    assert a is None or abs(a - b) <= 1e-3 * abs(b) + 1e-5, (table, column)
    collection, problems = collect([finished.directory for finished in ended])
    assert problems == []
    assert sorted(collection.units.seed) == [0, 1, 2]
    assert collection.units.label.nunique() == 1


def test_every_seed_took_the_seconds_of_all(tmp_path, capsys):
    small = ("train.steps=1", "latent=bernoulli_small", "model.hidden=[4]", "measure.at=[]", "evaluate.examples=100")
    small += ("evaluate.samples=10", "evaluate.prior_samples=100")
    assert cli.main(["replicas=2", *small, "timing.repetitions=0", f"output={tmp_path}", "device=cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    took = [re.fullmatch(r"seed=\d: done in (\d+\.\d) s", line)[1] for line in lines[:2]]
    assert took[0] == took[1] != "0.0"


def test_what_is_there_stays_and_the_rest_is_run(tmp_path):
    first = written(tmp_path, config())
    assert [finished.already for finished in first] == [False] * 3
    stamps = [(finished.directory / store.MARKER).stat().st_mtime_ns for finished in first]
    again = written(tmp_path, config())
    assert [(finished.already, finished.status) for finished in again] == [(True, "done")] * 3
    (first[1].directory / store.MARKER).unlink()
    repaired = written(tmp_path, config())
    assert [finished.already for finished in repaired] == [True, False, True]
    after = [(finished.directory / store.MARKER).stat().st_mtime_ns for finished in first]
    assert [new == old for new, old in zip(after, stamps, strict=True)] == [True, False, True]
    shifted = config() | {"seed": 1, "seeds": dict.fromkeys(config()["seeds"], 1)}
    assert [finished.already for finished in written(tmp_path, shifted)] == [True, True, False]


def test_a_seed_that_diverges_ends_alone(tmp_path, monkeypatch):
    update = Replicas.update

    def poisoned(self, given):
        update(self, given)
        if self.step_count == 6 and given.loss.requires_grad:
            with torch.no_grad():
                self.learned[0][1].fill_(float("nan"))

    whole = [store.read(f.directory)["objective"]["elbo"].to_pylist() for f in written(tmp_path / "whole", config())]
    monkeypatch.setattr(Replicas, "update", poisoned)
    ended = written(tmp_path / "poisoned", config())
    assert [finished.status for finished in ended] == ["done", "diverged", "done"]
    assert re.search(r"step 7\b", ended[1].reason)
    found = [store.read(finished.directory) for finished in ended]
    assert [each["runs"]["step"].to_pylist() for each in found] == [[12], [12], [12]]
    elbos = [each["objective"]["elbo"].to_pylist() for each in found]
    assert (elbos[0], elbos[2]) == (whole[0], whole[2])
    assert 0 < len(elbos[1]) < len(whole[1])


def test_a_failure_is_a_row_of_every_seed(tmp_path, monkeypatch):
    def broken(self):
        raise RuntimeError("the disk of the moon is full")

    monkeypatch.setattr(Replicas, "step", broken)
    for finished in written(tmp_path, config()):
        assert finished.status == "failed"
        assert "moon" in finished.reason
        assert "RuntimeError" in (finished.directory / "traceback.txt").read_text()


def test_an_impossible_pair_is_a_row_of_every_seed_of_a_sweep_and_else_a_sentence(tmp_path):
    chosen = config() | {"estimator": {"_target_": "estimators.reparam.Reparam", "k": 1}}
    assert [finished.status for finished in written(tmp_path, chosen)] == ["skipped"] * 3
    with pytest.raises(BadInput, match="reparam does not differentiate bernoulli"):
        written(tmp_path / "single", chosen, many=False)
    assert not (tmp_path / "single").exists()


def test_state_that_is_no_buffer_would_be_shared_and_is_told(tmp_path):
    chosen = config() | {"estimator": {"_target_": "tests.run.test_resume.Counting"}}
    for finished in written(tmp_path, chosen):
        assert finished.status == "skipped"
        assert finished.reason == (
            "counting cannot be trained as replicas (its updates changes and is no buffer): set replicas=1 and sweep "
            "over seed."
        )


def test_a_probe_is_of_one_seed(capsys, tmp_path):
    from bench.probe.command import main

    GlobalHydra.instance().clear()
    assert main(["replicas=2", f"output={tmp_path}"]) == 2
    assert "one seed at a time and not 2 replicas; set replicas=1." in capsys.readouterr().err
