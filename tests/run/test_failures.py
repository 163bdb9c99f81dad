"""What goes wrong is a row with a reason: out of memory, a lost GPU, out of time."""

import pytest
import torch

from bench.errors import BadInput
from bench.run.device import set_up
from bench.run.ending import Ending
from bench.run.failures import not_started, note_failure, out_of_memory
from bench.run.guard import Guard
from bench.run.seeds import runs
from bench.run.single import run
from bench.train.trainer import Trainer
from tests.support.runs import numbers
from tests.support.small import run_config
from tests.support.stopped import TINY, chosen, row, stopping

SENTENCE = "lower train.batch_size or estimator.k."


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
    assert outcome.reason == f"Out of memory of the {where}: {SENTENCE}"
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
        ended = len(self.training.experiments[0].rows["objective"]) == 9
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


# The sweep
