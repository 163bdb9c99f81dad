"""The commit's name where there is no .git."""

import subprocess

import pytest

from bench.run import provenance


@pytest.fixture
def commit(monkeypatch, tmp_path):
    """The function without its memory, of a tree that is no checkout."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.delenv(provenance.COMMIT, raising=False)
    return provenance.commit.__wrapped__


@pytest.mark.parametrize(
    ("said", "name"), [(None, None), ("", None), (" 855e2d8f \n", "855e2d8f"), ("a\x1b[2Jb", "a\\x1b[2Jb")]
)
def test_a_copy_without_git_has_the_name_that_it_is_given(commit, monkeypatch, said, name):
    if said is not None:
        monkeypatch.setenv(provenance.COMMIT, said)
    assert commit() == name


def test_a_checkout_has_its_own_name(commit, monkeypatch, tmp_path):
    monkeypatch.setenv(provenance.COMMIT, "another")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    head = subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert commit() == head.stdout[:12]
    (tmp_path / "inner").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "inner")  # the repository of somebody else around this copy
    assert commit() == "another"
