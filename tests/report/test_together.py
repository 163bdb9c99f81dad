"""Two processes draw the figures of a large report: the same bytes, whatever becomes of the second one."""

import subprocess
import sys
import warnings
from functools import partial

import pytest

from bench.report.command import main
from bench.report.figures import together
from bench.report.figures.together import Figures, second
from tests.support.synthetic_runs import SOME, collection

NAMES = ["a", "b", "c", "d", "e"]
ANSWERS_ONCE = """
import sys
from bench.report.figures.pipe import heard, tell
heard(sys.stdin.buffer), heard(sys.stdin.buffer)
tell(sys.stdout.buffer, ({"svg": b"of the other"}, [("odd", UserWarning, "odd.py", 3)]))
"""


@pytest.fixture
def always(monkeypatch):
    """A second process for any report."""
    monkeypatch.setattr(together, "MANY", 1)
    monkeypatch.setattr(together, "SEVERAL", 1)
    monkeypatch.setattr(together, "cores", lambda: 2)


def told(name, *of_all):
    """Stands in for drawing."""
    warnings.warn("often", stacklevel=1)
    warnings.warn(f"of {name}", stacklevel=1)
    return {"svg": name.encode()}


def test_all_files_of_a_report_are_the_same(tmp_path, always, monkeypatch, capfd):
    collection(tmp_path / "runs", families=("bernoulli",), estimators=SOME[:3], seeds=(0, 1))
    drawn, heard, answers = together.drawn, together.heard, []
    monkeypatch.setattr(together, "heard", lambda stream: answers.append(heard(stream)) or answers[-1])

    def draw(name, *of_all):  # once the other process has drawn one
        [other] = others
        while other and not answers and other.thread.is_alive():
            other.thread.join(0.02)
        return drawn(name, *of_all)

    monkeypatch.setattr(together, "drawn", draw)
    begin, others = Figures.__init__, []
    monkeypatch.setattr(Figures, "__init__", lambda self, *of: others.append(of[-1]) or begin(self, *of))
    printed = {}
    for place, many in (("one", 10**9), ("two", 1)):
        monkeypatch.setattr(together, "MANY", many)
        only = ["--only", "critical_difference", "--only", "final_elbo"]
        assert main([str(tmp_path / "runs"), "--out", str(tmp_path / place), *only]) == 0
        printed[place] = capfd.readouterr().out.replace(str(tmp_path / place), "")
        assert others.pop() is None or place == "two"
    assert any(len(answer) > 10_000 for answer in answers)  # a figure, and not the word that there is none
    assert printed["one"] == printed["two"]
    one, two = (
        {f.relative_to(tmp_path / place): f.read_bytes() for f in (tmp_path / place).rglob("*") if f.is_file()}
        for place in printed
    )
    assert one == two
    assert sum(path.suffix == ".svg" for path in one) == 1


@pytest.mark.parametrize(
    ("runs", "asked", "cores"), [(199, None, 2), (5000, None, 1), (5000, ["bias", "final_elbo"], 2)]
)
def test_no_process_is_started_where_it_is_of_no_use(runs, asked, cores, monkeypatch):
    monkeypatch.setattr(together, "cores", lambda: cores)
    monkeypatch.setattr(together, "Second", None)
    with second(runs, asked) as other:
        assert other is None


@pytest.mark.parametrize(
    "command", [["-c", "pass"], ["-m", "this"], ["-c", "import time; time.sleep(600)"], ["/no/file"]]
)
def test_a_process_that_cannot_draw_loses_no_figure(command, always, monkeypatch):
    monkeypatch.setattr(together, "WORKER", command)
    monkeypatch.setattr(together, "PATIENCE", 0.1)
    monkeypatch.setattr(together, "rendered", lambda name, *of_all: name.upper())
    with second(5, None) as other:
        found = Figures(NAMES, None, None, "encoder", other).drawn(lambda done, doing: None)
        assert list(found.items()) == [(name, name.upper()) for name in NAMES]
    assert other.process.poll() is not None
    assert not other.thread.is_alive()


def test_no_process_at_all_loses_no_figure(always, monkeypatch):
    monkeypatch.setattr(together.sys, "executable", "/no/python")
    with second(5, None) as other:
        assert other is None


def test_what_one_process_has_drawn_stays_and_each_warning_comes_once_in_order(always, monkeypatch):
    monkeypatch.setattr(together, "WORKER", ["-c", ANSWERS_ONCE])
    with second(5, None) as other, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        monkeypatch.setattr(together, "rendered", lambda *of: other.thread.join(60) or told(*of))
        found = Figures(NAMES, None, None, "encoder", other).drawn(lambda done, doing: None)
    assert found == {name: {"svg": name.encode()} for name in NAMES[:-1]} | {"e": {"svg": b"of the other"}}
    assert list(found) == NAMES
    said = [(str(w.message), w.category) for w in heard]
    assert said == [(words, UserWarning) for words in ("often", "of a", "of b", "of c", "of d", "odd")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_ends_the_report_ends_both(error, always, monkeypatch):
    monkeypatch.setattr(together, "WORKER", ["-c", "import time; time.sleep(600)"])

    def end(*of):
        raise error

    monkeypatch.setattr(together, "drawn", end)
    with pytest.raises(error), second(5, None) as other:
        Figures(NAMES, None, None, "encoder", other).drawn(lambda done, doing: None)
    assert other.process.poll() is not None
    assert not other.thread.is_alive()


def test_the_process_ends_when_the_first_one_is_gone():
    start = partial(subprocess.Popen, [sys.executable, *together.WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with start() as process:
        process.stdin.close()
        assert process.wait(60) == 0
