"""How many cores this process may use."""

import os


def cores() -> int:
    """All of them where the system does not tell, as on macOS."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
