"""What a command answers in a folder, and how a page shows it."""

import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path


def answer(command: str, arguments: str, folder: Path) -> tuple[int | None, str, str]:
    """Exit status, standard output and standard error of a command in a folder."""
    main = importlib.import_module(_module(command)).main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(shlex.split(arguments))
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def _module(command: str) -> str:
    rooms = ("check", "gpu", "probe", "published", "report", "speed", "tune")
    in_rooms = {f"bench.{room}": f"bench.{room}.command" for room in rooms}
    return ({"bench": "bench.cli"} | in_rooms).get(command, command)


def row(arguments: str, said: str, folder: Path) -> str:
    """A row of the page, the same on every machine."""
    said = said.strip().replace(f"{folder}/", "").removeprefix("python -m ")
    said = re.sub(r"\b[0-9a-f]{64}\b", "<...>", re.sub(r"\b[0-9a-f]{12}\b", "<run>", said))
    said = re.sub(r"(?<=this version reads schema )\d+", "<n>", said)
    said = re.sub(r"(?<=there is |here are )\w+(, \w+){9,}", "<...>", said)
    return f"| {_code(arguments)} | {_code(said)} |"


def _code(text: str) -> str:
    mark = "``" if "`" in text else "`"
    return f"{mark}{text}{mark}".replace("|", "\\|") if text else ""
