"""A model of a class in a run: its images, engines, seeds at once, the averages of papers, and its checkpoints."""

import io

import numpy as np
import pytest
import torch

from bench import cli
from bench.config.identity import replica
from bench.config.prepare import prepare
from bench.errors import Impossible
from bench.probe.command import main as probe
from bench.report.collection.collect import collect, find
from bench.report.page.pictures import galleries
from bench.run.experiment import Experiment
from bench.run.images import IMAGES_FILE
from bench.run.single import run
from bench.run.together import Together
from bench.tables import store
from bench.train.capture import obstacle
from tests.support.composed import resolved
from tests.support.runs import SMALL, numbers
from tests.support.stopped import STOPS, killed, stopping

HERE = "tests.support.brought"
COINS = {"_target_": f"{HERE}.Coins"}
MODELS = ("Conv", "Film")


def config(model: str, *words: str) -> dict:
    """A run of this model on coins, of bits."""
    stops = [word for word in STOPS if not word.startswith("model.")]
    small = (*SMALL, *stops, "train.batch_size=20", "device=cpu", "latent=bernoulli_small", "dtype=float64", *words)
    return prepare(resolved(*small) | {"data": COINS, "model": {"_target_": f"{HERE}.{model}"}, "option": "rloo"})


@pytest.mark.parametrize("model", MODELS)
def test_a_run_leaves_images_and_goes_on_after_an_interruption(tmp_path, monkeypatch, model):
    settings = config(model, "evaluate.images=3", "measure.draws=4")
    assert run(settings, tmp_path / "a").status == "done"
    with np.load(io.BytesIO((tmp_path / "a" / IMAGES_FILE).read_bytes()), allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    assert set(found) == {"data", "reconstruction", "prior"}
    assert {each.shape for each in found.values()} == {(3, 1, 4, 4)}
    made = Experiment(settings)
    torch.testing.assert_close(
        torch.from_numpy(found["data"]).double() / 255,
        made.data.fixed("test", settings["evaluate"]["examples"], 0)[::2].unflatten(-1, (1, 4, 4)),
    )
    assert found["prior"].std() > 0
    [gallery] = galleries(collect(find([tmp_path / "a"]))[0], [])
    assert [row.label for row in gallery.rows] == ["rloo"]
    stopping(monkeypatch, 5, killed)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "b")
    assert run(settings, tmp_path / "b").status == "done"
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")


def test_what_papers_report_is_of_the_parameters_that_feed_q(tmp_path):
    """The encoder of a module need not be called so: `down` feeds q."""
    settings = config("Conv", "measure.papers=true", "measure.draws=4", "measure.at=[1]", "evaluate.at=[]")
    assert run(settings, tmp_path).status == "done"
    rows = {row["part"]: row for row in store.read(tmp_path)["gradient"].to_pylist()}
    made = Experiment(settings)
    learned = dict.fromkeys(("encoder", "decoder"), 0)
    for name, p in made.model.named_parameters():
        learned["encoder" if ".down." in name else "decoder"] += p.numel()
    whole = sum(learned.values())
    mean = sum(learned[part] * rows[part]["ema_variance"] for part in learned) / whole
    assert mean == pytest.approx(rows["encoder"]["ema_variance_all"], rel=1e-9)
    assert rows["encoder"]["ema_variance"] != rows["decoder"]["ema_variance"]
    assert all(rows[part]["snr_parameters"] > 0 for part in learned)


@pytest.mark.parametrize("model", MODELS)
def test_seeds_at_once_train_as_each_alone(model):
    whole = config(model, "replicas=2")
    group = Together([replica(whole, number) for number in range(2)])
    for _ in range(3):
        group.engine.step()
    for number in range(2):
        alone = Experiment(replica(whole, number))
        with alone.noise():
            for _ in range(3):
                alone.train_step()
        torch.testing.assert_close(group.trainer.losses[:3, number], alone.trainer.losses[:3], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_engines_train_alike_and_a_graph_would_be_recorded(monkeypatch, model):
    monkeypatch.setattr("bench.train.engine.BACKEND", "eager")  # captured as it is for any backend
    losses = []
    for engine in ("eager", "compile"):
        made = Experiment(config(model, f"engine={engine}"))
        made.prepare()
        with made.noise():
            for _ in range(3):
                made.train_step()
        losses.append(made.trainer.losses[:3])
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-9)
    assert obstacle(made.trainer, made.example()) is None


def test_a_model_that_reads_a_value_is_told_where_it_cannot_be_trained_at_once_or_recorded():
    made = Experiment(config("Branching"))
    assert "needs the value of a tensor on the host" in obstacle(made.trainer, made.example())
    whole = config("Branching", "replicas=2")
    with pytest.raises(Impossible, match=r"^rloo on Branching cannot be trained as replicas \(.*\): set replicas=1"):
        Together([replica(whole, number) for number in range(2)])


def test_estimators_are_measured_at_checkpoints_and_seeds_are_swept(tmp_path, capsys):
    for group, cls in (("data", "Coins"), ("model", "Conv")):
        (tmp_path / "own" / group).mkdir(parents=True)
        (tmp_path / "own" / group / "mine.yaml").write_text(f"_target_: {HERE}.{cls}\n")
    words = ["--config-dir", f"{tmp_path / 'own'}", "data=mine", "model=mine", "latent=bernoulli_small", *SMALL]
    words += ["device=cpu", f"output={tmp_path}", "latent.dim=3"]
    own = ["name=p", "probe.tuning_steps=1", "probe.batch_sizes=[]", "probe.estimators=[rloo,nvil]"]
    assert probe([*words, *own, "timing.repetitions=0"]) == 0
    found = [store.read(file.parent)["runs"].to_pylist()[0] for file in (tmp_path / "p").rglob(store.MARKER)]
    assert {row["estimator"]: row["status"] for row in found} == {"rloo": "done", "nvil": "done"}
    assert cli.main([*words, "replicas=2", "name=r", "measure.at=[]", "evaluate.images=2"]) == 0, capsys.readouterr()
    runs = [file.parent for file in (tmp_path / "r").rglob(store.MARKER)]
    assert [(at / IMAGES_FILE).is_file() for at in runs] == [True, True]
