"""The sentence of a panel: it names the leader, the ties and the gain from bias, and only what an interval supports."""

import re

import pytest

from bench.report.collection.collect import collect, find
from bench.report.page.answer import rankings
from bench.report.page.numbers import bounded
from bench.report.page.sentences import listed, sentences
from tests.support.ranked_runs import run
from tests.support.synthetic_runs import config, place

UNBIASED = "among the estimators that claim to be unbiased, "


def said(root) -> str:
    collection = collect(find([root]))[0]
    [(_, text)] = sentences(collection, rankings(collection)).values()
    return text


def three_seeds(root, name, **properties):
    for seed in range(3):
        run(root, name, seed, **properties)


def test_every_clause_is_there_with_its_interval(tmp_path):
    three_seeds(tmp_path, "rloo", variance=1.0)
    three_seeds(tmp_path, "arm", variance=1.05)
    three_seeds(tmp_path, "reinforce", variance=200.0)
    three_seeds(tmp_path, "gumbel_softmax", variance=0.01, bias=1.0, claims=False)
    text = said(tmp_path)
    first, second = ("rloo", "arm") if "rloo has the lowest" in text else ("arm", "rloo")
    assert text.startswith(f"{UNBIASED}{first} has the lowest measured noise at equal evaluations; ")
    assert f"; {second} ties with it (95 % intervals over 3 seeds); " in text
    collection = collect(find([tmp_path]))[0]
    of = {r.criterion.name: r for r in rankings(collection)}
    [bias] = [c.value for c in of["bias"].contenders]
    assert f"and a squared bias of {bounded(*bias)} times the squared gradient norm." in text
    assert re.search(r"; if bias is acceptable, gumbel_softmax has 0.0\d+ \[0.0\d+, 0.0\d+\] times the noise", text)
    assert "reinforce" not in text


def test_one_that_is_lower_than_all_is_said_to_be(tmp_path):
    three_seeds(tmp_path, "rloo", variance=1.0)
    three_seeds(tmp_path, "arm", variance=500.0)
    assert said(tmp_path) == f"{UNBIASED}rloo has less noise at equal evaluations than every other."


def test_a_biased_one_that_buys_nothing_is_not_recommended(tmp_path):
    three_seeds(tmp_path, "rloo", variance=1.0)
    three_seeds(tmp_path, "arm", variance=500.0)
    three_seeds(tmp_path, "gumbel_softmax", variance=1.0, bias=1.0, claims=False)
    assert said(tmp_path).endswith("; no estimator that claims to be biased has significantly less noise than rloo.")


def test_an_estimate_near_zero_is_not_recommended_for_its_little_noise(tmp_path):
    three_seeds(tmp_path, "rloo", variance=1.0)
    three_seeds(tmp_path, "arm", variance=500.0)
    three_seeds(tmp_path, "grpo", variance=0.001, bias=3.3, claims=False)  # a squared bias of about the norm
    none = "no estimator that claims to be biased has, significantly, both less noise than rloo and a squared bias"
    assert said(tmp_path).endswith(f"; {none} below half of the squared gradient norm.")
    three_seeds(tmp_path, "gumbel_softmax", variance=0.1, bias=1.0, claims=False)
    assert "; if bias is acceptable, gumbel_softmax has" in said(tmp_path)


def test_a_bias_that_was_not_measured_is_not_claimed(tmp_path):
    three_seeds(tmp_path, "rloo", variance=1.0, reference=False)
    three_seeds(tmp_path, "gumbel_softmax", variance=0.01, claims=False, reference=False)
    assert re.search(r"has 0.0\d+ \[.*\] times the noise of rloo; its bias was not measured\.$", said(tmp_path))


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_say_little(tmp_path, seeds):
    for seed in range(seeds):
        place(tmp_path, config("rloo", "bernoulli", seed), estimator="rloo", variance=1.0)
        place(tmp_path, config("arm", "bernoulli", seed), estimator="arm", variance=50.0)
        run(tmp_path, "gumbel_softmax", seed, variance=0.001, bias=1.0, claims=False)
    text = said(tmp_path)
    assert f"; {seeds} {'seeds are' if seeds > 1 else 'seed is'} too few to compare." in text
    assert "bias is acceptable" not in text


def test_lists():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(list("abcd")) == "a, b, c and d"
    assert listed(list("abcdefg")) == "a, b, c and 4 others"
