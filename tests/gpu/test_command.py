"""The sitting at a GPU, dry on the CPU: every part leaves its results, what is done stays done, limits hold."""

import importlib
import json
import sys
import time
from pathlib import Path

import pytest

from bench.gpu import command
from bench.gpu.parts import Part, parts, quoted
from tests.support.sittings import DRY, alive, ended, planted

MAINS = {"bench": "bench.cli", **{f"bench.{name}": f"bench.{name}.command" for name in ("speed", "probe", "published")}}
LEFT = {
    "versions": "versions.log",
    "options": "options.csv",
    "speed_gradients": "speed_gradients/speed.csv",
    "steps": "steps/*/complete.json",
    "shared": "shared/*/complete.json",
    "published": "published.md",
}


def test_what_is_done_stays_done_and_the_rest_is_done_again(tmp_path, monkeypatch, capsys):
    add = f"open({str(tmp_path / 'count')!r}, 'a').write('x')"
    planted(monkeypatch, good=add, bad="raise SystemExit")
    words, out = [*DRY, str(tmp_path / "out")], tmp_path / "out"
    assert command.main(words) == 1
    assert ended(out) == {"good": "done", "bad": "ended with exit status 1"}
    assert f"ended with exit status 1, see {out / 'bad.log'}\n" in capsys.readouterr().out
    planted(monkeypatch, good=add, bad="print('now')")
    assert command.main(words) == 0
    assert (tmp_path / "count").read_text() == "x"
    assert (out / "bad.log").read_text().startswith("now\n")


def test_parts_of_other_code_or_another_device_are_done_again(tmp_path, monkeypatch, capsys):
    add = f"open({str(tmp_path / 'count')!r}, 'a').write('x')"
    planted(monkeypatch, good=add)
    for commit in ("a", "b", "b"):
        monkeypatch.setattr(command, "commit", lambda commit=commit: commit)
        assert command.main([*DRY, str(tmp_path)]) == 0
    assert (tmp_path / "count").read_text() == "xx"
    state = json.loads((tmp_path / command.STATE).read_text())
    (tmp_path / command.STATE).write_text(json.dumps(state | {"device": "cuda"}))
    assert command.main([*DRY, str(tmp_path)]) == 0
    assert (tmp_path / "count").read_text() == "xxx"
    capsys.readouterr()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"device": "cpu", "commit": null, "parts": [1]}'])
def test_a_damaged_state_is_no_state(tmp_path, content):
    (tmp_path / command.STATE).write_text(content)
    assert command.earlier(tmp_path, {"device": "cpu", "commit": None}) == {}


def test_a_part_at_its_limit_leaves_the_others_their_share(tmp_path, monkeypatch, capsys):
    planted(monkeypatch, slow="import time; time.sleep(60)", late="print(1)")
    start = time.monotonic()
    assert command.main([*DRY, str(tmp_path), "--seconds", "16"]) == 1
    assert time.monotonic() - start < 20
    assert ended(tmp_path) == {"slow": "reached its limit of 6 s", "late": "done"}
    assert "slow: at most 8 s" in capsys.readouterr().out


def test_what_is_done_leaves_its_seconds_to_the_rest(tmp_path, monkeypatch, capsys):
    seen: dict[str, float] = {}

    def do(part, out, seconds):
        seen[part.name] = seconds
        return {"status": "done" if part.name != "b" else "ended", "seconds": 0.0}

    planted(monkeypatch, a="", b="", c="")
    monkeypatch.setattr(command, "do", do)
    words = [*DRY, str(tmp_path), "--seconds", "300"]
    command.main(words)
    assert seen == pytest.approx({"a": 100, "b": 150, "c": 300}, abs=5)
    seen.clear()
    command.main(words)
    assert seen == pytest.approx({"b": 300}, abs=5)
    capsys.readouterr()


def test_no_time_is_no_time(tmp_path):
    assert command.do(Part("late", 1, "timeit", []), tmp_path, 0.0)["status"] == "no time was left"


def test_the_shares_fit_into_a_sitting(tmp_path):
    assert sum(part.share for part in parts("cuda", tmp_path)) <= 540


AT_ITS_END = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path({file!r}).write_text("where it stands")
    sys.exit(3)
signal.signal(signal.SIGTERM, {handler})
pathlib.Path({file!r}).write_text("began")
time.sleep(60)
"""


@pytest.mark.parametrize(("handler", "left"), [("stop", "where it stands"), ("signal.SIG_IGN", "began")])
def test_a_part_at_its_limit_may_write_down_where_it_stands(tmp_path, monkeypatch, handler, left):
    monkeypatch.setattr(command, "GRACE", 1)
    program = AT_ITS_END.format(file=str(tmp_path / "file"), handler=handler)
    part, start = Part("slow", 1, "timeit", ["-n", "1", "-r", "1", program]), time.monotonic()
    assert command.do(part, tmp_path, 5)["status"] == "reached its limit of 4 s"
    assert time.monotonic() - start < 20
    assert (tmp_path / "file").read_text() == left


def test_what_a_part_has_started_ends_with_it(tmp_path):
    child = "import time; time.sleep(60)"
    program = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True)"
    command.do(Part("parent", 30, "timeit", ["-n", "1", "-r", "1", program]), tmp_path, 100)
    pid, end = int((tmp_path / "parent.log").read_text().split()[0]), time.monotonic() + 10
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(pid)


def test_one_part_alone_leaves_the_others_for_later(tmp_path, monkeypatch, capsys):
    planted(monkeypatch, one="print(1)", other="print(2)")
    assert command.main([*DRY, str(tmp_path), "--only", "other"]) == 0
    assert "one                   0  not begun\n" in capsys.readouterr().out
    assert ended(tmp_path) == {"other": "done"}


@pytest.mark.slow
def test_a_part_is_a_process_that_works(tmp_path, capsys):
    assert command.main([*DRY, str(tmp_path), "--only", "versions"]) == 0, capsys.readouterr().out
    assert "torch" in json.loads((tmp_path / "versions.log").read_text())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:hydra")
def test_every_part_runs_dry_on_the_cpu(tmp_path, monkeypatch, capsys):
    """In this process, since importing takes most of the time."""
    every = parts("cpu", tmp_path)
    assert [part.name for part in every] == list(LEFT)
    for part in every[1:]:
        monkeypatch.setattr(sys, "argv", [part.module, *part.words])
        main = importlib.import_module(MAINS.get(part.module, part.module)).main
        assert main(part.words) == 0, (part.name, capsys.readouterr())
        assert list(tmp_path.glob(LEFT[part.name])), part.name


def test_the_parts_of_a_gpu_train_on_mnist_and_run_the_tests_that_need_one(tmp_path):
    every = {part.name: part for part in parts("cuda", tmp_path, Path("with 'a' quote"))}
    speed = ["speed_gradients", "speed_draws", "speed_steps"]
    assert list(every) == ["versions", "options", "tests", *speed, "steps", "shared", "published"]
    assert any(word.endswith("test_gpu.py") for word in every["tests"].words)
    assert "engine=eager,compile,graph,compiled_graph" in every["steps"].words
    assert every["published"].words[:2] == ["reinmax_8x4", "rodeo_bound"]
    assert r"data.root='with \'a\' quote'" in every["shared"].words


def test_paths_are_values_of_hydra():
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for name in ("a b", "it's", "a,b=[c]", "{x}", "é"):
        [override] = OverridesParser.create().parse_overrides([f"output={quoted(Path(name))}"])
        assert override.value() == name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--seconds 0 --device cpu", "--seconds 0 is too few; it needs a number above 0."),
        ("--only nothing", "argument --only: invalid choice: 'nothing' (choose from"),
        ("--only tests --device cpu", "--only tests needs a GPU."),
    ],
)
def test_bad_arguments_are_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit) as refused:
        command.main(words.split())
    assert refused.value.code == 2
    assert capsys.readouterr().err.startswith(f"python -m bench.gpu: {sentence}")
