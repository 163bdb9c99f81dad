"""`bench.run` and `bench.sweep`: the commands, from Python."""

import logging
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import bench
from bench.config.plugins import VERSION_BASE
from bench.errors import BadInput
from bench.files import CONF
from bench.own.notebook import value_of as value
from bench.terminal import watched

SMALL = {
    "train.steps": 2, "train.batch_size": 8, "measure.draws": 4, "measure.batches": 2, "evaluate.samples": 2,
    "evaluate.examples": 4, "timing.repetitions": 0, "threads": 1, "output": "my runs",
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_and_a_sweep_give_their_tables(capsys, tmp_path):
    frames = bench.run({"estimator": "rloo", "estimator.k": 3, "model.hidden": [6], **SMALL})
    assert frames.runs[["estimator", "status", "config.estimator.k"]].to_numpy().tolist() == [["rloo", "done", 3]]
    assert frames.gradient.part.nunique() == 3
    lines = [f"{key}={value}" for key, value in SMALL.items() if key != "output"]
    again = bench.run(["estimator=rloo", "estimator.k=3", "model.hidden=[6]", "output='my runs'", *lines])
    assert again.runs.equals(frames.runs)  # which is there
    found = bench.sweep({"estimator": ["disarm", "reparam"], "model.hidden": [[6]], **SMALL})
    endings = sorted(zip(found.runs.estimator, found.runs.status, found.runs["config.model.hidden"], strict=True))
    assert [ending[:2] for ending in endings] == [("disarm", "done"), ("reparam", "skipped")]
    assert len([*(tmp_path / "my runs").rglob("runs.parquet")]) == 3
    assert capsys.readouterr().out == ""


def test_hydra_and_all_that_is_global_stay_as_they_were():
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        outer, settings, threads = GlobalHydra.instance().hydra, HydraConfig.instance().cfg, torch.get_num_threads()
        handlers, argv = [*logging.getLogger().handlers], [*sys.argv]
        bench.run(SMALL | {"estimator": "rloo", "threads": threads + 1})
        for wrong in ({"estimator": "rlo"}, {"estimator": "reparam"}):
            with pytest.raises(BadInput):
                bench.run(SMALL | wrong)
        with pytest.raises(BadInput):
            bench.sweep({"train.stepz": [1, 2]})
        assert GlobalHydra.instance().hydra is outer
        assert HydraConfig.instance().cfg is settings
        assert ([*logging.getLogger().handlers], [*sys.argv]) == (handlers, argv)
        assert torch.get_num_threads() == threads
        assert compose("config", ["seed=3"]).seed == 3
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (3, "3"), (1e-3, "0.001"), (True, "true"), (None, "null"), ("rloo", "rloo"), ([1, 2], "[1,2]"), ("", "''"),
        ("a b", "'a b'"), ("it's", r"'it\'s'"), ("1,2", "'1,2'"),
    ],
)  # fmt: skip
def test_values_of_a_dict_are_written_as_hydra_reads_them(given, written):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert value(given) == written
    read = OverridesParser.create().parse_override(f"key={written}").value()
    assert str(getattr(read, "text", read)) == str(given) if isinstance(given, str) else read == given


def test_a_bar_is_shown_on_a_terminal_and_in_a_notebook(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert not watched()
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert watched()
    bench.sweep({"estimator": ["disarm", "rloo"], **SMALL}, progress=True)
    assert capsys.readouterr().out == ""
