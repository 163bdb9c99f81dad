"""The page of every key: up to date, complete, and with the defaults that Hydra composes."""

import pytest
from omegaconf import OmegaConf

from bench.config.identity import flatten
from bench.config.keys import CONF, documented, keys, markdown
from bench.config.rules import PROBE, RULES, TUNE
from tests.support.composed import composed
from tests.support.packages import ROOT


def test_the_page_is_up_to_date():
    assert (ROOT / "docs" / "configuration.md").read_text() == markdown(), "make docs"


@pytest.mark.parametrize("name", sorted({*RULES, *PROBE, *TUNE} - {"option"}))
def test_every_key_has_a_meaning(name):
    assert keys()[name].comment, f"say in conf/ what {name} means, beside its value"


def test_the_defaults_are_those_of_a_run():
    found = dict(flatten(OmegaConf.to_container(composed(), resolve=True)))
    told = {name: key.default for name, key in keys().items() if name in found and "${" not in key.default}
    assert len(told) > 40
    for name, default in told.items():
        assert OmegaConf.create(f"x: {default}").x == found[name], name


def test_every_line_that_sets_something_is_read():
    for file in [CONF / "config.yaml", CONF / "probe.yaml", CONF / "tune.yaml", *sorted(CONF.glob("[lt]*/*.yaml"))]:
        found = {name for name, _ in documented(file)}
        plain = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
        plain.pop("hydra", None)
        assert {name for name, _ in flatten(plain)} - {"defaults"} <= found, file


def test_a_comment_above_or_beside_is_the_keys_own(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text('# of the file\na: 1\n# of b\nb:\n  c: "x # y" # of c\n  d: 2\n')
    found = dict(documented(file, "group"))
    assert {name: key.comment for name, key in found.items()} == {
        "group.a": "", "group.b": "of b", "group.b.c": "of c", "group.b.d": ""
    }  # fmt: skip
    assert found["group.b.c"].default == '"x # y"'
