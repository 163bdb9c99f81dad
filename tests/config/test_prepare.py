"""The rules of a config, and the identity of a run: what it depends on, and what it does not."""

import itertools
import json
import re

import pytest

from bench.config.identity import NUMBERS, flatten, identity
from bench.config.prepare import check, prepare
from bench.config.rules import RULES, VQ
from bench.errors import BadInput
from bench.files import CONF, ROOT
from bench.settings.later import LATER
from tests.support.composed import resolved

GROUPS = ("problem", "latent", "model", "data", "objective", "estimator", "experiment")
OPTIONS = [f"{group}={file.stem}" for group in GROUPS for file in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_file_of_conf_passes_the_check(option, tmp_path):
    (tmp_path / "images.npy").write_bytes(b"whatever: only its digest counts")
    own = [f"data.path={tmp_path / 'images.npy'}"] if option == "data=file" else []
    assert prepare(resolved(option, *own))["device"] in ("cpu", "cuda")


def test_every_rule_is_a_key_of_conf():
    keys = {key for option in ["seed=0", *OPTIONS] for key, _ in flatten(resolved(option))}
    assert RULES.keys() - keys == {"option"}


def test_every_rule_refuses_something():
    config = prepare(resolved("latent=vq"))
    keys = {key for key, _ in flatten(config)} & RULES.keys() - {"option"}
    assert len(keys) > 50
    for key in keys:
        for wrong in ({"not": "a value"}, [["nested"]], float("nan")):
            *path, last = key.split(".")
            changed = json.loads(json.dumps(config))
            node = changed
            for name in path:
                node = node[name]
            node[last] = wrong
            with pytest.raises(BadInput):
                check(changed)


def test_the_identity_depends_on_what_changes_a_number_and_on_nothing_else():
    base = ["device=cpu"]
    same = ["name=other", "output=elsewhere", "data.root=there", "sweep.retry=keep", "data.download=false"]
    same += ["sweep.fail_fast=true", "sweep.time_limit=9", "sweep.checkpoint_seconds=null"]
    same += ["objective.beta=1", "evaluate.at=[0,0.1,0.2,0.5,1.0]", "estimator.k=4", "estimator=rloo", "device=auto"]
    other = ["seed=1", "seeds.measure=1", "train.lr=2e-3", "estimator.k=5", "estimator=reinforce", "threads=1"]
    other += ["dtype=float64", "latent.dim=3", "data=static_mnist", "measure.draws=8", "evaluate.at=[0]"]
    ids = {change: identity(prepare(resolved(*base, change))) for change in [*base, *same, *other]}
    assert {ids[change] for change in [*base, *same] if change != "device=auto"} == {ids["device=cpu"]}
    for one, two in itertools.combinations(["device=cpu", *other], 2):
        assert ids[one] != ids[two], (one, two)
    assert all(len(found) == 12 and set(found) <= set("0123456789abcdef") for found in ids.values())


def test_the_identity_changes_with_the_versions(monkeypatch):
    config = prepare(resolved("device=cpu"))
    before = identity(config)
    assert identity(config | {"option": "another"}) == before
    for constant in ("SCHEMA", "NUMBERS"):
        with monkeypatch.context() as patch:
            patch.setattr(f"bench.config.identity.{constant}", 99)
            assert identity(config) != before


@pytest.mark.parametrize("key", LATER)
def test_keys_that_came_later_leave_the_identity_of_earlier_runs_alone(key):
    config = prepare(resolved("device=cpu", *(["latent=vq"] if RULES[key].only == VQ else [])))
    *group, leaf = key.split(".")
    node = config[group[0]] if group else config
    found = identity(config)
    assert node.pop(leaf) == LATER[key]
    assert identity(config) == found  # as before there was such a key
    node[leaf] = "tf32" if leaf == "precision" else 0.5
    assert identity(config) != found


def test_the_precision_of_a_gpu_is_none_of_a_cpu():
    with pytest.raises(BadInput, match="precision=tf32 is of a GPU's float32 products, and this run is on the"):
        prepare(resolved("device=cpu", "precision=tf32"))


def marked(changelog: str) -> list[int | None]:
    """The number beside each mark of an entry; None where there is none."""
    found = re.findall(r"^\* .*?\*\*\[numbers ?(\d*)\]\*\*", changelog, re.MULTILINE)
    return [int(number) if number else None for number in found]


def test_the_marks_in_the_changelog_are_the_version_of_the_numbers():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert None not in marked(changelog), "write **[numbers n]**, n being NUMBERS of bench/config.py, which it raises"
    assert max(marked(changelog), default=1) == NUMBERS
    assert len(marked(changelog)) >= NUMBERS - 1
    more = f"{changelog}* **[numbers]** The noise is drawn otherwise.\n* **[numbers {NUMBERS + 1}]** The order too.\n"
    assert marked(more) == [*marked(changelog), None, NUMBERS + 1]


def test_an_identity_has_no_infinity():
    config = prepare(resolved("device=cpu"))
    config["estimator"]["k"] = float("inf")
    with pytest.raises(BadInput, match="finite"):
        identity(config)


@pytest.mark.parametrize(
    ("words", "cuda", "said"),
    [
        ("engine=compile device=cpu", False, "engine=compile needs a C++ compiler, and this machine has none"),
        ("engine=compile device=auto", False, "engine=compile needs a C++ compiler, and this machine has none"),
        ("engine=compile device=cuda", True, "engine=compile needs Triton, and this machine has none"),
        ("engine=compiled_graph device=cuda", True, "engine=compiled_graph needs Triton, and this machine has none"),
    ],
)
def test_what_compiles_needs_a_compiler(monkeypatch, words, cuda, said):
    monkeypatch.setattr("bench.config.prepare.has_cuda", lambda: cuda)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=rf"^{re.escape(said)}; engine=eager runs\.$"):
        check(resolved(*words.split()))
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    check(resolved(*words.split()))
