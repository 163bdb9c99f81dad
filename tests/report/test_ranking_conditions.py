"""Runs that were trained or tuned differently are not ranked against each other, unless that was varied on purpose."""

import pytest

from bench.report.collection.compare import comparison
from bench.report.collection.pairs import pairs
from bench.report.page.answer import rankings
from bench.report.page.listing import comparison_listing
from bench.report.show import show_comparison
from tests.support.ranked_runs import collected
from tests.support.shared_runs import shared
from tests.support.synthetic_runs import config, place


@pytest.mark.parametrize(
    "change", [{"train__lr": 0.1}, {"train__steps": 200}, {"train__batch_size": 7}, {"threads": 4}, {"device": "cuda"}]
)
def test_unequal_training_is_never_ranked_and_its_keys_are_shown(tmp_path, change):
    for seed in range(3):
        place(tmp_path, config("rloo", "bernoulli", seed), estimator="rloo")
        place(tmp_path, config("arm", "bernoulli", seed, **change), estimator="arm")
    found = rankings(collected(tmp_path))
    assert all(len(r.contenders) == 1 for r in found if r.contenders)
    key, value = next(iter(change.items()))
    words = f"{key.rpartition('__')[2]}={value}"
    assert any(words in r.panel[2] for r in found)
    assert pairs(collected(tmp_path)).empty


def test_every_differing_key_is_shown(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0), estimator="rloo")
    changed = config("arm", "bernoulli", 0, train__lr=0.1, train__steps=50, measure__draws=9)
    place(tmp_path, changed, estimator="arm")
    units = collected(tmp_path).units.set_index("estimator")
    assert units.setting["arm"] == "lr=0.1 steps=50"
    assert units.setting["rloo"] == "lr=0.001 steps=1000"


def test_precision_that_differs_is_shown_and_ranked(tmp_path):
    for name, draws in (("rloo", 100), ("arm", 1000)):
        place(tmp_path, config(name, "bernoulli", 0, measure__draws=draws), estimator=name)
    assert set(collected(tmp_path).units.label) == {"rloo draws=100", "arm draws=1000"}
    assert set(collected(tmp_path).units.setting) == {""}


def test_what_was_varied_on_purpose_is_ranked(tmp_path):
    for name in ("rloo", "arm"):
        for lr in (0.1, 0.01):
            place(tmp_path, config(name, "bernoulli", 0, train__lr=lr), estimator=name)
    found = collected(tmp_path)
    assert set(found.units.setting) == {""}
    assert set(found.units.label) == {f"{n} lr={lr}" for n in ("rloo", "arm") for lr in (0.1, 0.01)}
    place(tmp_path, config("disarm", "bernoulli", 0, train__lr=0.1), estimator="disarm")
    assert set(collected(tmp_path).units.setting) == {"lr=0.1", "lr=0.01"}


def test_shared_checkpoints_with_other_tuning_are_not_ranked(tmp_path):
    shared(tmp_path, "rloo")
    shared(tmp_path, "arm", probe__tuning_steps=0)
    found = rankings(collected(tmp_path))
    assert all(len(r.contenders) == 1 for r in found if r.contenders)


def test_an_average_over_two_versions_of_the_code_is_marked_and_ranked(tmp_path, capsys):
    codes = {"rloo": ("a", "a", "b"), "arm": ("a", "a", "a"), "disarm": (None, None, None), "exact": ("a", None, "a")}
    for name, made_by in codes.items():
        for seed, code in enumerate(made_by):
            place(tmp_path, config(name, "bernoulli", seed), estimator=name, changes={"code": code})
    collection = collected(tmp_path)
    mark = "runs made by 2 versions of the code"
    found = {c.label: c.note for ranking in rankings(collection) for c in ranking.contenders}
    assert found == {"rloo": mark, "arm": "", "disarm": "", "exact": mark}
    assert not any(ranking.behind for ranking in rankings(collection))
    compared = comparison(collection)
    assert dict(zip(compared.label, compared.codes, strict=True)) == {"rloo": 2, "arm": 1, "disarm": 1, "exact": 2}
    show_comparison(compared)
    assert capsys.readouterr().out.count(f"({mark})") == 2
    cells = [row[1].text for row in comparison_listing(compared).rows]
    assert sorted(cells) == ["arm", "disarm", f"exact ({mark})", f"rloo ({mark})"]


def test_a_version_of_the_code_whose_runs_all_failed_is_in_no_average(tmp_path):
    for seed, status in enumerate(("done", "failed", "done")):
        changes = {"code": status, "status": status}
        place(tmp_path, config("rloo", "bernoulli", seed), estimator="rloo", changes=changes)
    [row] = comparison(collected(tmp_path)).itertuples()
    assert (row.codes, row.failed) == (1, 1)
