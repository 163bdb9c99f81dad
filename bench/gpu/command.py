"""`python -m bench.gpu`: all measurements that need a GPU, run one after the other.

Each part is a command with a time limit. Its output goes to a log file of its own, and `parts.json` says how each part
ended. A limit is a share of the rest of --seconds, so the time that a part does not use goes to the later ones. The
same command again runs only the parts that are not done. With --device cpu every part has its smallest size.
"""

import argparse
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from bench.files import ROOT, replace
from bench.gpu.parts import AGAIN, Part, parts
from bench.run.provenance import commit
from bench.terminal import Parser, interruptible, to_its_end

STATE = "parts.json"
GRACE = 10  # seconds that a part has to save its state after the signal, at most a quarter of its limit
NEVER = {"status": "not begun", "seconds": 0.0}


@to_its_end
def main(argv: list[str] | None = None) -> int:
    """Run the parts. Returns 0, 1 if a requested part is not done, 2 at bad arguments, 130 if interrupted."""
    chosen = arguments(argv)
    out, about = chosen.out.absolute(), {"device": chosen.device, "commit": commit()}
    end, state = time.monotonic() + chosen.seconds, earlier(out, about)
    every = parts(chosen.device, out, chosen.data.absolute())
    asked = [part for part in every if chosen.only in (None, part.name)]
    try:
        with interruptible():  # else the part would outlive this process
            for part in asked:
                if state.get(part.name, NEVER)["status"] == "done":
                    continue
                waiting = [other for other in asked if state.get(other.name, NEVER)["status"] != "done"]
                behind = waiting[waiting.index(part) :]
                seconds = max(0.0, end - time.monotonic()) * part.share / sum(other.share for other in behind)
                print(f"{part.name}: at most {seconds:.0f} s", flush=True)
                state[part.name] = do(part, out, seconds)
                replace(out / STATE, json.dumps(about | {"parts": state}, indent=1).encode())
    except KeyboardInterrupt:
        print("Interrupted: what is done is kept, and the same command goes on.")
        return 130
    print(f"{'part':15} {'seconds':>7}  status")
    for part in every:
        how = state.get(part.name, NEVER)
        see = f", see {chosen.out / part.name}.log" if (out / f"{part.name}.log").exists() else ""
        print(f"{part.name:15} {how['seconds']:7.0f}  {how['status']}{see}")
    return 0 if all(state[part.name]["status"] == "done" for part in asked) else 1


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = Parser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder of all results")
    parser.add_argument("--seconds", type=float, default=540, help="after which no part goes on, default 540")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: the smallest sizes, to try it")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of MNIST, which is not downloaded")
    names = [part.name for part in parts("cuda", Path("."))]
    parser.add_argument("--only", choices=names, help="one part alone")
    chosen = parser.parse_args(argv)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no CUDA device; --device cpu tries the commands at the smallest sizes.")
    if chosen.only and chosen.only not in [part.name for part in parts(chosen.device, Path("."))]:
        parser.error(f"--only {chosen.only} needs a GPU.")
    if chosen.only != "versions" and (lacking := missing()):
        said = "install what `make wheels` collects (docs/gpu.md); --only versions says what is there."
        parser.error(f"this Python lacks {' and '.join(lacking)}; {said}")
    if not chosen.seconds > 0:
        parser.error(f"--seconds {chosen.seconds:g} is too few; it needs a number above 0.")
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {chosen.out} cannot be made a directory: {error.strerror}.")
    return chosen


def missing() -> list[str]:
    """Packages of the wheels that are not installed."""
    return [package for package in ("hydra", "omegaconf", "antlr4") if find_spec(package) is None]


def do(part: Part, out: Path, seconds: float) -> dict[str, Any]:
    """Run a part for at most `seconds`, of which the last are left for saving its state. A part that ends with AGAIN
    goes on in a new process. All processes that it started end with it.

    Returns:
        Its row of `parts.json`: `status` and `seconds`.
    """
    if seconds <= 0:
        return {"status": "no time was left", "seconds": 0.0}
    start, grace = time.monotonic(), min(GRACE, seconds / 4)
    limit = seconds - grace
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    around = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    code = AGAIN
    with open(out / f"{part.name}.log", "wb") as log:
        while code == AGAIN:
            process = subprocess.Popen(part.command, stdout=log, stderr=log, env=around, start_new_session=True)
            try:
                code = process.wait(max(0.0, start + limit - time.monotonic()))
                status = "done" if code == 0 else f"ended with exit status {code}"
            except subprocess.TimeoutExpired:
                code, status = 1, f"reached its limit of {limit:.0f} s"
            finally:
                end(process, grace)
    return {"status": status, "seconds": time.monotonic() - start}


def end(process: subprocess.Popen[bytes], grace: float) -> None:
    """End a process: SIGTERM, at which a run saves its state, and after `grace` seconds SIGKILL to its whole group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def earlier(out: Path, about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """How the parts ended in earlier calls with the same commit and device; empty if there were none."""
    try:
        found = json.loads((out / STATE).read_text())
        if any(found[key] != value for key, value in about.items()):
            return {}
        return {
            name: {"status": str(how["status"]), "seconds": float(how["seconds"])}
            for name, how in found["parts"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
