"""The processes below a command, as /proc lists them."""

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Processes below this one, by /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended while we looked
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def jobs(pids: list[int]) -> list[str]:
    """The server of the pool and its jobs; not Python's tracker of resources."""
    return [str(pid) for pid in pids if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def alive(pids: list[int]) -> list[int]:
    """Those of the processes that are there, and no zombies."""

    def state(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "Z"

    return [pid for pid in pids if state(pid) != "Z"]
