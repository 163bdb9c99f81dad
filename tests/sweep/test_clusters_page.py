"""The commands of docs/clusters.md compose, and a missing extra is one sentence."""

import re
import shlex
import sys
from importlib.util import find_spec

import pytest
from hydra.core.plugins import Plugins

from bench import cli
from bench.config.sentences import EXTRAS
from bench.sweep import clusters
from bench.sweep.pool import Pool
from bench.sweep.serial import Serial
from tests.support.packages import ROOT

PAGE = ROOT / "docs" / "clusters.md"
COMMANDS = [
    shlex.split(line)[3:] for line in PAGE.read_text().splitlines() if re.match(r"python -m bench (-m )?[\w']", line)
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_of_the_page_composes_its_jobs(arguments, monkeypatch, tmp_path):
    text = " ".join(arguments)
    if "launcher=slurm" in text and not find_spec("submitit"):
        pytest.skip("needs the extra [slurm]")
    composed = []

    def record(self, overrides, initial_job_idx):
        composed.extend(overrides)
        return []

    for launcher in (Serial, Pool, clusters.Cluster, clusters.SlurmLocal, clusters.Ray):
        monkeypatch.setattr(launcher, "launch", record)
    monkeypatch.setattr(clusters.Cluster, "setup", lambda self, **_: None)
    Plugins.instance()  # which loads these two
    core = "hydra._internal.core_plugins.basic_"
    legal = lambda self, batch: _compose(self, batch[:2])  # noqa: E731
    monkeypatch.setattr(sys.modules[f"{core}sweeper"].BasicSweeper, "validate_batch_is_legal", legal)
    monkeypatch.setattr("bench.sweep.slots.visible_gpus", lambda: ["0", "1", "2", "3"])
    monkeypatch.setattr("bench.sweep.mirrors.find_spec", lambda package: None)
    assert cli.main([*arguments, f"output={tmp_path}"]) == 0
    assert len(composed) >= 2


def _compose(sweeper, batch):
    for overrides in batch:
        sweeper.hydra_context.config_loader.load_sweep_config(sweeper.config, list(overrides))


def test_the_page_has_commands_for_each_launcher_and_mirror():
    words = {word for arguments in COMMANDS for word in arguments}
    for folder in ("launcher", "callbacks"):
        for file in (ROOT / "conf" / "hydra" / folder).glob("*.yaml"):
            assert any(word.startswith(f"hydra/{folder}=") and file.stem in word for word in words), file


@pytest.mark.parametrize(
    ("launcher", "extra"), [("slurm", "slurm"), ("slurm_local", "slurm"), ("ray", "ray"), *EXTRAS.items()]
)
def test_without_the_extra_there_is_one_sentence(launcher, extra, capsys, tmp_path, monkeypatch):
    if find_spec({"slurm": "submitit", "ray": "ray"}[extra]):
        pytest.skip(f"the extra [{extra}] is installed")
    assert cli.main(["-m", f"hydra/launcher={launcher}", "seed=1,2", f"output={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr() == (
        "",
        f"hydra/launcher={extra} needs packages that are not installed: pip install 'estimator-bench[{extra}]'.\n",
    )
    assert not (tmp_path / "out").exists()
