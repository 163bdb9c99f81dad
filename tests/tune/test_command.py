"""`python -m bench.tune` from the command line to its table; the runs are a stand-in, whose bounds are planted."""

import shutil

import pytest

from bench.run.ending import Ending
from bench.tables import tuning
from tests.support.brought import Coins
from tests.support.tuned_runs import DISAGREE, Tuned

ONE = ("estimator=reparam", "latent=gaussian_small", "budget=3", "tune.fresh=1")
RATES = [1e-3, 3.162e-4, 3.162e-3, 1.778e-4, 1.778e-3]  # the list, 0.5, 0.25, 0.75, 0.125, 0.625, between 1e-4 and 1e-2


@pytest.fixture
def tune(tmp_path, monkeypatch):
    return Tuned(tmp_path / "out", monkeypatch)


def table(tune):
    [file] = tune.output.rglob(tuning.PATTERN)
    return tuning.read(file)


def chosen(tune):
    return {row["lr"] for row in table(tune) if row["chosen"]}


def test_every_point_is_an_ordinary_run_and_the_chosen_ones_run_again_with_fresh_seeds(tune, capsys):
    assert tune("estimator=reparam,reinforce", "latent=gaussian_small", "budget=2", "seed=3,4") == 0
    options = ("reparam", "reinforce")
    assert tune.asked() == [
        *((option, lr, 10, seed) for option in options for lr in RATES[:2] for seed in (3, 4)),
        *((option, 1e-3, 10, seed) for option in options for seed in (5, 6)),
    ]
    rows = table(tune)
    assert [row["role"] for row in rows] == ["point"] * 8 + ["fresh"] * 4
    assert {row["run"] for row in rows} == {d.name for d in (tune.output / "runs").iterdir() if d.is_dir()}
    assert all(row["bound"] == pytest.approx(DISAGREE["validation"](row["lr"])) for row in rows)
    assert all(row["bound_test"] == pytest.approx(DISAGREE["test"](row["lr"])) for row in rows)
    said = capsys.readouterr().out
    assert "lr=0.001" in said
    assert "12/12" in said


@pytest.mark.parametrize(("split", "best"), [("validation", 1e-3), ("train", 3.162e-3)])
def test_the_test_split_decides_nothing(tune, split, best):
    assert tune(*ONE, f"tune.split={split}") == 0
    assert chosen(tune) == {best}
    tests = {row["lr"]: row["bound_test"] for row in table(tune)}
    assert min(tests, key=tests.get) == 1e-3  # what is best on validation is worst on test


def test_a_tie_goes_to_what_moved_least(tune):
    tune.bounds = DISAGREE | {"validation": lambda lr: -100 + 0.05 * (lr == 1e-3)}
    tune.wobble = lambda lr: 0.1 if lr == 3.162e-3 else 1.0
    assert tune(*ONE) == 0
    assert chosen(tune) == {3.162e-3}
    assert {round(row["spread"], 6) for row in table(tune)} == {0.01, 1.0}


def test_the_same_command_goes_on_and_makes_nothing_twice(tune):
    assert tune(*ONE) == 0
    before = table(tune)
    assert len(tune.runs) == 3 + 1
    lost = [row["run"] for row in before if row["lr"] in (1e-3, 3.162e-3)]
    assert len(lost) == 3  # two points and the fresh run
    for run in lost:
        shutil.rmtree(tune.output / "runs" / run)
    for made in (3, 0):
        first = len(tune.runs)
        assert tune(*ONE) == 0
        assert len(tune.runs) == first + made
        assert _but_seconds(table(tune)) == _but_seconds(before)


def test_a_stopped_tuning_goes_on(tune):
    def stop(config):
        if len(tune.runs) == 2:
            raise KeyboardInterrupt
        return _done()

    tune.ends = stop
    assert tune(*ONE) == 130
    assert not [*tune.output.rglob(tuning.PATTERN)]
    assert tune(*ONE) == 0
    assert tune.asked()[1] == tune.asked()[2]  # the one that was stopped began twice
    assert len(tune.runs) == 5


class Halved(Coins):
    """Images with a validation split."""

    def arrays(self):
        images = super().arrays()["train"]
        return {"train": images[::2], "validation": images[1::4], "test": images[3::4]}


@pytest.mark.parametrize(("of", "status"), [(Halved, 0), (Coins, 2)])
def test_images_of_a_class_may_have_a_validation_split(of, status, tune, tmp_path, capsys):
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "coins.yaml").write_text(f"_target_: {of.__module__}.{of.__name__}\n")
    assert tune(*ONE, "data=coins", "--config-dir", str(tmp_path / "mine")) == status
    assert ("no validation images here, since it came without" in capsys.readouterr().err) == (status == 2)


def test_halving_ends_the_worse_half_after_each_share(tune):
    assert tune("estimator=reparam", "latent=gaussian_small", "budget=5", "tune.halving=[0.2,0.5]") == 0
    by_steps = {steps: [lr for _, lr, s, seed in tune.asked() if (s, seed) == (steps, 0)] for steps in (2, 5, 10)}
    assert by_steps == {2: RATES, 5: [1e-3, 3.162e-3, 1.778e-3], 10: [1e-3, 1.778e-3]}
    assert chosen(tune) == {1e-3}
    assert [row["share"] for row in table(tune)] == [0.2] * 5 + [0.5] * 3 + [1.0] * 4


def test_points_that_end_badly_are_in_the_table_and_never_chosen_though_the_choice_is_on_the_edge(tune):
    tune.ends = lambda config: Ending("diverged", "It went.", step=3) if config["train"]["lr"] > 5e-4 else _done()
    assert tune(*ONE) == 0
    assert chosen(tune) == {3.162e-4}
    assert {row["edge"] for row in table(tune) if row["role"] == "point" and row["chosen"]} == {"lr low"}
    assert sum(row["status"] == "diverged" for row in table(tune)) == 2
    assert all(row["bound"] is None for row in table(tune) if row["status"] == "diverged")


def test_where_nothing_can_be_chosen_nothing_runs_again(tune, capsys):
    tune.ends = lambda config: Ending("diverged", "It went.", step=3)
    assert tune(*ONE) == 0
    assert len(tune.runs) == 3
    assert "none: no point has a bound" in " ".join(capsys.readouterr().out.split())
    assert not any(row["chosen"] for row in table(tune))


def test_what_else_is_swept_has_a_budget_of_its_own(tune):
    assert tune("estimator=reinforce", "latent=gaussian_small,bernoulli_small", "budget=1") == 0
    subjects = {row["subject"] for row in table(tune)}
    assert subjects == {"reinforce latent=gaussian_small", "reinforce latent=bernoulli_small"}
    assert len(tune.runs) == 2 * (1 + 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate.at=[0,0.5]"], "bench.tune chooses by the bound at the end, so that evaluate.at needs 1 in it; got "
         "[0.0, 0.5]."),
        (["tune.halving=[0.2,0.5]", "train.warmup=2"], "tune.halving=0.2 trains 2 steps, and train.warmup=2 would "
         "not be over by then."),
        (["tune.halvin=[0.5]"], "There is no key tune.halvin: did you mean tune.halving?"),
    ],
)  # fmt: skip
def test_what_cannot_be_tuned_is_refused_before_anything_runs_as_the_lines_of_the_page_are(tune, words, said, capsys):
    assert tune(*words) == 2
    assert capsys.readouterr().err.strip() == said
    assert not tune.runs
    assert not tune.output.exists()


def _done():
    return Ending("done", step=10)


def _but_seconds(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
