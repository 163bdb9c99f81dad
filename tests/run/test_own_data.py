"""A folder of pictures in colour is swept from the command line, and reported in colour."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench import cli
from bench.config.identity import replica
from bench.report.collection.collect import collect, find
from bench.report.page.captions import setting
from bench.report.page.pictures import galleries
from bench.run.experiment import Experiment
from bench.run.images import IMAGES_FILE
from bench.run.together import Together
from bench.tables import store
from tests.support.runs import SMALL, config

SIDE = 8
WORDS = (
    *SMALL, "data=file", "data.path=pngs", "model.hidden=[4,6]", "latent=bernoulli_small", "evaluate.images=3",
    "train.steps=3", "timing.repetitions=0", "measure.at=[1]", "evaluate.at=[1]", "evaluate.prior_samples=5",
    "train.batch_size=4", "measure.batch_size=4", "device=cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty pictures, each of a colour of its own with a little noise."""
    place, draw = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    (place / "pngs").mkdir()
    for i in range(20):
        picture = draw.integers(40, 200, (1, 1, 3)) + draw.integers(0, 40, (SIDE, SIDE, 3))
        Image.fromarray(picture.astype(np.uint8)).save(place / "pngs" / f"{i}.png")
    return place


def test_a_folder_is_swept_from_the_command_line(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = [*WORDS, "model=conv", "model.likelihood=categorical256", "model.std=0.3", "model.learn_std=true"]
    assert cli.main(["-m", *words, "estimator=rloo,disarm"]) == 0, capsys.readouterr().err
    runs = [file.parent for file in folder.rglob(store.MARKER)]
    assert len(runs) == 2
    for run in runs:
        tables = store.read(run)
        row, held = tables["runs"].to_pylist()[0], json.loads(tables["runs"]["config"][0].as_py())
        assert (row["status"], len(held["data"]["digest"])) == ("done", 64)
        for found in tables["objective"].to_pylist():
            nats = -found["elbo"]
            assert found["bits_per_dim"] == pytest.approx(nats / (3 * SIDE * SIDE * np.log(2)))
            assert 4 < found["bits_per_dim"] < 12
            assert np.isfinite(found["log_prior_sampling"])
        assert all(np.isfinite(part["variance_noise"]) for part in tables["gradient"].to_pylist())
        with np.load(run / IMAGES_FILE, allow_pickle=False) as images:
            assert {images[kind].shape for kind in images.files} == {(2, 3, SIDE, SIDE)}
            data = images["data"]
    collected = collect(find([folder]))[0]
    [gallery] = galleries(collected, [])
    shown = Image.open(io.BytesIO(base64.b64decode(gallery.data.uri.partition(",")[2])))
    assert shown.mode == "RGB"
    first = np.asarray(shown)[:, : shown.height].mean((0, 1))  # enlarged smoothly, which keeps colours
    np.testing.assert_allclose(first, data[0].mean((1, 2)), atol=2)
    assert "path pngs" in setting(collected)


@pytest.mark.parametrize("arch", ["mlp", "conv", "linear"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "categorical256"])
def test_every_model_learns_images_in_colour(folder, monkeypatch, arch, likelihood):
    monkeypatch.chdir(folder)
    more = [f"model={arch}"] if arch != "linear" else ["model=linear", "model.hidden=[]"]
    more += ["model.output_bias=init", f"model.likelihood={likelihood}", "model.center_input=true"]
    more += ["data.dequantise=true"] if likelihood == "gaussian" else []
    experiment = Experiment(config(*WORDS, "estimator=rloo", *more))
    assert experiment.data.shape == (3, SIDE, SIDE)
    with torch.no_grad():
        z = experiment.model.encode(experiment.probe[0]).sample(1)
        shown = experiment.model.decode(z).reshape(-1, 3, SIDE * SIDE).mean((0, 2))
    mean = experiment.data.mean.unflatten(0, (3, -1)).mean(1)
    torch.testing.assert_close(shown.sigmoid() if likelihood == "bernoulli" else shown, mean, rtol=0, atol=0.25)
    with experiment.noise():
        for _ in range(3):
            experiment.train_step()
    assert experiment.diverged() == [None]


@pytest.mark.parametrize("likelihood", ["gaussian", "categorical256"])
def test_seeds_at_once_have_the_batches_and_the_likelihood_of_those_alone(folder, monkeypatch, likelihood):
    monkeypatch.chdir(folder)
    more = ["data.dequantise=true"] if likelihood == "gaussian" else []
    whole = config(*WORDS, "model=mlp", "dtype=float64", "replicas=2", f"model.likelihood={likelihood}", *more)
    group = Together([replica(whole, number) for number in range(2)])
    for _ in range(4):
        group.engine.step()
    for number in range(2):
        alone = Experiment(replica(whole, number))
        with alone.noise():
            for _ in range(4):
                alone.train_step()
        torch.testing.assert_close(group.trainer.losses[:4, number], alone.trainer.losses[:4], rtol=1e-9, atol=1e-9)
