"""The command: one run, a user's own files, flags and other commands. The run itself is a stand-in here."""

import importlib
import inspect
import subprocess
import sys
from importlib.util import find_spec

import pytest

from bench import cli
from bench.config.identity import identity
from bench.files import ROOT
from bench.version import __version__
from tests.support.stand_in import files, stand_in_command


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


# One run


def test_one_run(command, tmp_path, capsys):
    assert command("train.steps=1", "estimator=reinforce_constant", "name=first") == 0
    [config] = command.runs
    assert config["option"] == "reinforce_constant"
    assert config["device"] == "cpu"
    assert "hydra" not in config
    directory = tmp_path / "out" / "first" / identity(config)
    assert {file.split("/")[1] for file in files(tmp_path / "out")} == {identity(config)}  # no file of Hydra's
    assert capsys.readouterr().out.startswith(f"{directory}: done in ")


def test_a_complete_run_is_not_run_again(command, capsys):
    for _ in range(2):
        assert command("train.steps=1") == 0
    assert len(command.runs) == 1
    assert sum(line.endswith(": already done") for line in capsys.readouterr().out.splitlines()) == 1
    assert command("train.steps=1", "seed=1") == 0
    assert len(command.runs) == 2


def test_a_run_alone_ends_with_its_numbers_and_the_next_command(command, capsys, tmp_path):
    assert command("train.steps=1") == 0
    _, head, numbers, following = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["run", "estimator", "family"]
    assert numbers.split()[1:] == ["rloo", "bernoulli", "0", "done", "-12.35", "-2.00", "2.50"]
    assert following == f"python -m bench.report {tmp_path / 'out' / 'runs'} draws it."
    assert command("train.steps=2") == 1
    assert len(capsys.readouterr().out.splitlines()) == 1  # a run that failed has none


def test_skipped_runs_are_one_line(command, capsys):
    assert command("-m", "train.steps=4,1", "seed=0,1,2") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if "impossible" in line] == [
        "3 runs skipped, impossible pair: rloo with bernoulli."
    ]
    assert (
        len(said[said.index("impossible") :].splitlines()) == 1 + 1 + 3 + 1
    )  # a heading, the three that are done, the next command


@pytest.mark.parametrize(("retry", "runs"), [("changed", 2), ("failed", 2), ("keep", 1)])
def test_a_failed_run_is_run_again_if_asked(command, capsys, retry, runs):
    for _ in range(2):
        assert command("train.steps=2", f"sweep.retry={retry}") == 1
    assert len(command.runs) == runs
    assert "failed" in capsys.readouterr().out.splitlines()[1]


def test_a_diverged_run_is_a_result(command, capsys):
    for _ in range(2):
        assert command("train.steps=3") == 0
    assert len(command.runs) == 1
    assert "already diverged: The loss was not finite" in capsys.readouterr().out


def test_an_impossible_run_writes_nothing(command, tmp_path, capsys):
    assert command("train.steps=4") == 2
    assert capsys.readouterr().err == "These two do not go together.\n"
    assert files(tmp_path) == []


def test_a_run_that_cannot_start_is_one_sentence_and_a_bug_is_a_traceback(command, tmp_path, capsys):
    assert command("train.steps=6") == 2
    assert capsys.readouterr().err == "There is no such file.\n"
    with pytest.raises(RuntimeError, match="a bug"):
        command("train.steps=7")
    assert files(tmp_path) == []


# A user's own files


def test_a_yaml_of_ones_own(command, tmp_path, capsys):
    folder = tmp_path / "mine" / "estimator"
    folder.mkdir(parents=True)
    (folder / "rloo_nine.yaml").write_text("_target_: estimators.rloo.RLOO\nk: 9\n")
    own = ("--config-dir", str(tmp_path / "mine"), "train.steps=1")
    assert command(*own, "estimator=rloo_nine") == 0
    assert command.runs[0]["estimator"] == {"_target_": "estimators.rloo.RLOO", "k": 9}
    (folder / "rloo.yaml").write_text("_target_: estimators.rloo.RLOO\nk: 9\n")
    assert command(*own, "estimator=rloo_nine") == 2
    assert "rloo.yaml has the name of an estimator of the suite" in capsys.readouterr().err


# Flags and other commands


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"estimator-bench {__version__}\n"


@pytest.mark.parametrize(
    ("flags", "shown"),
    [(["--help"], "rloo"), (["--cfg", "job", "train.steps=77"], "steps: 77"), (["--info", "searchpath"], "conf")],
)
def test_flags_of_hydra(flags, shown):
    done = subprocess.run([sys.executable, "-m", "bench", *flags], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


@pytest.mark.parametrize("word", [*cli.COMMANDS])
def test_the_first_word_reaches_every_command(word, monkeypatch):
    class Module:
        @staticmethod
        def main(argv):
            return {"--flag": 7}[argv[0]]

    monkeypatch.setitem(sys.modules, cli.COMMANDS[word], Module)
    assert cli.main([word, "--flag"]) == 7


@pytest.mark.parametrize("module", [module for module in cli.COMMANDS.values() if find_spec(module)])
def test_every_command_has_a_main_that_takes_arguments(module):
    assert list(inspect.signature(importlib.import_module(module).main).parameters) == ["argv"]


def test_importing_the_package_loads_no_torch():
    program = "import sys, bench, bench.cli; sys.exit(bool({'torch', 'hydra', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_as_a_process(tmp_path):
    program = [sys.executable, "-m", "bench", "estimator=rlo", f"output={tmp_path}"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no estimator rlo: did you mean rloo?\n"
