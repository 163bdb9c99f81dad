"""The plan of a sweep names every run before the first one starts."""

import pytest

from bench import cli
from bench.run import seeds
from bench.sweep import plan
from bench.tables import store
from tests.support.stand_in import stand_in_command


@pytest.fixture
def command(tmp_path, monkeypatch):
    return stand_in_command(tmp_path / "out", monkeypatch)


def plans(tmp_path):
    return [plan.read(path) for path in sorted((tmp_path / "out").rglob(plan.PATTERN))]


def test_a_plan_names_every_run_before_the_first_starts(command, tmp_path):
    command("-m", "train.steps=1,3", "seed=0,1")
    [planned] = plans(tmp_path)
    assert [job["overrides"] for job in planned["jobs"]] == [
        [f"train.steps={steps}", f"seed={seed}"] for steps in (1, 3) for seed in (0, 1)
    ]
    assert {job["run"] for job in planned["jobs"]} == {m.parent.name for m in tmp_path.rglob(store.MARKER)}
    command("-m", "train.steps=1,3", "seed=0,1")
    assert len(plans(tmp_path)) == 1
    command("-m", "train.steps=1", "seed=0,1")
    assert sorted(len(p["jobs"]) for p in plans(tmp_path)) == [2, 4]


def test_batches_of_jobs_are_one_plan(command, tmp_path):
    assert command("-m", "seed=0,1,2", "train.steps=1", "hydra.sweeper.max_batch_size=2") == 0
    [planned] = plans(tmp_path)
    assert len({job["run"] for job in planned["jobs"]}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=-1,-2", "hydra.sweeper.max_batch_size=1"], "seed needs a whole number, 0 or more; got -1."),
        (["experiment=right,wrong"], "There is no key train.stepz: did you mean train.steps?"),
        (["experiment=swept"], "There is no key train.stepz: did you mean train.steps?"),
    ],
)
def test_a_mistake_in_the_command_is_told_before_anything_is_left(command, tmp_path, capsys, words, said):
    experiments = tmp_path / "mine" / "experiment"
    experiments.mkdir(parents=True)
    for name, text in (
        ("right", "train: {steps: 1}"),
        ("wrong", "train: {stepz: 1}"),
        ("swept", "hydra: {sweeper: {params: {+train.stepz: '1,2'}}}"),
    ):
        (experiments / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    assert command("--config-dir", str(tmp_path / "mine"), "-m", *words) == 2
    assert capsys.readouterr().err == f"{said}\n"
    assert command.runs == []
    assert not (tmp_path / "out").exists()


def test_each_choice_of_groups_is_composed_once(command, monkeypatch):
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    composed, compose = [], ConfigLoaderImpl._compose_config_from_defaults_list

    def counted(self, defaults, repo):
        composed.append(defaults)
        return compose(self, defaults, repo)

    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", counted)
    command("-m", "seed=range(5)", "estimator=rloo,disarm", "train.steps=1")
    assert len(composed) == 3  # that of the command, and two
    assert [config["seed"] for config in command.runs] == [seed for seed in range(5) for _ in range(2)]


def test_replicas_of_a_job_are_runs_of_their_own(tmp_path, monkeypatch):
    command = stand_in_command(tmp_path / "out", monkeypatch)
    monkeypatch.setattr(seeds, "runs", lambda config, many: [])
    command("-m", "seed=0,5", "replicas=3")
    [planned] = plans(tmp_path)
    assert len({job["run"] for job in planned["jobs"]}) == 6


def test_one_run_and_other_commands_have_no_plan(command, tmp_path):
    command("train.steps=1")
    assert plans(tmp_path) == []
    assert cli.COMMANDS["status"] == "bench.status"


def test_the_later_of_two_commands_within_one_second_is_known(command, tmp_path):
    for steps in ("1", "1,3"):
        command("-m", f"train.steps={steps}", "sweep.retry=keep")
    first, second = sorted(plans(tmp_path), key=lambda planned: planned["started"])
    assert (len(first["jobs"]), len(second["jobs"])) == (1, 2)
    assert all(planned["started"].count(".") == 1 for planned in (first, second)), "to the microsecond"
