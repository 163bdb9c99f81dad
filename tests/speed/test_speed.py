"""What is timed measures the same on both sides, the floor is one, and the command leaves a table and a figure."""

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.measure.clock import Rounds
from bench.measure.gradient.draws import take
from bench.measure.gradient.parts import noise_alone, parts
from bench.model.objective import Objective
from bench.speed import ceilings, command, options
from bench.speed.draws import PARTS
from bench.speed.plain import plain_draws
from bench.speed.problems import LAYERED, LEAD, OTHERS, problem
from bench.speed.table import COLUMNS
from estimators.reparam import Reparam
from estimators.rloo import RLOO
from tests.support.loop import numbered
from tests.support.small import images, vae

CPU = torch.device("cpu")


@pytest.mark.parametrize("what", PARTS)
@pytest.mark.parametrize("estimator", [RLOO(2), Reparam()], ids=["rloo", "reparam"])
def test_both_sides_of_a_comparison_give_the_same_trace(what, estimator):
    objective, x = Objective(vae("gaussian"), estimator), images(3)
    named = objective.model.named_parameters()
    parameters = [p for n, p in named if p.requires_grad and n.startswith(("encoder.", "decoder.")[: len(PARTS[what])])]
    with numbered(objective.estimator):
        tallies = take(objective, x, 40, decoder="decoder" in PARTS[what])
    with numbered(objective.estimator):
        wanted = float(plain_draws(objective, x, 40, parameters).detach())
    blocks = parts(tallies, False)
    assert noise_alone(tallies, [n for p in PARTS[what] for n in blocks[p]]) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("what", PARTS)
@pytest.mark.parametrize("option", [LEAD, *OTHERS], ids=lambda option: option.name)
def test_the_floor_counts_no_product_that_is_not_computed_and_most_that_are(option, what):
    objective, x = problem(CPU, option)
    decoder = "decoder" in PARTS[what]
    least = ceilings.work(objective, x, decoder)
    executed = []
    for draws in (4, 8):
        with FlopCounterMode(display=False) as counter:
            take(objective, x, draws, decoder=decoder)
        executed.append(counter.get_total_flops())
        assert 0.6 * counter.get_total_flops() < least.flops(draws) < counter.get_total_flops()
    assert least.flops(8) - least.flops(4) <= executed[1] - executed[0]


@pytest.fixture
def _small(monkeypatch):
    tiny = {"draws": [2], "others": [2], "own": [2], "memory": [2, 3], "batches": [3, 120], "repetitions": 2}
    monkeypatch.setattr(command, "QUICK", tiny)
    monkeypatch.setattr(command, "OTHERS", OTHERS[-1:])
    monkeypatch.setattr("bench.speed.steps.STEPS", 1)
    monkeypatch.setattr("bench.train.engine.BACKEND", "aot_eager")  # the compiler without its slow half
    monkeypatch.setattr(ceilings, "COPIED", 2**16)
    monkeypatch.setattr(ceilings, "BLOCK", 0)


@pytest.mark.usefixtures("_small")
def test_one_command_leaves_a_table_and_a_figure(tmp_path, capsys):
    assert command.main(["--quick", "--device", "cpu", "--threads", "1", "--out", str(tmp_path / "new")]) == 0
    written = {path.name for path in (tmp_path / "new").iterdir()}
    assert written == {"speed.parquet", "speed.csv", "speed.png", "speed.svg", "speed.pdf"}
    table = pd.read_parquet(tmp_path / "new" / "speed.parquet")
    assert list(table.columns) == list(COLUMNS)
    assert table[["ours", "reference", "ratio", "device", "device_name", "threads", "torch"]].notna().all(axis=None)
    drawn = table[table.what.str.startswith("draws")]
    assert set(drawn.estimator) == {LEAD.name, OTHERS[-1].name}
    assert ((drawn.fraction_of_floor > 0) & (drawn.memory_floor > 0) & (drawn.q1 <= drawn.q3)).all()
    assert {"1 training steps, eager", "1 training steps, compile", "peak memory, encoder + decoder"} < set(table.what)
    said = capsys.readouterr().out
    assert "On a GPU: not measured." in said
    own = table[table.what == "bench.measure, own module"]
    assert own[["estimator", "size"]].to_numpy().tolist() == [[LEAD.name, 2]]
    steps = table[table.what.str.contains("steps")]
    ways = [("eager", 1), ("compile", 1), ("eager", 8), ("eager", 1), ("eager", 1)]
    assert list(zip(steps.engine, steps["size"], strict=True)) == ways
    assert [*steps.estimator[steps.what == "1 training steps, two layers"]] == [option.name for option in LAYERED]
    assert all(f"{row.what} " in said for row in table.itertuples())
    batches = table[table.what == "gradient of a batch"]
    names = [LEAD.name, OTHERS[-1].name]
    assert list(zip(batches.estimator, batches["size"], strict=True)) == [(n, b) for b in (3, 120) for n in names]
    assert batches.ratio[batches.estimator == LEAD.name].eq(1).all()
    assert batches.valid.notna().all()
    timed = table[table.unit == "s"]
    assert timed[["ours_se", "reference_se"]].ge(0).all(axis=None)
    csv = pd.read_csv(tmp_path / "new" / "speed.csv")
    assert csv.ours.tolist() == pytest.approx(table.ours.tolist())


@pytest.mark.usefixtures("_small")
def test_the_table_is_there_after_every_row(tmp_path, monkeypatch, capsys):
    def breaks(device, counts):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(command, "memory_rows", breaks)
    words = ["--quick", "--device", "cpu", "--threads", "1", "--out", str(tmp_path), "--only", "gradients", "memory"]
    with pytest.raises(KeyboardInterrupt):
        command.main(words)
    assert {path.name for path in tmp_path.iterdir()} == {"speed.parquet", "speed.csv"}
    assert set(pd.read_parquet(tmp_path / "speed.parquet").what) == {"gradient of a batch"}
    capsys.readouterr()


def test_a_product_is_timed_many_times_between_two_events(monkeypatch):
    asked = []

    def clock_of(device):
        def clock(work, calls):
            asked.append(calls)
            return 1e-3 * calls

        return clock

    monkeypatch.setattr(ceilings, "clock_of", clock_of)
    assert ceilings.seconds_alone(lambda: None, torch.device("cuda")) == pytest.approx(1e-3)
    assert min(asked) == 50
    assert ceilings.seconds_alone(lambda: None, CPU) == pytest.approx(1e-3)


def test_all_options_of_one_number_of_replicas_are_timed_in_turn(monkeypatch):
    """Each beside the function written by hand, if there is one, so that a drift leaves all ratios alone."""
    asked, interleaved = [], options.interleaved

    def watched(works, clock, rounds):
        asked.append([*works])
        return interleaved(works, clock, rounds)

    def clock_of(device):
        now = []

        def clock(work, calls):
            now.append(work())
            return calls * 1e-3 * (1 + len(now) / 1000)

        return clock

    some = {
        name: found for name, found in options.plugins.registry().items() if name in {*options.FUNCTIONS, "em", "nvil"}
    }
    monkeypatch.setattr(options.plugins, "registry", lambda: some)
    monkeypatch.setattr(options, "interleaved", watched)
    monkeypatch.setattr(options, "clock_of", clock_of)
    rows = list(options.rows(CPU, [1, 3], Rounds(most=2, warmup=0, block=0)))
    names = [row["option"] for row in rows if row["replicas"] == 1]
    assert "rloo" in names
    assert len(set(names)) == len(names) == len(rows) / 2
    for works in asked:
        assert [name for name, side in works if side == "ours"] == names
        assert {name for name, side in works if side == "reference"} == {*options.FUNCTIONS} & {*names}
    assert len(asked) == 2
    found = pd.DataFrame(rows)
    times = found.microseconds * found.replicas
    assert times.max() < 1.01 * times.min()  # forth and back, all meet the same drift
    assert found.ratio.dropna().between(0.99, 1.01).all()
    assert set(found.option[found.ratio.notna()]) == {*options.FUNCTIONS} & {*names}


BAD = {
    "--batches 0": "--batches 0 is too few; 1 is the least.",
    "--draws 1": "--draws 1 is too few; 2 is the least.",
    "--threads 0": "--threads 0 is too few; 1 is the least.",
    "--repetitions 0": "--repetitions 0 is too few; 1 is the least.",
    "--continue --per-estimator": "--continue does not go with --per-estimator, whose options are timed in turn.",
    "--replicas 1 0": "--replicas 0 is too few; 1 is the least.",
    "--draws many": "argument --draws: invalid int value: 'many'",
    "--device tpu": "argument --device: invalid choice: 'tpu' (choose from",
    "--engine": "unrecognized arguments: --engine",
    "--out {file}": "--out {file} cannot be made a directory: File exists.",
    "--out {file}/in": "--out {file}/in cannot be made a directory: Not a directory.",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_arguments_are_one_sentence(words, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(SystemExit) as refused:
        command.main(words.format(file=file).split())
    said = capsys.readouterr()
    assert refused.value.code == 2
    assert said.err.startswith("python -m bench.speed: " + BAD[words].format(file=file))
    assert said.err.count("\n") == 1
    assert not said.out
    assert file.read_text() == "kept"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_gpu_that_is_not_there_is_one_sentence(capsys):
    with pytest.raises(SystemExit):
        command.main(["--device", "cuda"])
    wanted = "python -m bench.speed: --device cuda was asked for and this machine has none; --device cpu works.\n"
    assert capsys.readouterr().err == wanted
