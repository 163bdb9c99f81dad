"""A package with one part of each kind, from its sources to a sweep and a report; packages that do not work; a YAML."""

import os
import re
import sys
import sysconfig
from pathlib import Path

import pytest

from bench.tables import store
from tests.support.packages import ROOT, build, done, place, run

EXAMPLE = ROOT / "tests" / "plugin_example"
SOURCE = (EXAMPLE / "self_critical.py").read_text()
TINY = (
    "output=out", "device=cpu", "threads=1", "latent=bernoulli_small", "model.hidden=[8]", "data.train_size=60",
    "train.steps=2", "train.batch_size=10", "measure.draws=4", "measure.batches=2", "measure.at=[1]", "evaluate.at=[1]",
    "evaluate.examples=10", "evaluate.samples=2", "evaluate.prior_samples=2", "timing.repetitions=0",
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """A fresh virtual environment with the two wheels installed, which borrows what they depend on."""
    wheels = [build("wheel", tmp_path_factory.mktemp(source.name), source) for source in (ROOT, EXAMPLE)]
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin" / "python"
    done(sys.executable, "-m", "venv", "--without-pip", folder)
    done(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", *wheels)
    site = done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # Behind the environment's own packages, and a path file found there is not read: no editable install gets in.
    borrowed = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (Path(site) / "borrowed.pth").write_text("\n".join([*borrowed, ""]))
    return folder


def runs(folder: Path) -> list[dict]:
    """The rows of `runs` below a folder."""
    return [store.read(marker.parent)["runs"].to_pylist()[0] for marker in folder.rglob(store.MARKER)]


def test_the_example_beside_the_installed_suite(environment, tmp_path):
    def estimator_bench(*words: str) -> str:
        return done(environment / "bin" / "estimator-bench", *words, cwd=tmp_path, PYTHONPATH="")

    program = "import bench, estimators, self_critical as s; print(bench.__file__, estimators.__file__, s.__file__)"
    files = done(environment / "bin" / "python", "-P", "-c", program, cwd=tmp_path, PYTHONPATH="").split()
    assert all(Path(file).is_relative_to(environment) for file in files)

    [line] = [line for line in estimator_bench("list").splitlines() if line.split()[:1] == ["self_critical"]]
    assert line.split()[-1] == "self-critical"  # the distribution's name
    assert "k + 1 / 0" in line

    estimator_bench("estimator=self_critical", "estimator.k=3", *TINY)
    [row] = runs(tmp_path)
    assert (row["status"], row["estimator"], row["unbiased"]) == ("done", "self_critical", True)
    assert '"k": 3' in row["config"]

    estimator_bench("-m", "estimator=rloo,self_critical", "seed=1", *TINY)
    assert sorted((row["estimator"], row["seed"], row["status"]) for row in runs(tmp_path)) == [
        ("rloo", 1, "done"), ("self_critical", 0, "done"), ("self_critical", 1, "done"),
    ]  # fmt: skip

    named = {"data": "stripes", "model": "film", "latent": "laplace", "problem": "ising"}
    program = f"from bench.list import main; [main(['--kind', kind]) for kind in {[*named]}]"
    listed = done(environment / "bin" / "python", "-P", "-c", program, cwd=tmp_path, PYTHONPATH="").splitlines()
    assert {line.split()[0] for line in listed if line.split()[-1:] == ["self-critical"]} == {*named.values()}

    rest = [word for word in TINY if not word.startswith(("latent=", "model."))]
    parts = ("data=stripes", "model=film", "latent=laplace", "data.side=4", "latent.dim=2")
    estimator_bench("-m", "estimator=rloo,reparam", *parts, "name=parts", *rest)
    rest = [word for word in rest if not word.startswith("data.")]
    estimator_bench("estimator=disarm", "problem=ising", "measure.reference=auto", "name=ising", *rest)
    folder = tmp_path / "out"
    assert [(r["status"], r["family"]) for r in runs(folder / "parts")] == 2 * [("done", "laplace")]
    assert [(r["status"], r["family"]) for r in runs(folder / "ising")] == [("done", "bernoulli")]
    assert len({r["code"] for r in runs(folder / "parts")}) == 2
    assert len([*(folder / "parts").rglob("images.npz")]) == 2
    estimator_bench("report", folder / "parts")
    assert "laplace" in (folder / "parts" / "report" / "report.html").read_text()
    assert estimator_bench("check", "laplace", "film").splitlines()[-1] == "2 checked; every check passed."

    shown = estimator_bench("check", "--quick", "--family", "bernoulli", "self_critical")
    assert "every check passed" in shown
    [mean] = [line for line in shown.splitlines() if line.split()[2:3] == ["mean"]]
    assert mean.split()[:4] == ["self_critical", "bernoulli", "mean", "ok"]


def test_the_kit_finds_a_bias_in_a_package(tmp_path):
    wrong = SOURCE.replace("cost(q.harden(q.logits).unsqueeze(0))", "c.mean(0, keepdim=True)")  # z in its own baseline
    assert wrong != SOURCE
    place(tmp_path, "wrong", wrong, self_critical="wrong:SelfCritical")
    words = ("-m", "bench.check", "--quick", "--family", "bernoulli", "self_critical")
    checked = run(sys.executable, *words, PYTHONPATH=str(tmp_path))
    assert checked.returncode == 1
    assert "failed: self_critical" in checked.stdout.splitlines()[-1]
    assert "file  wrong" in checked.stdout


def test_a_package_that_cannot_be_imported_is_one_line_and_everything_else_works(tmp_path):
    place(tmp_path, "broken", "import nowhere_at_all", any="broken:Any")
    place(tmp_path, "works", SOURCE, self_critical="works:SelfCritical")
    words = ("-m", "bench", "-m", "estimator=rloo,self_critical", *TINY, f"output={tmp_path / 'out'}")
    finished = run(sys.executable, *words, PYTHONPATH=str(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert [row["status"] for row in runs(tmp_path)] == ["done", "done"]
    [line] = finished.stderr.splitlines()
    assert line == (
        "Estimator any of broken is left out: ModuleNotFoundError: No module named 'nowhere_at_all' "
        "(line 1 of broken.py)."
    )


@pytest.mark.parametrize(
    ("option", "others"), [("rloo", "estimators/rloo.py and rival"), ("mine", r"first and rival|rival and first")]
)
def test_two_of_one_name_are_refused_with_both_their_homes(tmp_path, option, others):
    if option == "mine":
        place(tmp_path, "first", SOURCE, mine="first:SelfCritical")
    place(tmp_path, "rival", SOURCE, **{option: "rival:SelfCritical"})
    refused = run(sys.executable, "-m", "bench", "estimator=disarm", *TINY, PYTHONPATH=str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(rf"Two estimators are called {option}: ({others}); rename one\.\n", refused.stderr)


def test_a_yaml_of_ones_own_names_a_module_of_ones_own(tmp_path):
    (tmp_path / "my_module.py").write_text(SOURCE)
    (tmp_path / "mine" / "estimator").mkdir(parents=True)
    (tmp_path / "mine" / "estimator" / "my_idea.yaml").write_text("_target_: my_module.SelfCritical\nk: 8\n")
    words = ("-m", "bench", "--config-dir", "mine", "-m", "estimator=my_idea,rloo", *TINY)
    path = os.pathsep.join([str(ROOT), "."])
    done(sys.executable, *words, cwd=tmp_path, PYTHONPATH=path)
    by_name = {row["estimator"]: row for row in runs(tmp_path)}
    assert {name: row["status"] for name, row in by_name.items()} == {"my_idea": "done", "rloo": "done"}
    assert '"_target_": "my_module.SelfCritical"' in by_name["my_idea"]["config"]
    refused = run(sys.executable, *words, "estimator.k=0", cwd=tmp_path, PYTHONPATH=path)
    assert "k >= 1; got k=0" in refused.stdout + refused.stderr
