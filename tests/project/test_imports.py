"""Imports point one way: bench -> estimators -> torch, and in bench from each room to lower ones. A report is made
without torch."""

import subprocess
import sys

import pytest

from tests.support.import_graph import FLOOR, circles, imported, path_to, project_sources, top_level, upwards
from tests.support.packages import ROOT

ESTIMATORS_MAY_IMPORT = {
    "torch",
    "typing_extensions",
    "estimators",
} | sys.stdlib_module_names  # torch brings the second


def forbidden_in_estimators(module: str, source: str) -> set[str]:
    return top_level(imported(module, source)) - ESTIMATORS_MAY_IMPORT


def test_rooms_import_lower_rooms_only_and_no_module_imports_itself_through_others():
    sources = project_sources()
    assert {m.split(".")[1] for m in sources if m.startswith("bench.")} <= {*FLOOR, "__init__"}
    assert upwards(sources) == []
    assert circles(sources) == []


@pytest.mark.parametrize(
    ("sources", "up", "circle"),
    [
        ({"bench.run.a": "from bench.sweep import b", "bench.sweep.b": ""}, [("bench.run.a", "bench.sweep.b")], []),
        ({"bench.run.a": "def f():\n    from bench.check.b import x", "bench.check.b": ""}, None, []),
        ({"bench.run.a": "from bench.run.b import x", "bench.run.b": "from bench.run import a"}, [], None),
        (
            {"bench.run.a": "import bench.model.b", "bench.model.b": "from bench.errors import X", "bench.errors": ""},
            [],
            [],
        ),
    ],
)
def test_arrows_that_point_up_and_circles_are_found(sources, up, circle):
    assert upwards(sources) == (up if up is not None else [("bench.run.a", "bench.check.b")])
    assert circles(sources) == (circle if circle is not None else [("bench.run.a", "bench.run.b")])


@pytest.mark.parametrize("module", [m for m in project_sources() if m.startswith("estimators.")])
def test_estimators_import_torch_the_standard_library_and_themselves_only(module):
    assert forbidden_in_estimators(module, project_sources()[module]) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import bench", {"bench"}),
        ("from bench.plugins import registry", {"bench"}),
        ("def forward(self):\n    import numpy as np", {"numpy"}),
        ("class A:\n    import torchvision", {"torchvision"}),
        ("import math\nimport torch.nn as nn\nfrom ..base import Estimator\nfrom estimators.latents import VQ", set()),
    ],
)
def test_forbidden_imports_of_estimators_are_found(source, found):
    assert forbidden_in_estimators("estimators.latents.planted", source) == found


@pytest.mark.parametrize("package", ["torch", "estimators"])
def test_report_reaches_no_torch(package):
    sources = project_sources()
    assert {"bench.report", "bench.report.__init__", "bench.report.command"} & set(sources)
    starts = [m for m in sources if m == "bench.report" or m.startswith("bench.report.")]
    assert [path for m in starts if (path := path_to(package, m, sources))] == []


@pytest.mark.parametrize(
    ("sources", "path"),
    [
        ({"bench.report": "import torch.nn"}, ["bench.report", "torch.nn"]),
        ({"bench.report": "class A:\n    import torch"}, ["bench.report", "torch"]),
        ({"bench.report": "", "bench.__init__": "import torch"}, ["bench.__init__", "torch"]),
        (
            {
                "bench.report": "from bench.tables import store",
                "bench.tables.store": "try:\n    import torch\nexcept ImportError: 0",
            },
            ["bench.report", "bench.tables.store", "torch"],
        ),
        ({"bench.report": "def draw():\n    import torch"}, None),
        ({"bench.report": "if TYPE_CHECKING:\n    import torch\nelse:\n    import math"}, None),
        ({"bench.report": "import pandas", "bench.train.trainer": "import torch"}, None),
    ],
)
def test_the_way_to_torch_is_found(sources, path):
    assert path_to("torch", "bench.report", sources) == path


def test_importing_the_report_loads_no_torch():
    program = "import sys, bench.report; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "bench.report loads torch through another package"


def test_test_modules_import_no_test_module():
    files = {f.relative_to(ROOT): f.read_text() for f in sorted((ROOT / "tests").rglob("*.py"))}
    names = {file: imported(".".join(file.with_suffix("").parts), text) for file, text in files.items()}
    found = [(str(file), name) for file, all_names in names.items() for name in all_names if ".test_" in name]
    assert len(files) > 100
    assert found == []
