"""The folder of a sweep is deleted or renamed while it runs: its end says so, and its status is no success."""

import shutil

import pytest

from bench.run import seeds
from bench.run.ending import place
from bench.tables import store
from tests.support.stand_in import stand_in_command


@pytest.mark.parametrize("what", ["deleted", "renamed", "a run deleted", "a marker deleted", "deleted at the end"])
@pytest.mark.parametrize("many", [True, False])
def test_runs_that_are_gone_are_told(tmp_path, monkeypatch, capsys, what, many):
    command, folder = stand_in_command(tmp_path / "out", monkeypatch), tmp_path / "out" / "runs"
    start, last = seeds.start, 2 if many else 0

    def disturbed(configs):
        ended, [config] = start(configs), configs
        directory = place(config)
        if config["seed"] == (last if what == "deleted at the end" or not many else 1):
            match what:
                case "renamed":
                    folder.rename(tmp_path / "elsewhere")
                case "a run deleted":
                    shutil.rmtree(directory)
                case "a marker deleted":
                    (directory / store.MARKER).unlink()
                case _:
                    shutil.rmtree(tmp_path / "out")
        return ended

    monkeypatch.setattr(seeds, "start", disturbed)
    assert command(*(["-m", "seed=0,1,2"] if many else ["seed=0"]), "train.steps=1") == 1
    said, several = capsys.readouterr().err, many and what in ("deleted", "renamed", "deleted at the end")
    assert f"{' more are' if several else ' is'} no longer there: the folder was removed or renamed meanwhile." in said
    monkeypatch.setattr(seeds, "start", start)
    assert command(*(["-m", "seed=0,1,2"] if many else ["seed=0"]), "train.steps=1") == 0  # the same command mends it
    assert capsys.readouterr().err == ""
