"""What runs are called in a report: their differences, and no more."""

import pytest

from bench.report.collection import labels


def test_a_label_says_what_differs_and_no_more():
    a, b = (
        {"estimator.k": 2, "estimator.beta": 1, "train.lr": 0.1},
        {"estimator.k": 4, "estimator.beta": 1, "train.lr": 0.1},
    )
    assert labels.label_keys([[a, b]]) == ["estimator.k"]
    assert labels.describe(a, ["estimator.k"]) == "k=2"
    assert labels.label_keys([[a], [a]]) == []


def test_a_key_that_follows_another_is_left_out():
    runs = [{"train.lr": lr, "train.tuning_lr": lr, "estimator.k": 2} for lr in (0.1, 0.01)]
    assert labels.label_keys([runs]) == ["train.lr"]


def test_two_keys_that_differ_independently_are_both_told():
    runs = [{"estimator.k": k, "train.lr": lr} for k in (2, 4) for lr in (0.1, 0.01)]
    assert labels.describe(runs[0], labels.label_keys([runs])) == "k=2 lr=0.1"


def test_a_training_key_that_goes_with_the_panel_is_not_told_but_a_hyperparameter_is():
    panels = [[{"train.lr": 0.1, "estimator.k": 2}], [{"train.lr": 0.01, "estimator.k": 4}]]
    assert labels.label_keys(panels) == ["estimator.k"]


@pytest.mark.parametrize(
    "key", ["seed", "seeds.model", "name", "output", "estimator._target_", "data.root", "timing.warmup"]
)
def test_keys_that_do_not_change_results_are_never_told(key):
    runs = [{key: 1, "train.lr": 0.1}, {key: 2, "train.lr": 0.1}]
    assert labels.label_keys([runs]) == []
    assert labels.problem_keys(runs) == []


def test_the_problem_is_told_by_its_name():
    runs = [
        {"data.binarisation": b, "data.name": n, "latent.dim": 2}
        for b, n in (("static", "digits"), ("dynamic", "mnist"))
    ]
    assert labels.describe(runs[1], labels.problem_keys(runs)) == "mnist"


def test_a_run_that_is_older_than_a_key_is_equal_to_one_with_its_default():
    old = {"train.lr": 0.1, "data.name": "mnist", "estimator.k": 2}
    new = old | {"train.weight_decay": 0.0, "train.clip_norm": None, "data.dequantise": False, "precision": "highest"}
    for keys in (labels.condition_keys, labels.unequal_keys, labels.problem_keys):
        assert keys([old, new]) == []
    other = new | {"train.weight_decay": 0.1, "data.dequantise": True}
    assert labels.condition_keys([old, other]) == labels.condition_keys([new, other]) == ["train.weight_decay"]
    assert labels.problem_keys([old, other]) == ["data.dequantise"]


def test_the_path_tells_own_images_apart_and_their_digest_where_it_does_not():
    def runs(*places):
        return [{"data.name": "file", "data.path": path, "data.digest": digest} for path, digest in places]

    assert labels.problem_keys(runs(("a.npz", "12"), ("b.npz", "34"))) == ["data.path"]
    assert labels.problem_keys(runs(("a.npz", "12"), ("a.npz", "34"))) == ["data.digest"]


def test_values_read_well_and_an_absent_key_is_silent():
    values = {"a.x": None, "b.y": True, "c.z": 1e-4, "d.w": "[0.9, 0.99]"}
    assert labels.describe(values, [*values, "e.v"]) == "x=none y=true z=0.0001 w=[0.9, 0.99]"
    assert labels.describe({"estimator.a.lr": 1, "train.lr": 2}, ["estimator.a.lr", "train.lr"]) == "a.lr=1 train.lr=2"


def test_keys_of_a_class_hold_what_the_class_says():
    latent = {"family": "mine", "temperature": "warm"}
    with pytest.raises(ValueError, match=r"latent\.temperature is 'warm'"):
        labels.check({"estimator": {}, "latent": latent})
    labels.check({"estimator": {}, "latent": latent | {"_target_": "my_module.Mine"}})
