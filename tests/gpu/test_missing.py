"""A machine that lacks the carried packages is told so, and told what it has."""

import subprocess
import sys

import pytest

from bench.gpu import command
from bench.gpu.parts import ENGINES, Part
from bench.train import engine

WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['hydra', 'omegaconf', 'antlr4'])); "


def test_nothing_before_the_parts_needs_a_carried_package():
    words = [sys.executable, "-c", f"{WITHOUT}import bench.gpu.command, bench.gpu.versions"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_engines_are_those_of_a_training():
    assert ENGINES == engine.ENGINES


def test_a_missing_package_is_one_sentence_and_the_versions_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "hydra" else name)
    words = ["--device", "cpu", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as refused:
        command.main(words)
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("python -m bench.gpu: this Python lacks hydra; install what `make wheels` collects")
    assert said.count("\n") == 1
    made = [Part("versions", 1, "timeit", ["-n", "1", "-r", "1", "print(1)"])]
    monkeypatch.setattr(command, "parts", lambda *_: made)
    assert command.main([*words, "--only", "versions"]) == 0
    capsys.readouterr()
