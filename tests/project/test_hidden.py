"""A user's own project may have a folder `bench/` or `estimators/`: one sentence says so, and nothing else happens."""

import os
import sys

import pytest

import bench
from tests.support.packages import ROOT, done, run

SUITE = [sys.executable, "-m", "estimator_bench"]  # what the installed script calls


@pytest.fixture
def project(tmp_path):
    """A user's folder in which `mine(name)` makes a package or a module of that name."""

    def mine(name: str):
        file = tmp_path / (name if name.endswith(".py") else f"{name}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("MINE = True\n")
        return tmp_path

    return mine


def path(*folders) -> str:
    return os.pathsep.join(map(str, folders))


@pytest.mark.parametrize("name", ["bench", "estimators", "bench.py", "estimators.py"])
@pytest.mark.parametrize("words", [["--version"], ["list"], ["estimator=rloo", "train.steps=1"]])
def test_a_command_says_which_folder_is_in_the_way(project, name, words):
    folder = project(name)
    found = run(*SUITE, *words, cwd=folder, PYTHONPATH=path(folder, ROOT))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"Python finds {folder / name} where it looks for {name.removesuffix('.py')} of ")
    assert found.stderr.count("\n") == 1
    assert os.listdir(folder) == [name]


@pytest.mark.parametrize("module", ["bench", "bench.list", "bench.check", "bench.probe", "bench.speed"])
def test_python_m_in_a_folder_with_estimators_of_its_own(project, module):
    folder = project("estimators")
    found = run(sys.executable, "-m", module, cwd=folder, PYTHONPATH=str(ROOT))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"Python finds {folder / 'estimators'} where")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["bench", "estimators", "conf", "tests"])
def test_an_installed_suite_is_not_hidden_by_the_folder_that_it_runs_in(project, name):
    folder = project(name)
    program = "import sys, estimator_bench; sys.exit(estimator_bench.main())"  # a script: its own folder is on the path
    shown = done(sys.executable, "-P", "-c", program, "--version", cwd=folder, PYTHONPATH=str(ROOT))
    assert shown == f"estimator-bench {bench.__version__}\n"


def test_a_folder_that_is_no_package_hides_nothing(tmp_path):
    (tmp_path / "estimators").mkdir()
    (tmp_path / "estimators" / "mine.py").touch()
    assert "rloo" in done(*SUITE, "list", cwd=tmp_path, PYTHONPATH=path(tmp_path, ROOT))


def test_in_python_estimators_are_refused_and_tables_still_load(project):
    folder = project("estimators")
    program = """
import bench, estimators
assert estimators.MINE
assert callable(bench.load)
for name in ("estimator", "compare"):
    try:
        getattr(bench, name)
    except ImportError as error:
        print(error)
"""
    shown = done(sys.executable, "-c", program, cwd=folder, PYTHONPATH=str(ROOT)).splitlines()
    assert len(shown) == 2
    assert all(line.startswith(f"Python finds {folder / 'estimators'} where") for line in shown)
