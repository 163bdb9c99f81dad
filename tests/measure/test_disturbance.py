"""What else had the machine while something was timed: planted counters are told, and decide what is valid."""

import sys
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from bench import nvml
from bench.measure import disturbance
from bench.measure.disturbance import Counters, Watch, load_by_others

QUIET = Counters(wall=10.0, thread=9.9, process=9.9, preempted=5, machine=10.0)  # ten seconds on one core of two


def watched(monkeypatch, during: Counters = QUIET, *, threads=1, device="cpu", before=0.0, after=0.0, pause=0.2):
    """The columns of a timing with these counters at its end; `before` and `after`: cores that others keep busy."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1}, raising=False)
    zero = Counters(0.0, 0.0, 0.0, 0, 0.0)
    looks = []
    for busy in (before, after):
        machine = None if during.machine is None else busy * pause
        looks.append([zero, Counters(pause, 0.0, 0.0, 0, machine)] if pause else [])
    told = iter([*looks[0], zero, during, *looks[1]])
    with Watch(threads, device, pause, lambda: next(told), lambda seconds: None) as watch:
        pass
    return watch.columns()


def test_a_machine_of_ones_own_is_valid(monkeypatch):
    found = watched(monkeypatch)
    assert found["valid"] is True
    assert found["cpu_share"] == pytest.approx(0.99)
    assert found["preempted"] == pytest.approx(0.5)
    assert found["load"] == pytest.approx(0.01)
    assert (found["load_before"], found["load_after"], found["throttled"]) == (0, 0, None)


DISTURBED = {
    "others take the core": {"during": QUIET._replace(thread=9.0)},
    "often taken off the core": {"during": QUIET._replace(preempted=300)},
    "others keep both cores busy": {"during": QUIET._replace(machine=22.0)},
    "others were busy before": {"before": 1.9},
    "others are busy after": {"after": 1.9},
    "more threads than cores": {"threads": 3},
}


@pytest.mark.parametrize("how", DISTURBED)
def test_a_disturbed_timing_is_not_valid(monkeypatch, how):
    assert watched(monkeypatch, **DISTURBED[how])["valid"] is False


def test_a_core_that_nobody_here_needs_is_for_others(monkeypatch):
    busy = QUIET._replace(machine=19.5)
    assert watched(monkeypatch, busy, before=1.0, after=1.0)["valid"] is True
    assert watched(monkeypatch, busy, threads=2)["valid"] is False


@pytest.mark.parametrize(("threads", "preempted", "valid"), [(1, 36, False), (2, 36, True), (2, 190, False)])
def test_each_thread_is_now_and_then_taken_off_its_core(monkeypatch, threads, preempted, valid):
    """On two idle cores two threads were preempted 32 to 47 times a second, and beside a busy process 176 to 204."""
    found = watched(
        monkeypatch, QUIET._replace(preempted=10 * preempted, process=9.9 * threads, machine=20.0), threads=threads
    )
    assert found["valid"] is valid


def test_on_a_gpu_the_time_of_all_threads_counts(monkeypatch):
    launching = QUIET._replace(thread=3.0)  # another thread launches the backward pass
    assert watched(monkeypatch, launching, device="cuda")["valid"] is True
    assert watched(monkeypatch, launching)["valid"] is False


def test_where_the_system_counts_nothing_the_rest_decides(monkeypatch):
    unknown = QUIET._replace(machine=None)
    found = watched(monkeypatch, unknown)
    assert (found["load"], found["load_before"], found["valid"]) == (None, None, True)
    assert watched(monkeypatch, unknown._replace(thread=5.0))["valid"] is False
    assert load_by_others(QUIET, unknown) is None


def test_without_a_pause_nothing_is_looked_at_before(monkeypatch):
    found = watched(monkeypatch, pause=0)
    assert (found["load_before"], found["load_after"], found["valid"]) == (None, None, True)


@pytest.mark.slow
def test_a_thread_that_competes_is_seen():
    """This one holds the interpreter, so that the thread that times waits for it."""
    over = threading.Event()

    def compete():
        while not over.is_set():
            sum(range(1000))

    other = threading.Thread(target=compete)
    other.start()
    try:
        with Watch(1, "cpu", 0) as watch:
            end = time.perf_counter() + 0.5
            while time.perf_counter() < end:
                sum(range(1000))
    finally:
        over.set()
        other.join()
    assert watch.columns()["cpu_share"] < 0.9
    assert watch.columns()["valid"] is False


def test_the_counters_of_this_system_go_forward():
    first = Counters.now()
    sum(range(2_000_000))
    second = Counters.now()
    assert second.thread > first.thread
    assert second.process >= first.process + 0.5 * (second.thread - first.thread)
    assert second.wall > first.wall
    assert first.machine is None or second.machine >= first.machine


# The GPU


class NVMLError(Exception):
    pass


@pytest.fixture
def gpu(monkeypatch):
    """A GPU as NVIDIA's library tells of it; what is changed in the returned namespace is what it is."""
    is_ = SimpleNamespace(temperature=61, clock=1755, reasons=0x1, uuid="8d1b", missing=())

    def told(name, value):
        def ask(*_):
            if name in is_.missing:
                raise NVMLError(name)
            return value()

        return ask

    library = SimpleNamespace(
        NVMLError=NVMLError, NVML_TEMPERATURE_GPU=0, NVML_CLOCK_SM=1, NVML_CLOCK_MEM=2, nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTemperature=told("temperature", lambda: is_.temperature),
        nvmlDeviceGetClockInfo=told("clock", lambda: is_.clock),
        nvmlDeviceGetCurrentClocksEventReasons=told("reasons", lambda: is_.reasons),
        nvmlSystemGetDriverVersion=told("driver", lambda: b"580.65"),
        nvmlDeviceGetEnforcedPowerLimit=told("power", lambda: 700_000),
        nvmlDeviceGetMaxClockInfo=told("max", lambda: 1980),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=is_.uuid))
    nvml.gpu_handle.cache_clear()
    yield is_
    nvml.gpu_handle.cache_clear()


@pytest.mark.parametrize(
    ("reasons", "throttled"),
    [(0x0, False), (0x1, False), (0x2, False), (0x4, True), (0x8, True), (0x21, True), (0x40, True), (0x80, True)],
)
def test_a_throttled_gpu_is_not_valid(monkeypatch, gpu, reasons, throttled):
    gpu.reasons = reasons
    found = watched(monkeypatch, device="cuda")
    assert (found["throttled"], found["valid"]) == (throttled, not throttled)
    assert (found["temperature_before"], found["sm_clock_after"]) == (61, 1755)


def test_a_gpu_that_is_throttled_between_two_rounds_is_seen(monkeypatch, gpu):
    monkeypatch.setattr(disturbance.Counters, "now", classmethod(lambda cls: QUIET))
    with Watch(1, "cuda", 0) as watch:
        gpu.reasons, gpu.temperature = 0x40, 90
        watch.look()
        gpu.reasons = 0x1
    assert watch.columns()["throttled"] is True
    assert (watch.columns()["temperature_before"], watch.columns()["temperature_after"]) == (61, 90)


def test_what_a_gpu_does_not_tell_is_null(monkeypatch, gpu):
    gpu.missing = ("reasons", "temperature")
    found = watched(monkeypatch, device="cuda")
    assert (found["throttled"], found["temperature_before"], found["sm_clock_before"]) == (None, None, 1755)
    assert found["valid"] is True


def test_what_stays_is_told_for_the_table_of_runs(gpu):
    wanted = {"driver": "580.65", "power_limit": 700.0, "sm_clock_max": 1980, "memory_clock_max": 1980}
    assert nvml.facts("cuda") == wanted
    assert nvml.facts("cpu") == {}


def test_without_the_library_nothing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    nvml.gpu_handle.cache_clear()
    assert nvml.state("cuda") == nvml.facts("cuda") == {}
    nvml.gpu_handle.cache_clear()
