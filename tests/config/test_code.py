"""The digest of the code behind a run's numbers: what moves it, and what does not."""

import json
import shutil
import sys

import pytest

from bench.config import code, statements
from tests.support.packages import ROOT, done, place

PROGRAM = """
import json, sys
from bench.config.code import distribution, made_by
asked = json.loads(sys.argv[1])
found = {n: [made_by({"estimator": {"_target_": t}, "measure": {"reference": r}, **more}), distribution(t)]
         for n, (t, r, more) in asked.items()}
print(json.dumps(found | {"torch": "torch" in sys.modules}))
"""
RLOO, DISARM = "estimators.rloo.RLOO", "estimators.disarm.Disarm"
ASKED = {
    "rloo": (RLOO, "none", {}),
    "disarm": (DISARM, "none", {}),
    "to exact": (DISARM, "auto", {}),
    "to another": (DISARM, "muprop", {}),
    "to one of a file": (DISARM, "ovis_monte_carlo", {}),  # whose file has another name
    "measured": (RLOO, "none", {"probe": {}}),
}
FIRST = '"""'  # where a docstring begins
MORE = "\nADDED = 1\n"
WITH_EXACT = ("to exact", "to another", "to one of a file")
EDITS = {
    "a comment": ("estimators/rloo.py", lambda s: "# said\n" + s + "# and said\n", ()),
    "a docstring": ("bench/measure/gradient/moments.py", lambda s: s.replace(FIRST, FIRST + "Said. ", 1), ()),
    "layout": ("estimators/rloo.py", lambda s: s.replace("(", "(\n\n", 1).replace("'", '"'), ()),
    "the report": ("bench/report/show.py", lambda s: s + MORE, ()),
    "the estimator": ("estimators/rloo.py", lambda s: s + MORE, ("rloo", "measured", *WITH_EXACT)),
    "another estimator": ("estimators/disarm.py", lambda s: s + MORE, ("disarm", *WITH_EXACT)),
    "the reference": ("estimators/muprop.py", lambda s: s + MORE, ("to another", "to one of a file")),
    "the measuring": ("bench/measure/gradient/moments.py", lambda s: s + MORE, ASKED),
    "a stream": ("bench/run/rows.py", lambda s: s.replace("measurement at", "measured at"), ASKED),
    "a family": ("estimators/latents/bernoulli.py", lambda s: s + MORE, ASKED),
    "the data": ("bench/data/readers.py", lambda s: s + MORE, ASKED),
    "the probe": ("bench/probe/shared.py", lambda s: s + MORE, ("measured",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the suite."""
    place = tmp_path_factory.mktemp("tree")
    for package in ("bench", "estimators"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "estimator_bench.py", place)
    return place


def digests(tree, asked=ASKED, *paths):
    """For each of `asked` the digest and the distribution, in a process of its own, which loads no torch."""
    places = ":".join(map(str, [tree, *paths]))
    found = json.loads(done(sys.executable, "-c", PROGRAM, json.dumps(asked), cwd=tree, PYTHONPATH=places))
    assert found.pop("torch") is False
    return found


@pytest.fixture(scope="module")
def before(tree):
    return digests(tree)


@pytest.mark.parametrize("edit", EDITS)
def test_what_moves_the_digest(edit, tree, before):
    place, change, moved = EDITS[edit]
    file, text = tree / place, (tree / place).read_text()
    assert change(text) != text
    try:
        file.write_text(change(text))
        after = digests(tree)
    finally:
        file.write_text(text)
    assert {name for name in ASKED if after[name] != before[name]} == set(moved)


def test_the_loaded_suite_has_the_digest_of_its_files(before):
    for name, (target, reference, more) in ASKED.items():
        config = {"estimator": {"_target_": target}, "measure": {"reference": reference}, **more}
        assert code.made_by(config) == before[name][0]
    assert len({digest for digest, _ in before.values()}) == len(before)


IDEA = """
from math import pi
import json
import {helper}
from estimators.rloo import RLOO
class Idea(RLOO):
    pass
"""


def test_a_plugin_and_a_class_of_a_file(tree, tmp_path):
    site, mine = tmp_path / "site-packages", tmp_path / "mine"
    place(site, "planted", IDEA.format(helper="planted_other"), planted_idea="planted:Idea")
    (site / "planted_other.py").write_text("")
    mine.mkdir()
    for name in ("my_module", "helper", "unrelated"):
        (mine / f"{name}.py").write_text(IDEA.format(helper="helper") if name == "my_module" else "A = 1\n")
    asked = {"plugin": ("planted.Idea", "none", {}), "mine": ("my_module.Idea", "none", {}),
             "nowhere": ("no_such_module.Idea", "none", {})}  # fmt: skip

    def found():
        return digests(tree, asked, site, mine)

    def moved(file, text):
        held = file.read_text()
        file.write_text(text)
        after = found()
        file.write_text(held)
        return {name for name in asked if after[name] != first[name]}

    first = found()
    assert [distribution for _, distribution in first.values()] == ["planted 1.0", None, None]
    assert first["nowhere"][0] is None
    assert moved(mine / "helper.py", "A = 2\n") == {"mine"}
    assert moved(mine / "unrelated.py", "A = 2\n") == set()
    assert moved(mine / "my_module.py", "# said\n" + IDEA.format(helper="helper")) == set()
    assert moved(site / "planted.py", IDEA.format(helper="planted_other") + MORE) == {"plugin"}
    assert moved(site / "planted_other.py", "A = 2\n") == set()  # of another package, for all that is known
    metadata = site / "planted-1.0.dist-info" / "METADATA"
    assert moved(metadata, metadata.read_text().replace("Version: 1.0", "Version: 1.1")) == {"plugin"}
    assert moved(tree / "estimators" / "rloo.py", "class RLOO: pass\n") == {"plugin", "mine"}


SNIPPET = '''"""Said."""
import a.b as c
from . import d
def f(x: int = 3, /, *y, z=-0.5, **w) -> "g[int]":
    """Said."""
    match x:
        case {"k": [1, *_], **rest} if (n := x) > 0: return f"{x!r:>{z}} {y=}" "and" rf"\\d{{{n}}}"
        case A(b=None) | 2j: ...
    try: return lambda: (yield)
    except* (ValueError, TypeError) as e: raise e from None
class C[0]: ...
'''.replace("class C[0]", "class C(D, metaclass=M)")


def test_the_digest_is_the_same_in_every_version_of_python(tmp_path):
    (tmp_path / "snippet.py").write_text(SNIPPET)
    source = statements.source_of(tmp_path / "snippet.py", "package.snippet")
    assert source.digest[:12] == "3514afbedd78"
    assert source.imports == ("a.b", "package", "package.d")


@pytest.mark.parametrize("text", ["def f(:\n", "x = 1\0\n", "x = " + "-" * 3000 + "1\n"])
def test_what_cannot_be_parsed_counts_by_its_bytes(tmp_path, text):
    found = []
    for i, end in enumerate(("", "# said\n")):
        file = tmp_path / f"{i}.py"
        file.write_text(text + end)
        found.append(statements.source_of(file, "snippet"))
    assert found[0].digest != found[1].digest
    assert found[0].imports == ()


def test_every_module_that_is_named_is_there():
    for name in (*code.NUMERIC, *code.COMMON, *code.REFERENCES):
        assert code.file_of(name), name
