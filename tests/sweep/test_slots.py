"""How many jobs at once and on which GPU, and what the clocks make of it. No process is started."""

import os

import pytest
import torch

from bench.errors import BadInput
from bench.machine import told, undisturbed
from bench.sweep.pool import duration
from bench.sweep.slots import slots
from bench.sweep.summary import summary
from bench.tables import store
from tests.support.synthetic_runs import config, runs_row
from tests.support.synthetic_runs import tables as made

CORES = 8


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CORES)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    has_gpus(monkeypatch, 8)


def has_gpus(monkeypatch, count: int) -> None:
    """So many GPUs, of which CUDA_VISIBLE_DEVICES shows some, as PyTorch counts them."""

    def visible() -> int:
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        return count if named is None else len([name for name in named.split(",") if name and int(name) < count])

    monkeypatch.setattr(torch.cuda, "device_count", visible)


@pytest.mark.parametrize(
    ("n_jobs", "gpus", "gpu_share", "threads", "expected"),
    [
        (None, None, 1, 2, [None] * 4),
        (None, None, 1, 3, [None] * 2),
        (None, None, 1, 9, [None]),
        (11, None, 1, 2, [None] * 11),
        (None, 2, 1, 1, ["0", "1"]),
        (None, 2, 3, 2, ["0", "1", "0", "1"]),
        (3, [4, "MIG-7"], 2, 1, ["4", "MIG-7", "4"]),
        (None, 4, 1, 4, ["0", "1"]),
    ],
)
def test_slots(n_jobs, gpus, gpu_share, threads, expected):
    assert slots(n_jobs, gpus, gpu_share, threads) == expected


def test_gpus_are_those_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,2,7")
    assert slots(None, 2, 1, 1) == ["6", "2"]
    with pytest.raises(BadInput, match="gpus=4 was asked for and this machine shows only 6, 2, 7; gpus=null and dev"):
        slots(None, 4, 1, 1)
    assert slots(None, [7, 2], 1, 1) == ["7", "2"]
    with pytest.raises(BadInput, match=r"gpus=\[2,0\] was asked for and this machine shows only 6, 2, 7;"):
        slots(None, [2, 0], 1, 1)


@pytest.mark.parametrize(("count", "visible"), [(0, None), (8, ""), (8, "-1")])
@pytest.mark.parametrize("gpus", [2, 1, [0], ["GPU-8d1b"]])
def test_gpus_that_are_not_there_are_refused(monkeypatch, count, visible, gpus):
    has_gpus(monkeypatch, count)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BadInput, match="was asked for and this machine shows none; gpus=null and device=cpu run witho"):
        slots(None, gpus, 1, 1)


def test_fewer_gpus_than_asked_for_are_refused(monkeypatch):
    has_gpus(monkeypatch, 1)
    with pytest.raises(BadInput, match="gpus=2 was asked for and this machine shows only 0;"):
        slots(None, 2, 1, 1)
    with pytest.raises(BadInput, match=r"gpus=\[0,1\] was asked for and this machine shows only 0;"):
        slots(None, [0, 1], 1, 1)


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_by_default_no_two_jobs_share_a_gpu(monkeypatch, device):
    has_gpus(monkeypatch, 1)
    assert slots(None, None, 1, 1, device) == ["0"]
    assert slots(None, None, 3, 1, device) == ["0"] * 3
    assert slots(4, None, 1, 1, device) == [None] * 4  # as was asked
    assert slots(None, None, 1, 1, "cpu") == [None] * CORES
    has_gpus(monkeypatch, 3)
    assert slots(None, None, 1, 2, device) == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert slots(None, None, 1, 2, device) == ["2"]
    has_gpus(monkeypatch, 0)
    assert slots(None, None, 1, 1, device) == [None] * CORES


def test_more_jobs_than_gpus_hold():
    with pytest.raises(BadInput, match="more than 2 GPUs hold with gpu_share=1; n_jobs=2 and gpu_share=3 are possible"):
        slots(5, 2, 1, 1)


@pytest.mark.parametrize(
    ("jobs", "gpu_jobs", "threads", "device", "expected"),
    [
        (1, 1, 8, "cpu", True),
        (1, 1, 9, "cpu", False),
        (4, 4, 2, "cpu", True),
        (4, 1, 3, "cuda", False),
        (4, 1, 2, "cuda", True),
        (4, 2, 2, "cuda", False),
    ],
)
def test_a_timing_is_valid_where_nobody_else_has_the_cores_or_the_gpu(
    monkeypatch, jobs, gpu_jobs, threads, device, expected
):
    for name, value in told(jobs, gpu_jobs).items():
        monkeypatch.setenv(name, value)
    assert undisturbed(threads, device) is expected


def test_without_a_launcher_a_job_is_alone():
    assert undisturbed(CORES, "cuda")
    assert not undisturbed(CORES + 1, "cpu")


@pytest.mark.parametrize(("valid", "cell"), [(True, "2.00"), (None, "2.00"), (False, "-")])
def test_the_table_at_the_end_has_no_invalid_time(tmp_path, valid, cell):
    rows = made(runs_row(config("rloo", "bernoulli", 0), "rloo"))
    for row in rows["cost"]:
        row |= {"valid": valid, "seconds": 0.002}
    store.write(tmp_path, rows)
    assert summary(tmp_path)[-1] == cell


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.1, "1 s"), (59, "59 s"), (60, "1 min"), (3599, "60 min"), (9000, "2.5 h")]
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_where_the_system_does_not_tell_which_cores_are_ours_all_of_them_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert slots(None, None, 1, threads=2) == [None] * 3
    assert undisturbed(6, "cpu")
    assert not undisturbed(7, "cpu")
