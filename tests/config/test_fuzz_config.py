"""Any value of any key: a configuration that the rules hold of, or one sentence. Any override: that too, or a run."""

import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import cli
from bench.config.identity import LABELS, flatten, identity
from bench.config.prepare import MEMORY, on_device, prepare
from bench.config.rules import RULES
from bench.errors import BadInput
from bench.run.ending import Ending
from tests.support.from_rules import KEYS, base, changed, one_sentence_about
from tests.support.stand_in import instead_of_runs

NUMBERS = st.integers(-3, 3) | st.integers() | st.sampled_from([2**53, 10**400, -(10**400)])
NUMBERS |= st.floats() | st.sampled_from([1.0, -0.0, 0.5, 1e-200, 1e200, math.nan, math.inf])
WORDS = st.text(max_size=5) | st.sampled_from([c for rule in RULES.values() for c in rule.choices])
SIMPLE = st.none() | st.booleans() | NUMBERS | WORDS
ANY = st.recursive(
    SIMPLE | st.lists(SIMPLE, max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def holds(key, value):
    """Whether the value is of the rule's type, finite, and one that the rule has."""
    rule = RULES[key]
    if value is None:
        return rule.optional
    if rule.many != isinstance(value, list):
        return False
    return all(
        type(v) is rule.kind and (rule.kind is not float or math.isfinite(v)) and rule.holds(v)
        and (not rule.choices or v in rule.choices) for v in (value if rule.many else [value])
    )  # fmt: skip


@settings(max_examples=600)
@given(key=st.sampled_from(KEYS), value=ANY)
def test_any_value_of_a_key_holds_or_is_refused_in_a_sentence(key, value):
    _, config = base(key)
    made = changed(config, key, value)
    asked = copy.deepcopy(made)
    try:
        prepared = prepare(made)
    except BadInput as refused:
        said = str(refused)
    else:
        said = ""
    if said:
        group = key.partition(".")[0]  # another family, say, leaves other keys without meaning
        assert one_sentence_about(said, key if isinstance(value, list | float) else group if "." in key else "")
        with_another = key == "train.nesterov"  # which needs sgd and a momentum
        assert not isinstance(value, bool) or not holds(key, value) or with_another
    else:
        leaves = {k: v for k, v in flatten(prepared) if not k.startswith("estimator.")}
        assert all(holds(k, v) for k, v in leaves.items())
        assert len(identity(prepared)) == 12
        if (key, value) == ("measure.memory", None):
            assert leaves[key] == MEMORY[prepared["device"]]
        elif key == "latent.layers" and value is not None and len(value) == 1:  # a latent of that size
            assert (leaves[key], leaves["latent.dim"]) == (None, value[0])
        elif value != "auto":
            assert leaves[key] == value
    assert repr(made) == repr(asked)  # what was asked is not changed


def test_the_memory_of_a_chunk_is_the_devices_where_none_is_asked_for():
    _, config = base("measure.memory")
    asked = config | {"device": "cpu", "measure": config["measure"] | {"memory": None}}
    assert identity(prepare(asked)) == identity(prepare(changed(asked, "measure.memory", 256)))  # as it always was
    assert on_device(asked, "cuda")["measure"]["memory"] == 4096
    assert on_device(changed(asked, "measure.memory", 9), "cuda")["measure"]["memory"] == 9


FLOATS = [key for key in KEYS if RULES[key].kind is float and not RULES[key].many]


@pytest.mark.parametrize("key", FLOATS)
def test_the_identity_is_that_of_the_number(key):
    _, config = base(key)
    for one, two in ((1, 1.0), (0, -0.0)):
        if RULES[key].holds(one) and key not in LABELS:
            assert identity(changed(config, key, one)) == identity(changed(config, key, two))
    assert identity(changed(config, key, 0.25)) != identity(changed(config, key, 0.75)) or key in LABELS


@settings(max_examples=150)
@given(value=NUMBERS | st.none() | st.booleans() | WORDS | st.lists(NUMBERS, max_size=2), name=st.text(max_size=4))
def test_any_hyper_parameter_is_typed_or_refused_in_a_sentence(value, name):
    _, config = base("seed")
    for key in ("k", name):
        try:
            made = prepare(changed(config, "estimator", config["estimator"] | {key: value}))
        except BadInput as refused:
            said = str(refused)
        else:
            said = ""
        if said:
            assert one_sentence_about(said, "")
        else:
            assert type(made["estimator"]["k"]) is int
            assert len(identity(made)) == 12


PIECES = st.sampled_from([*"=[]{}(),:~+@$\\'\"# \t%!", "${", "}", "null", "nan", "inf", "1e999", "seed", "train", "é"])
OVERRIDES = st.one_of(
    st.builds("{}={}".format, st.sampled_from([*KEYS, "estimator", "latent", "problem", "hydra.job.name"]), st.text()),
    st.builds("{}={}".format, st.sampled_from(KEYS), st.lists(PIECES, max_size=5).map("".join)),
    st.lists(PIECES | st.sampled_from(KEYS), min_size=1, max_size=5).map("".join),
    st.text(min_size=1, max_size=8),
)


@settings(max_examples=80)
@given(override=OVERRIDES)
def test_any_override_is_a_run_or_one_sentence_about(override, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "override"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        instead_of_runs(patch, lambda config, directory: Ending("done"))
        said = []
        patch.setattr("builtins.print", lambda *words, **_: said.append(str(words[0])))
        status = cli.main([override])
    assert status in (0, 2)
    assert len(said) == 1
    assert status == 0 or one_sentence_about(said[0], "")
    assert [path for path in folder.rglob("*") if path.is_file()] == []
