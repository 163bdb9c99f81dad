"""Table `choices`: how the codes of every stage, or the experts, are used."""

import pyarrow.parquet as pq
import pytest
import torch

import bench
from bench.measure.choices import choices
from bench.measure.evaluate import evaluate
from bench.model.codebook import perplexity
from bench.report.collection.saved import KEPT, read_saved, write_tables
from bench.run.single import run
from bench.tables import store
from bench.tables.schema import TABLES, arrow_schema
from estimators import VQ
from tests.support.experts import by_hand, mixture
from tests.support.layers import images
from tests.support.runs import config
from tests.support.stages import residual

RESIDUAL = ("latent=vq_small", "latent.stages=3", "model.hidden=[]", "measure.draws=2", "measure.batches=1")
EXPERTS = ("latent=categorical", "latent.dim=1", "latent.categories=4", "model.hidden=[8]", "model.decoder=experts",
           "model.task=structured", "objective.beta=0", "estimator=dense_mixer", "measure.reference=exact")  # fmt: skip
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of each."""
    folder = tmp_path_factory.mktemp("choices")
    for name, words in (("residual", RESIDUAL), ("experts", EXPERTS), ("plain", ("measure.draws=2",))):
        assert run(config(*words), folder / name).status == "done"
    return folder


def test_every_stage_and_every_expert_has_a_row_of_each_split_and_step(runs):
    for name, parts in (
        ("residual", [f"stage.{s}" for s in (1, 2, 3)]),
        ("experts", [f"expert.{e}" for e in (1, 2, 3, 4)]),
    ):
        found = store.read(runs / name)["choices"].to_pylist()
        keys = [(row["step"], row["split"], row["part"]) for row in found]
        assert keys == [(step, split, part) for step in (0, 12) for split in SPLITS for part in parts]
    rows = store.read(runs / "residual")["choices"].to_pylist()
    assert all(1 <= row["perplexity"] <= 4 and 0 < row["usage"] <= 1 and row["load"] is None for row in rows)
    experts = store.read(runs / "experts")["choices"].to_pylist()
    for column in ("load", "probability"):
        assert sum(row[column] for row in experts) == pytest.approx(2 * len(SPLITS))  # one for each step and split
    measured = {row["part"]: row for row in store.read(runs / "experts")["gradient"].to_pylist()}
    assert measured["encoder"]["reference"] == "exact"
    assert -1 <= measured["encoder"]["cosine"] <= 1


def test_other_runs_have_no_such_table_and_frames_an_empty_one(runs):
    assert set(store.read(runs / "plain")) == {"runs", "objective", "gradient", "cost"}
    frames = bench.load(runs)
    assert set(frames.choices.part) == {f"stage.{s}" for s in (1, 2, 3)} | {f"expert.{e}" for e in (1, 2, 3, 4)}
    assert bench.load(runs / "plain").choices.empty


def test_a_report_of_before_there_was_the_table_is_read(runs, tmp_path):
    tables = store.read(runs / "plain")
    write_tables({name: tables[name] for name in TABLES if name in tables}, tmp_path, as_csv=False)
    pq.write_table(tables["runs"], tmp_path / KEPT)
    [read] = read_saved(tmp_path)
    assert read["choices"].equals(arrow_schema("choices").empty_table())


@torch.no_grad()
def test_the_rows_of_stages_are_of_the_nearest_path_and_those_of_experts_means_over_examples():
    model, x = residual(2), images()
    rest = model.encode(x).params.detach()
    for stage, row in enumerate(choices(model, x), 1):
        q = VQ(rest, model.codebook.of(stage).codes, 1.5)
        assert (row["perplexity"], row["usage"]) == pytest.approx(perplexity(q))
        rest = rest - q.nearest() @ q.codebook
        assert row["quantisation_error"] == pytest.approx(float(rest.square().mean()))
    assert evaluate(model, x, 2, 0, seed=0)["quantisation_error"] == row["quantisation_error"]
    mixed = mixture()
    probs, _ = by_hand(mixed, x)
    counts = torch.bincount(probs.argmax(-1), minlength=3) / len(x)
    rows = choices(mixed, x)
    assert [row["load"] for row in rows] == pytest.approx(counts.tolist())
    assert [row["probability"] for row in rows] == pytest.approx(probs.mean(0).tolist())
