"""What goes wrong is a row with a reason: out of memory, out of time, a process that is gone. Who works on a run."""

import json
import os
import platform
import re
import time

import pytest
import torch

from bench.errors import BadInput
from bench.run import attempt
from bench.run.device import set_up
from bench.run.ending import Ending
from bench.run.failures import not_started, note_failure, out_of_memory
from bench.run.guard import Guard
from bench.run.record import record_lost
from bench.run.seeds import runs
from bench.run.single import run
from bench.tables import store
from bench.train.trainer import Trainer
from tests.support.runs import numbers
from tests.support.small import run_config
from tests.support.stand_in import stand_in_command
from tests.support.stopped import STOPS, chosen, dead, killed, living, stopping

SENTENCE = "lower train.batch_size, measure.memory, evaluate.examples or evaluate.samples, or the samples of the est"
TINY = (*STOPS, "latent=bernoulli_small")


def row(directory):
    return store.read(directory)["runs"].to_pylist()[0]


# Memory


def too_much():
    torch.empty(10**15)


def no_memory():
    raise MemoryError


def no_gpu_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def no_library_memory():
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def no_driver_memory():
    raise torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", 2)


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (too_much, "machine"),
        (no_memory, "machine"),
        (no_gpu_memory, "GPU"),
        (no_library_memory, "GPU"),
        (no_driver_memory, "GPU"),
    ],
    ids=["allocator", "python", "CUDA", "cuBLAS", "driver"],
)
def test_out_of_memory_says_what_to_lower(asked, where, tmp_path, monkeypatch):
    stopping(monkeypatch, 3, asked)
    outcome = run(chosen(*TINY), tmp_path)
    assert outcome == Ending("failed", row(tmp_path)["reason"], tmp_path, step=3)
    assert outcome.reason.startswith(f"Out of memory of the {where}: {SENTENCE}")
    assert asked.__name__ in (tmp_path / "traceback.txt").read_text()
    assert run(chosen(*TINY), tmp_path).status == "done"


def test_other_errors_are_not_for_want_of_memory():
    assert out_of_memory(RuntimeError("The size of tensor a (3) must match")) is None
    assert out_of_memory(ValueError("DefaultCPUAllocator")) is None
    assert out_of_memory(ValueError("CUBLAS_STATUS_ALLOC_FAILED")) is None
    assert out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered")) is None


# A GPU that is lost


ILLEGAL = "CUDA error: an illegal memory access was encountered"


@pytest.fixture
def fake_gpu(monkeypatch):
    """CUDA as far as failures ask it: after `lost`, every call fails. Yields the list to fill."""
    lost: list[str] = []

    def synchronize(device=None):
        if lost:
            raise torch.AcceleratorError(lost[0], 700)

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(torch.cuda, "empty_cache", synchronize)
    monkeypatch.setattr("bench.run.failures.lost_gpu", [])
    return lost


@pytest.mark.parametrize("error", [torch.AcceleratorError(ILLEGAL, 700), RuntimeError(f"{ILLEGAL}\nMore.")])
def test_after_an_error_that_stays_later_runs_say_so(fake_gpu, tmp_path, error):
    fake_gpu.append(ILLEGAL)
    assert ILLEGAL in note_failure(error, tmp_path)
    set_up(run_config("bernoulli", {}))
    with pytest.raises(BadInput, match=f"without its GPU .*{ILLEGAL}.*; the same command runs"):
        set_up(run_config("bernoulli", {}) | {"device": "cuda"})
    assert not_started(ValueError("An earlier run left"), many=True) == Ending("failed", "An earlier run left")


def test_an_error_that_stays_before_the_start_counts_too(fake_gpu):
    fake_gpu.append(ILLEGAL)
    assert not_started(RuntimeError(ILLEGAL), many=True) == Ending("failed", f"RuntimeError: {ILLEGAL}")
    with pytest.raises(BadInput, match="left this process without its GPU"):
        set_up(run_config("bernoulli", {}) | {"device": "cuda"})


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: invalid argument"), torch.OutOfMemoryError("CUDA out of")])
def test_an_error_of_one_call_leaves_the_gpu_to_later_runs(fake_gpu, tmp_path, error):
    note_failure(error, tmp_path)
    set_up(run_config("bernoulli", {}) | {"device": "cuda"})


def test_out_of_memory_is_told_on_a_lost_gpu_too(fake_gpu):
    fake_gpu.append(ILLEGAL)
    assert "Out of memory of the GPU" in str(out_of_memory(torch.OutOfMemoryError("CUDA out of memory.")))


# Time


@pytest.mark.parametrize(("limit", "step"), [(5, 5), (12.5, 12)])
def test_a_time_limit_ends_a_run_between_steps_and_a_larger_one_continues_it(limit, step, tmp_path, monkeypatch):
    def with_limit(seconds):
        settings = chosen(*TINY)
        return settings | {"sweep": settings["sweep"] | {"time_limit": seconds}}

    run(chosen(*TINY), tmp_path / "a")

    def one_a_step(self):  # and half a one more once the last evaluation is done
        ended = len(self.training.experiments[0].rows["objective"]) == 6
        return self.training.trainer.step_count + 0.5 * ended

    monkeypatch.setattr(Guard, "seconds", one_a_step)
    outcome = run(with_limit(limit), tmp_path / "b")
    assert outcome.status == "failed"
    assert outcome.reason == (
        f"Time limit of {limit:g} s reached at step {step}; the same command with a larger sweep.time_limit continues."
    )
    assert row(tmp_path / "b")["step"] == step
    assert not (tmp_path / "b" / "traceback.txt").exists()
    assert run(with_limit(limit), tmp_path / "b") == outcome  # no time was left
    seen, train = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: (seen.append(self.step_count), train(self)))
    assert run(with_limit(100), tmp_path / "b").status == "done"
    assert seen == list(range(step, 12))
    found = [{k: v for k, v in numbers(tmp_path / name).items() if k != "runs"} for name in "ab"]
    assert found[0] == found[1]


def test_a_time_limit_ends_replicas_too(tmp_path):
    settings = chosen(*TINY, "replicas=2", f"output={tmp_path}")
    settings |= {"sweep": settings["sweep"] | {"time_limit": 1e-9}}
    reason = "Time limit of 1e-09 s reached at step 0; the same command with a larger sweep.time_limit continues."
    for finished in runs(settings, many=True):
        assert (finished.status, finished.reason) == ("failed", reason)
        assert row(finished.directory)["reason"] == reason


# A process that is gone


def test_a_lost_run_is_a_row_unless_it_is_done_or_taken_over(tmp_path, monkeypatch):
    settings, claim = chosen(*TINY), tmp_path / attempt.FILE
    stopping(monkeypatch, 4, killed)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    claim.write_text(json.dumps(dead()))
    lost = Ending("failed", "Its process was killed.", tmp_path, step=4)
    assert record_lost(settings, tmp_path, "Its process was killed.") == lost
    assert (row(tmp_path)["step"], row(tmp_path)["status"]) == (4, "failed")
    assert not claim.exists()
    assert (tmp_path / attempt.RESUME).exists()
    with living() as other:
        claim.write_text(json.dumps(other))
        assert record_lost(settings, tmp_path, "Another.").status == "running"
    assert row(tmp_path)["reason"] == "Its process was killed."
    claim.unlink()
    assert run(settings, tmp_path).status == "done"
    assert record_lost(settings, tmp_path, "Too late.") == Ending("done", "", tmp_path, step=12)
    assert row(tmp_path)["status"] == "done"


@pytest.mark.parametrize(("beats", "status"), [(False, "failed"), (True, "running")])
def test_of_a_process_of_another_machine_a_sign_of_life_is_awaited(beats, status, tmp_path, monkeypatch):
    claim = tmp_path / attempt.FILE
    claim.write_text(json.dumps({"host": "elsewhere", "pid": 3, "process": "x", "step": 4}))
    written, slept = claim.stat().st_mtime, []

    def sleep(seconds):
        slept.append(seconds)
        monkeypatch.setattr(attempt, "now", lambda _: written + 10 * len(slept))
        if beats and len(slept) == 3:
            os.utime(claim, (written + 30, written + 30))

    monkeypatch.setattr(attempt, "now", lambda _: written)
    monkeypatch.setattr(time, "sleep", sleep)
    assert record_lost(chosen(*TINY), tmp_path, "Its node was lost.").status == status
    assert len(slept) == (3 if beats else 9)  # a beat, or STALE seconds without one
    assert (tmp_path / store.MARKER).exists() == (not beats)


def test_a_lost_run_that_had_not_begun_is_a_row_too(tmp_path):
    assert record_lost(chosen(*TINY), tmp_path / "new", "It never came up.").status == "failed"
    assert row(tmp_path / "new")["reason"] == "It never came up."


# The sweep


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


def test_the_first_failure_ends_a_sweep_if_asked(command, capsys):
    assert command("-m", "train.steps=1,2,3,1", "seed=0", "sweep.fail_fast=true") == 1
    assert [config["train"]["steps"] for config in command.runs] == [1, 2]
    said = capsys.readouterr()
    assert said.err == "sweep.fail_fast=true: a run failed, and 2 jobs were not started.\n"
    assert "1 failed:" in said.out
    command.runs.clear()
    assert command("-m", "train.steps=1,2,3", "seed=0") == 1
    assert [config["train"]["steps"] for config in command.runs] == [2, 3]


def test_the_end_of_a_sweep_names_every_reason_for_a_failure_once(command, tmp_path, capsys):
    assert command("-m", "train.steps=1,2,6,-1", "seed=0,1,2") == 1
    *_, title, broken, missing, refused = capsys.readouterr().out.splitlines()
    assert title == "9 failed:"
    assert re.fullmatch(rf"  {tmp_path}/out/runs/\w+ and 2 more: It broke\.", broken)
    assert missing.endswith(" and 2 more: There is no such file.")
    assert refused == "  a job that could not start and 2 more: train.steps needs a whole number, 0 or more; got -1."
    assert command("-m", "train.steps=1,2", "seed=0") == 1
    assert re.fullmatch(rf"  {tmp_path}/out/runs/\w+: It broke\.", capsys.readouterr().out.splitlines()[-1])


def test_a_sweep_leaves_to_another_process_what_it_works_on(command, tmp_path, capsys):
    assert command("-m", "train.steps=1,3") == 0
    [directory] = [f.parent for f in tmp_path.rglob("objective.parquet")]
    (directory / store.MARKER).unlink()
    command.runs.clear()
    with living() as claim:
        (directory / attempt.FILE).write_text(json.dumps(claim))
        assert command("-m", "train.steps=1,3") == 0
    assert command.runs == []
    said = capsys.readouterr().out
    assert f"already running: process {claim['pid']} of {platform.node()} works on it." in said
    assert said.splitlines()[-1] == "1 left to another process, which works on them."
