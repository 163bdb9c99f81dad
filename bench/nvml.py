"""What the driver says of the GPU, through NVIDIA's library of management where `nvidia-ml-py` is installed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import torch

# Reasons for a lower clock that make a timing mean less: the power limit, hardware slowdown, and heat of either kind.
THROTTLED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80


def state(device: str) -> dict[str, Any]:
    """Now: `temperature` (degrees Celsius), `sm_clock` (MHz), whether it is `throttled`; only what is known."""
    if (found := gpu_handle(device)) is None:
        return {}
    nvml, handle = found
    reasons = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    reasons = reasons or getattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None)  # its former name
    asked = {
        "temperature": lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        "sm_clock": lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
        "throttled": lambda: bool(reasons(handle) & THROTTLED) if reasons else None,
    }
    return _known(nvml, asked)


def facts(device: str) -> dict[str, Any]:
    """What stays: version of the `driver`, `power_limit` (W), highest `sm_clock_max` and `memory_clock_max` (MHz)."""
    if (found := gpu_handle(device)) is None:
        return {}
    nvml, handle = found
    asked = {
        "driver": lambda: _text(nvml.nvmlSystemGetDriverVersion()),
        "power_limit": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        "sm_clock_max": lambda: int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)),
        "memory_clock_max": lambda: int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM)),
    }
    return _known(nvml, asked)


def _known(nvml: Any, asked: Mapping[str, Callable[[], object]]) -> dict[str, Any]:
    found = {}
    for name, ask in asked.items():
        with suppress(nvml.NVMLError):  # not every GPU tells everything
            found[name] = ask()
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # bytes before version 11.5


@cache
def gpu_handle(device: str) -> tuple[Any, Any] | None:
    """The library and the handle of PyTorch's current GPU, found by its UUID since the numbers of both may differ."""
    if device != "cuda":
        return None
    try:
        import pynvml as nvml
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        return nvml, nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except (nvml.NVMLError, AttributeError):
        return None
