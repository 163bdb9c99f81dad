"""What the pretended device says of time: as much as the host needs, since what is asked for is done at once."""

import time
from types import SimpleNamespace
from typing import Any

import torch


class Event:
    """What `torch.cuda.Event` is here: a look at the host's clock."""

    def __init__(self, enable_timing: bool = False) -> None: ...

    def record(self, stream: object = None) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def elapsed_time(self, later: "Event") -> float:
        """Milliseconds."""
        return 1e3 * (later.at - self.at)


KERNEL = SimpleNamespace(
    device_type=lambda: torch.autograd.DeviceType.CUDA, duration_ns=lambda: 1000, is_user_annotation=lambda: False
)


def profiling(watch: Any, plain: Any) -> Any:
    """What `torch.profiler.profile` is here: the kernels of the device that `watch` counts, a microsecond each; what is
    asked of the processor stays as `plain` has it."""

    class Profile:
        def __enter__(self) -> "Profile":
            self.watch = watch()
            self.watch.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.watch.__exit__(*error)
            events = [KERNEL] * self.watch.kernels.total()
            self.profiler = SimpleNamespace(kineto_results=SimpleNamespace(events=lambda: events))

    def profile(activities: list[Any], **kwargs: Any) -> Any:
        of_device = activities == [torch.profiler.ProfilerActivity.CUDA]
        return Profile() if of_device else plain(activities=activities, **kwargs)

    return profile
