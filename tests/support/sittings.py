"""Sittings of `python -m bench.gpu` whose parts are small programs."""

import json
from pathlib import Path

from bench.gpu import command
from bench.gpu.parts import Part

DRY = ["--device", "cpu", "--out"]


def planted(monkeypatch, **programs: str) -> None:
    """Parts that are these programs, all with the same share of the seconds."""
    made = [Part(name, 30, "timeit", ["-n", "1", "-r", "1", program]) for name, program in programs.items()]
    monkeypatch.setattr(command, "parts", lambda *_: made)


def ended(out: Path) -> dict[str, str]:
    found = json.loads((out / command.STATE).read_text())["parts"]
    return {name: how["status"] for name, how in found.items()}


def alive(pid: int) -> bool:
    """Whether this process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
