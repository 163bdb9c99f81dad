"""The wheel and the sdist hold what they should, and the installed script finds its configuration from any folder."""

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.packages import ROOT, build, done

pytestmark = pytest.mark.slow


def in_the_tree(package: str) -> set[str]:
    files = (f for f in (ROOT / package).rglob("*") if f.is_file() and "__pycache__" not in f.parts)
    return {f.relative_to(ROOT).as_posix() for f in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    done(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
    return target


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A user's folder with packages of the same generic names, which must not be taken for ours."""
    for name in ("bench", "conf", "estimators"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong package')\n")
    return tmp_path


def test_the_wheel_holds_the_packages_and_their_configuration_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    inside = {f"bench/{name}" for name in in_the_tree("conf")}
    assert names - metadata == in_the_tree("bench") | in_the_tree("estimators") | inside | {"estimator_bench.py"}
    groups = {name.split("/")[2] for name in inside}
    assert groups >= {"config.yaml", "data", "estimator", "experiment", "latent", "model", "objective", "problem"}
    assert {"bench/py.typed", "estimators/py.typed"} <= names


def test_the_sdist_holds_the_tests_and_no_results(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    top = {name.split("/")[0] for name in names}
    assert {"bench", "estimators", "conf", "tests", "pyproject.toml", "README.md", "LICENSE", "Makefile"} <= top
    assert not top & {"results", "outputs", ".venv", ".git"}
    assert names >= in_the_tree("conf")


def test_the_installed_script_finds_its_configuration(installed, elsewhere):
    script = installed / "bin" / "estimator-bench"
    for overrides in ([], ["data=mnist", "latent=vq", "estimator=rloo", "estimator.k=3"]):
        shown = done(script, "--cfg", "job", *overrides, cwd=elsewhere, PYTHONPATH=str(installed))
        assert "\nlatent:" in shown
        assert f"  k: {3 if overrides else 4}\n" in shown


def test_the_installed_script_lists_the_estimators(installed, elsewhere):
    script = installed / "bin" / "estimator-bench"
    assert "rloo" in done(script, "list", cwd=elsewhere, PYTHONPATH=str(installed))


def test_the_installed_copy_is_what_was_tested(installed, elsewhere):
    program = (
        "import bench, bench.files, estimators; print(bench.__file__, bench.files.CONF, estimators.__file__, sep='\\n')"
    )
    lines = done(sys.executable, "-P", "-c", program, cwd=elsewhere, PYTHONPATH=str(installed)).splitlines()
    assert all(Path(line).is_relative_to(installed) for line in lines)
    assert len(lines) == 3
    assert not (installed / "conf").exists()


def test_an_editable_install_holds_no_copy_of_the_configuration(tmp_path):
    program = f"import hatchling.build; hatchling.build.build_editable({str(tmp_path)!r})"
    done(sys.executable, "-c", program)
    (archive,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(archive).namelist() if ".dist-info/" not in name}
    assert {Path(name).suffix for name in names} == {".pth"}
