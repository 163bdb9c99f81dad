"""The command: what runs, what is run again, what it prints, and how it ends. The run itself is a stand-in here."""

import importlib
import inspect
import itertools
import json
import subprocess
import sys
from importlib.util import find_spec
from textwrap import dedent

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bench import __version__, cli, job, plugins, run, tables
from bench.config import BadInput, Impossible, check, flatten, identity, prepare
from bench.rules import RULES
from bench.summary import summary

ROOT = plugins.ROOT
GROUPS = ("problem", "latent", "model", "data", "objective", "estimator", "experiment")
OPTIONS = [f"{group}={file.stem}" for group in GROUPS for file in sorted((plugins.CONF / group).glob("*.yaml"))]
ENDINGS = {1: ("done", ""), 2: ("failed", "It broke."), 3: ("diverged", "The loss was not finite at step 5.")}


def resolved(*overrides):
    plugins.register()
    with initialize_config_dir(str(plugins.CONF), **plugins.VERSION_BASE):
        cfg = compose("config", list(overrides), return_hydra_config=True)
    config = {key: value for key, value in OmegaConf.to_container(cfg, resolve=False).items() if key != "hydra"}
    return OmegaConf.to_container(OmegaConf.create(config), resolve=True)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`python -m bench` with a run that ends as train.steps says; `command.runs` holds the configs that were run."""

    def stand_in(config, directory, progress):
        command.runs.append(config)
        steps = config["train"]["steps"]
        if steps == 4:
            raise Impossible("These two do not go together.")
        if steps == 5:
            raise KeyboardInterrupt
        if steps == 6:
            raise ValueError("There is no such file.")
        if steps == 7:
            raise RuntimeError("a bug\nin two lines")
        return run.record(config, directory, *ENDINGS[steps], {"step": steps}, TABLES if steps == 1 else None)

    def command(*arguments):
        return cli.main([*arguments, f"output={tmp_path / 'out'}", "device=cpu"])

    command.runs = []
    monkeypatch.setattr(run, "run", stand_in)
    return command


TABLES = {
    "objective": [
        {"seed": 0, "step": step, "split": split, "elbo": elbo}
        for step, split, elbo in [(0, "test", -90.0), (1, "train", -1.0), (1, "test", -12.345), (1, "validation", -2.0)]
    ],
    "gradient": [
        {"seed": 0, "step": step, "estimator": "rloo", "part": part, "variance_noise": noise}
        for step, part, noise in [(0, "encoder", 1.0), (1, "latent", 10.0), (1, "encoder", 0.01), (1, "decoder", 3.0)]
    ],
    "cost": [{"what": what, "seconds": seconds} for what, seconds in [("step", 0.0025), ("gradient", 1.0)]],
}


def files(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


# One run


def test_one_run(command, tmp_path, capsys):
    assert command("train.steps=1", "estimator=reinforce_constant", "name=first") == 0
    [config] = command.runs
    assert config["option"] == "reinforce_constant"
    assert config["device"] == "cpu"
    assert "hydra" not in config
    directory = tmp_path / "out" / "first" / identity(config)
    assert {file.split("/")[1] for file in files(tmp_path / "out")} == {identity(config)}  # no file of Hydra's
    assert capsys.readouterr().out.startswith(f"{directory}: done in ")


def test_a_complete_run_is_not_run_again(command, capsys):
    for _ in range(2):
        assert command("train.steps=1") == 0
    assert len(command.runs) == 1
    assert capsys.readouterr().out.splitlines()[1].endswith(": already done")
    assert command("train.steps=1", "seed=1") == 0
    assert len(command.runs) == 2


@pytest.mark.parametrize(("retry", "runs"), [("failed", 2), ("none", 1)])
def test_a_failed_run_is_run_again_if_asked(command, capsys, retry, runs):
    for _ in range(2):
        assert command("train.steps=2", f"sweep.retry={retry}") == 1
    assert len(command.runs) == runs
    assert "failed" in capsys.readouterr().out.splitlines()[1]


def test_a_diverged_run_is_a_result(command, capsys):
    for _ in range(2):
        assert command("train.steps=3") == 0
    assert len(command.runs) == 1
    assert "already diverged: The loss was not finite" in capsys.readouterr().out


def test_an_impossible_run_writes_nothing(command, tmp_path, capsys):
    assert command("train.steps=4") == 2
    assert capsys.readouterr().err == "These two do not go together.\n"
    assert files(tmp_path) == []


def test_a_run_that_cannot_start_is_one_sentence_and_a_bug_is_a_traceback(command, tmp_path, capsys):
    assert command("train.steps=6") == 2
    assert capsys.readouterr().err == "There is no such file.\n"
    with pytest.raises(RuntimeError, match="a bug"):
        command("train.steps=7")
    assert files(tmp_path) == []


def test_interrupted(command, capsys):
    assert command("train.steps=5") == 130
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert command("--multirun", "train.steps=1,5,3") == 130
    assert [config["train"]["steps"] for config in command.runs] == [5, 1, 5]


# A sweep


def test_nothing_stops_a_sweep_and_every_job_is_a_row(command, tmp_path, capsys):
    assert command("-m", "train.steps=2,3,4,6,7,1") == 1
    rows = [tables.read(file.parent)["runs"].to_pylist()[0] for file in (tmp_path / "out").rglob(tables.MARKER)]
    assert {row["status"]: row["reason"] for row in rows if row["status"] != "failed"} == {
        "done": None,
        "diverged": "The loss was not finite at step 5.",
        "skipped": "These two do not go together.",
    }
    reasons = {row["reason"] for row in rows if row["status"] == "failed"}
    assert reasons == {"It broke.", "There is no such file.", "RuntimeError: a bug in two lines"}
    assert [file for file in files(tmp_path / "out" / "runs") if "/" not in file] == ["multirun.yaml"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:6]] == [
        f"{n}/6 train.steps={steps}" for n, steps in enumerate([2, 3, 4, 6, 7, 1], 1)
    ]
    assert "skipped in" in lines[2]
    command.runs.clear()
    assert command("-m", "train.steps=2,3,4,6,7,1") == 1
    assert [config["train"]["steps"] for config in command.runs] == [2, 6, 7]  # failed ones alone


def test_a_skipped_run_alone_is_bad_input_again(command, capsys):
    assert command("-m", "train.steps=4") == 0
    assert command("train.steps=4") == 2
    assert capsys.readouterr().err == "These two do not go together.\n"


def test_a_job_with_a_bad_value_does_not_stop_a_sweep(command, capsys):
    assert command("-m", "train.steps=-1,1") == 1
    assert [config["train"]["steps"] for config in command.runs] == [1]
    assert "train.steps needs a whole number, 0 or more; got -1." in capsys.readouterr().out


def test_a_typed_value_is_refused_before_the_first_job(command, capsys):
    assert command("-m", "train.steps=1", "estimator.k=2,abc") == 2
    assert command.runs == []
    assert "'abc'" in capsys.readouterr().err


def test_the_table_at_the_end(command, tmp_path, capsys):
    assert command("-m", "train.steps=1,3", "estimator=rloo") == 0
    *_, head, done, diverged = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["run", "estimator", "family", "seed", "status"]
    [directory] = [f.parent for f in (tmp_path / "out").rglob("objective.parquet")]
    wanted = [directory.name, "rloo", "bernoulli", "0", "done", "-12.35", "-2.00", "2.50"]
    assert summary(directory) == done.split() == wanted
    assert diverged.split()[4:] == ["diverged", "-", "-", "-"]


def test_a_file_may_hold_the_sweep(command, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "both.yaml").write_text(
        dedent("""\
        # @package _global_
        train: {steps: 1}
        hydra: {mode: MULTIRUN, sweeper: {params: {seed: "1,2"}}}
        """)
    )
    assert command("--config-dir", str(tmp_path / "mine"), "experiment=both") == 0
    assert [config["seeds"]["model"] for config in command.runs] == [1, 2]


def test_a_job_in_another_process_raises_so_that_its_launcher_knows(command, monkeypatch, capsys):
    class Elsewhere(job.Session):
        def __init__(self):
            super().__init__()
            self.process = -1

    monkeypatch.setattr(job, "Session", Elsewhere)
    assert command("-m", "train.steps=2") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "It broke."


# A user's own files


def test_a_yaml_of_ones_own(command, tmp_path, capsys):
    folder = tmp_path / "mine" / "estimator"
    folder.mkdir(parents=True)
    (folder / "rloo_nine.yaml").write_text("_target_: estimators.rloo.RLOO\nk: 9\n")
    own = ("--config-dir", str(tmp_path / "mine"), "train.steps=1")
    assert command(*own, "estimator=rloo_nine") == 0
    assert command.runs[0]["estimator"] == {"_target_": "estimators.rloo.RLOO", "k": 9}
    (folder / "rloo.yaml").write_text("_target_: estimators.rloo.RLOO\nk: 9\n")
    assert command(*own, "estimator=rloo_nine") == 2
    assert "rloo.yaml has the name of an estimator of the suite" in capsys.readouterr().err


# Flags and other commands


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"estimator-bench {__version__}\n"


@pytest.mark.parametrize(
    ("flags", "shown"),
    [(["--help"], "rloo"), (["--cfg", "job", "train.steps=77"], "steps: 77"), (["--info", "searchpath"], "conf")],
)
def test_flags_of_hydra(flags, shown):
    done = subprocess.run([sys.executable, "-m", "bench", *flags], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


@pytest.mark.parametrize("word", [*cli.COMMANDS])
def test_the_first_word_reaches_every_command(word, monkeypatch):
    class Module:
        @staticmethod
        def main(argv):
            return {"--flag": 7}[argv[0]]

    monkeypatch.setitem(sys.modules, cli.COMMANDS[word], Module)
    assert cli.main([word, "--flag"]) == 7


@pytest.mark.parametrize("module", [module for module in cli.COMMANDS.values() if find_spec(module)])
def test_every_command_has_a_main_that_takes_arguments(module):
    assert list(inspect.signature(importlib.import_module(module).main).parameters) == ["argv"]


def test_importing_the_package_loads_no_torch():
    program = "import sys, bench, bench.cli; sys.exit(bool({'torch', 'hydra', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_as_a_process(tmp_path):
    program = [sys.executable, "-m", "bench", "estimator=rlo", f"output={tmp_path}"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no estimator rlo: did you mean rloo?\n"


# The rules and the identity


@pytest.mark.parametrize("option", OPTIONS)
def test_every_file_of_conf_passes_the_check(option):
    assert prepare(resolved(option))["device"] in ("cpu", "cuda")


def test_every_rule_is_a_key_of_conf():
    keys = {key for option in ["seed=0", *OPTIONS] for key, _ in flatten(resolved(option))}
    assert RULES.keys() - keys == {"option"}


def test_every_rule_refuses_something():
    config = prepare(resolved("latent=vq"))
    keys = {key for key, _ in flatten(config)} & RULES.keys() - {"option"}
    assert len(keys) > 50
    for key in keys:
        for wrong in ({"not": "a value"}, [["nested"]], float("nan")):
            *path, last = key.split(".")
            changed = json.loads(json.dumps(config))
            node = changed
            for name in path:
                node = node[name]
            node[last] = wrong
            with pytest.raises(BadInput):
                check(changed)


def test_the_identity_depends_on_what_changes_a_number_and_on_nothing_else():
    base = ["device=cpu"]
    same = ["name=other", "output=elsewhere", "data.root=there", "sweep.retry=none", "data.download=false"]
    same += ["objective.beta=1", "evaluate.at=[0,0.1,0.2,0.5,1.0]", "estimator.k=4", "estimator=rloo", "device=auto"]
    other = ["seed=1", "seeds.measure=1", "train.lr=2e-3", "estimator.k=5", "estimator=reinforce", "threads=1"]
    other += ["dtype=float64", "latent.dim=3", "data=static_mnist", "measure.draws=8", "evaluate.at=[0]"]
    ids = {change: identity(prepare(resolved(*base, change))) for change in [*base, *same, *other]}
    assert {ids[change] for change in [*base, *same] if change != "device=auto"} == {ids["device=cpu"]}
    for one, two in itertools.combinations(["device=cpu", *other], 2):
        assert ids[one] != ids[two], (one, two)
    assert all(len(found) == 12 and set(found) <= set("0123456789abcdef") for found in ids.values())


def test_the_identity_changes_with_the_versions(monkeypatch):
    config = prepare(resolved("device=cpu"))
    before = identity(config)
    assert identity(config | {"option": "another"}) == before
    for constant in ("SCHEMA", "NUMBERS"):
        with monkeypatch.context() as patch:
            patch.setattr(f"bench.config.{constant}", 99)
            assert identity(config) != before


def test_an_identity_has_no_infinity():
    config = prepare(resolved("device=cpu"))
    config["estimator"]["k"] = float("inf")
    with pytest.raises(BadInput, match="finite"):
        identity(config)
