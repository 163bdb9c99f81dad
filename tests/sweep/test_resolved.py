"""The plain values of a configuration are OmegaConf's own, and so is what is said of one that has none."""

from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from bench.sweep.resolved import resolved


@dataclass
class Typed:
    """Of a structured node."""

    rate: float = 1
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    either: int | float = 2.0


GOOD = {
    "seed": 3,
    "seeds": {"model": "${seed}", "all": ["${seed}", "${.0}", {"deep": "${train.lr}"}]},
    "train": {"lr": 1e-3, "copy": "${typed}", "none": None, "yes": True, "text": "a ${seed} b"},
    "typed": OmegaConf.structured(Typed),
    "escaped": r"\${seed}",
    "last": "${seeds.all}",
    "nothing": {},
    "resolver": "${oc.select:absent,5}",
}
BAD = [
    {"a": "???"},
    {"a": "${b}"},
    {"a": {"b": ["???"]}},
    {"a": "${b}", "b": "???"},
    {"a": "${a}"},
    {"a": "${b.c}", "b": 1},
]


def test_the_values_are_those_of_omegaconf():
    cfg = OmegaConf.create(GOOD)
    wanted = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert repr(resolved(cfg)) == repr(wanted)
    assert wanted["train"]["copy"] == {"rate": 1.0, "sizes": [1, 2], "either": 2.0}
    resolved(cfg)["seeds"]["all"].append(1)
    assert repr(resolved(cfg)) == repr(wanted)


@pytest.mark.parametrize("values", BAD)
def test_what_has_no_value_is_refused_as_by_omegaconf(values):
    cfg = OmegaConf.create(values)
    with pytest.raises(Exception) as wanted:  # noqa: PT011  # whichever it is
        OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    with pytest.raises(type(wanted.value)) as found:
        resolved(cfg)
    assert str(found.value) == str(wanted.value)
