"""Every rule refuses what it should, in a sentence with the key in it: the lines are made from the rules themselves."""

import json
import math

import pytest

from bench import cli
from bench.config.prepare import check_keys, prepare
from bench.config.rules import PROBE, RULES
from bench.errors import BadInput
from bench.probe import command
from bench.run import seeds
from tests.support.from_rules import KEYS, bad_values, base, changed, one_sentence_about

DEFAULTS = {"probe.estimators": ["all"], "probe.checkpoint": None, "probe.at": [0, 1], "probe.tuning_steps": 1}
DEFAULTS |= {"probe.batch_sizes": [50]}
MADE = [(key, wrong, value) for key in KEYS for wrong, value in bad_values(key, RULES[key])]
PROBED = [(wrong, value) for key in PROBE for wrong, value in bad_values(key, PROBE[key])]


@pytest.mark.parametrize("key", KEYS)
def test_what_a_rule_refuses_is_refused_in_a_sentence(key):
    _, config = base(key)
    wrongs = bad_values(key, RULES[key])
    assert len(wrongs) == (2 if RULES[key].kind is bool else 3)
    for wrong, value in wrongs:
        with pytest.raises(BadInput) as error:
            prepare(changed(config, wrong, value))
        assert one_sentence_about(str(error.value), wrong)


@pytest.mark.parametrize(("key", "value"), PROBED)
def test_the_rules_of_probe_too(key, value):
    check_keys(DEFAULTS, PROBE)
    with pytest.raises(BadInput) as error:
        check_keys(DEFAULTS | {key: value}, PROBE)
    assert one_sentence_about(str(error.value), key)


def written(value):
    """As in an override."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value).replace('"', "") if value != "" else ""


@pytest.mark.parametrize(("key", "wrong", "value"), MADE[:: len(MADE) // 11])
def test_some_of_them_through_the_whole_command(key, wrong, value, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(seeds, "start", None)
    monkeypatch.chdir(tmp_path)
    override, _ = base(key)
    assert cli.main([override, f"{wrong}={written(value)}"]) == 2
    refused(capsys, wrong, tmp_path)


@pytest.mark.parametrize(("key", "value"), PROBED[::3])
def test_some_of_those_of_probe_through_the_whole_command(key, value, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([f"{key}={written(value)}"]) == 2
    refused(capsys, key, tmp_path)


def refused(capsys, key, folder):
    said = capsys.readouterr()
    assert said.out == ""
    assert one_sentence_about(said.err.removesuffix("\n"), key)
    assert list(folder.rglob("*")) == []
