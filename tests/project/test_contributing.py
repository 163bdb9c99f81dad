"""What CONTRIBUTING.md prints works as it stands."""

import importlib.util
import re

import pytest

from bench.check import check
from tests.support.packages import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_estimator_of_the_page_keeps_its_word(tmp_path, monkeypatch):
    (tmp_path / "contributed.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    cls = importlib.import_module("contributed").TwoSample
    assert cls.name == "two_sample"
    found = check(cls, families=["bernoulli"], quick=True)
    assert not [verdict for verdict in found if verdict.status == "FAILED"]
    assert ("mean", "ok") in [(verdict.rule, verdict.status) for verdict in found]


def test_by_hand(capsys):
    exec(blocks("python")[1], {})
    assert re.fullmatch(r"tensor\(\[[^,]+(, [^,]+){3}\]\)", capsys.readouterr().out.strip())


@pytest.mark.parametrize("command", re.findall(r"^python -m (bench\S*) ", PAGE, re.MULTILINE))
def test_every_command_of_the_page_exists(command):
    assert importlib.util.find_spec(command)
