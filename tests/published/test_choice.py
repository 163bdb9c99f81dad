"""Overrides choose among the runs of a file, and change none of them."""

import pytest

from bench.errors import BadInput
from bench.published.choice import chosen
from bench.published.command import last
from bench.published.expected import TIMED, read


@pytest.mark.parametrize(
    ("name", "overrides", "runs"),
    [
        ("reinmax_8x4", ["estimator=reinmax"], [["estimator=reinmax", "estimator.temperature=1.3"]]),
        (
            "reinmax_8x4",
            ["estimator=gumbel_rao,straight_through"],
            [
                ["estimator=straight_through", "estimator.temperature=1"],
                ["estimator=gumbel_rao", "estimator.draws=100", "estimator.temperature=1"],
            ],
        ),
        (
            "rodeo_bound",
            ["estimator.k=3"],
            [["estimator=double_cv,rodeo", "estimator.k=3"], ["estimator=arms", "estimator.k=3"]],
        ),
        ("rodeo_bound", ["estimator.k=3", "estimator=rodeo"], [["estimator=rodeo", "estimator.k=3"]]),
        (
            "sbn_two_layers",
            ["train.lr=0.001", "estimator=darn"],
            [["estimator=darn", "train.optimiser=sgd", "train.lr=1e-3"]],
        ),
        ("muprop_one_layer", ["estimator=nvil"], [["estimator=nvil"]]),
    ],
)
def test_a_key_that_the_runs_set_chooses_among_them(name, overrides, runs):
    each, left = chosen(read(name), "full", overrides)
    assert [list(own) for own in each.runs] == runs
    assert left == []
    assert each._replace(runs=read(name).runs) == read(name)


def test_seeds_are_chosen_of_the_form_that_runs():
    free = ["data.root=data", "hydra/launcher=pool", "engine=graph"]
    each, left = chosen(read("reinmax_8x4"), "full", ["seed=7,2", *free])
    assert (each.full.seeds, each.short.seeds) == ((2, 7), (0, 1, 2))
    assert left == free
    assert chosen(read("reinmax_8x4"), TIMED, ["seed=7"])[0].form(TIMED).seeds == (7,)


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("reinmax_8x4", "train.steps=10", "would change the protocol of reinmax_8x4; its runs are chosen by estimator"),
        ("reinmax_8x4", "+data.root=data", "would change the protocol"),
        ("reinmax_8x4", "estimator=rloo", "no run of estimator=rloo; it has straight_through, st_gumbel_softmax, gumb"),
        ("reinmax_8x4", "estimator.draws=10", "no run of estimator.draws=10; it has 100"),
        ("reinmax_8x4", "seed=10", "its seeds are 0, 1, 2"),
    ],
)
def test_what_would_leave_the_protocol_is_refused(name, override, words):
    with pytest.raises(BadInput, match=words):
        chosen(read(name), "full", [override])


def test_the_last_word_of_a_key_counts_without_its_quotes():
    words = ["output=a", "device=cpu", r"output='it\'s [b]'"]
    assert [last(words, key, "c") for key in ("output", "device", "threads")] == ["it's [b]", "cpu", "c"]
    with pytest.raises(BadInput, match="output"):
        last(["output='a"], "output", "outputs")
