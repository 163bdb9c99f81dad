"""Every option on every family of a device: what goes wrong is a row, and what is done is not done again."""

import csv
import warnings

import pytest
import torch

from bench.errors import Impossible
from bench.gpu import options


def table(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def words(tmp_path):
    return ["--device", "cpu", "--out", str(tmp_path / "new" / "o.csv"), "--options", "reparam"]


@pytest.mark.slow
def test_every_pair_is_a_row_and_is_made_once(tmp_path, words, monkeypatch, capsys):
    assert options.main(words) == 0
    rows = table(tmp_path / "new" / "o.csv")
    assert [row["family"] for row in rows] == ["bernoulli", "categorical", "gaussian", "vq"]
    assert rows[0]["eager"].startswith("refused: reparam does not differentiate bernoulli latents")
    assert rows[2]["eager"] == "ok"
    assert float(rows[2]["draws_per_second"]) > 0
    monkeypatch.setattr(options, "pair", lambda *_: pytest.fail("was done"))
    assert options.main(words) == 0
    assert "4 pairs, 3 refused, 0 wrong" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setattr(options, "pair", lambda *_: ({"option": "reparam", "eager": "ok", "graph": "ok"}, None))
    monkeypatch.setattr(options, "commit", lambda: "another")
    assert options.main(words) == 0
    assert [row["commit"] for row in table(tmp_path / "new" / "o.csv")] == 4 * ["another"]


@pytest.mark.parametrize("where", ["eager", "graph"])
def test_a_wait_is_a_row_and_the_exit_status(tmp_path, words, monkeypatch, capsys, where):
    """What PyTorch raises for a wait, planted in one family."""

    def row(option, family, device, data):
        found = {"option": option, "family": family, "eager": "ok", "graph": "ok"}
        return (found | {where: "failed: RuntimeError: called a synchronizing CUDA operation"}, data)

    monkeypatch.setattr(options, "pair", row)
    assert options.main(words) == 1
    assert "4 pairs, 0 refused, 4 wrong" in capsys.readouterr().out


def test_the_mode_that_sees_waits_ends_with_its_block_and_its_own_warning_is_no_failure(monkeypatch):
    """PyTorch says once that the mode is a prototype, and in the tests a warning is an error."""
    modes = []

    def set_mode(mode):
        modes.append(mode)
        if mode == "error":
            warnings.warn("Synchronization debug mode is a prototype feature and does not", stacklevel=1)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", set_mode)
    with options.no_waiting(torch.device("cuda")):
        assert modes == ["error"]
    assert modes == ["error", "default"]


class Stand:
    """An experiment whose losses are those of its engine."""

    data = q = None

    def __init__(self, config, data=None):
        self.engine = config["engine"]
        self.objective = self

    def impossible(self):
        return None

    def noiseless(self, q):
        return True


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (lambda a: a * (1 + 1e-5), "ok"),
        (lambda a: a * (1 + 1e-2), "its losses are not those of eager"),
        (lambda a: a * torch.nan, "its losses are not those of eager"),
        (
            RuntimeError("called a synchronizing\nCUDA operation"),
            "failed: RuntimeError: called a synchronizing CUDA operation",
        ),
        (Impossible("engine=graph cannot record it."), "refused: engine=graph cannot record it."),
    ],
)
def test_a_graph_is_held_to_the_losses_of_eager(monkeypatch, graph, said):
    def losses(experiment):
        expected = torch.arange(1.0, 11)
        if experiment.engine == "eager":
            return expected
        if isinstance(graph, Exception):
            raise graph
        return graph(expected)

    monkeypatch.setattr(options, "configured", lambda *_: {"engine": "eager"})
    monkeypatch.setattr(options, "set_up", lambda config: None)
    monkeypatch.setattr(options, "Experiment", Stand)
    monkeypatch.setattr(options, "losses", losses)
    row, _ = options.pair("rloo", "bernoulli", "cuda")
    assert (row["eager"], row["graph"]) == ("ok", said)
    assert options.fine(row["graph"]) == (said[:2] in ("ok", "re"))


def test_a_table_of_something_else_is_made_anew(tmp_path):
    for content in (b"a,b\n1,2\n", b"\xff\xfe", b""):
        (tmp_path / "o.csv").write_bytes(content)
        assert options.read(tmp_path / "o.csv") == []
