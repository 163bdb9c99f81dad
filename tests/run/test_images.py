"""The pictures a run leaves for the report: what they hold, and that they change no number."""

import io
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from bench.config.identity import identity
from bench.config.prepare import prepare
from bench.report.collection.collect import collect, find
from bench.report.page.pictures import galleries
from bench.run.experiment import Experiment
from bench.run.images import IMAGES_FILE
from bench.run.single import run
from bench.tables import store
from tests.support.composed import composed

SHORT = ("train.steps=3", "model.hidden=[8]", "measure.draws=2", "measure.batches=1", "measure.at=[1]",
         "evaluate.at=[1]", "evaluate.examples=20", "evaluate.samples=2", "evaluate.prior_samples=0",
         "timing.repetitions=0", "threads=1")  # fmt: skip


def configured(*overrides: str) -> dict:
    return prepare(OmegaConf.to_container(composed(*SHORT, *overrides), resolve=True) | {"option": "rloo"})


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "categorical", "vq"])
def test_pictures_of_every_family(tmp_path, family):
    config = configured(f"latent={family}_small", "evaluate.images=5")
    assert run(config, tmp_path / "run").status == "done"
    with np.load(tmp_path / "run" / IMAGES_FILE, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    assert set(found) == {"data", "reconstruction", "prior"} | ({"codes"} if family == "vq" else set())
    for kind in ("data", "reconstruction", "prior"):
        assert (found[kind].shape, found[kind].dtype) == ((5, 1, 8, 8), np.uint8)
        assert found[kind].std() > 0
    assert set(np.unique(found["data"])) == {0, 255}  # dynamic binarisation
    assert (tmp_path / "run" / IMAGES_FILE).stat().st_size < 5000
    collected = collect(find([tmp_path]))[0]
    [gallery] = galleries(collected, [])
    assert [row.label for row in gallery.rows] == ["rloo"]
    if family == "vq":
        assert found["codes"].sum() == 20 * config["latent"]["positions"]
        rows = store.read(tmp_path / "run")["objective"].to_pylist()
        [row] = [row for row in rows if row["split"] == "test"]
        assert (found["codes"] > 0).mean() == row["usage"]
        assert gallery.rows[0].used.startswith(f"{(found['codes'] > 0).sum()} of {config['latent']['codes']} codes")


def test_frames_of_a_sequence_are_one_below_another(tmp_path):
    video = (
        "model=rssm",
        "latent=categorical_small",
        "data=balls",
        "data.frames=3",
        "data.size=8",
        "data.examples=200",
    )
    config = configured(*video, "model.state=4", "evaluate.images=4")
    assert run(config, tmp_path / "run").status == "done"
    with np.load(tmp_path / "run" / IMAGES_FILE, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    for pixels in found.values():
        assert pixels.shape == (4, 1, 3 * 9 - 1, 8)
        assert (pixels[:, 0, 8::9] == 128).all()
    data = Experiment(config).data.fixed("test", 20, config["seeds"]["data"])[::5]
    frames = np.concatenate([found["data"][:, :, first : first + 8] for first in (0, 9, 18)], 1)
    assert frames.reshape(4, -1).tolist() == (data * 255).round().int().tolist()
    assert found["reconstruction"].std() > 1
    [gallery] = galleries(collect(find([tmp_path]))[0], [])
    assert (gallery.data.width, gallery.data.height) == (4 * (4 * 8 + 1) - 1, 4 * 26)


def test_pictures_change_no_number_and_no_identity(tmp_path):
    frames = []
    for images in (0, 4):
        config = configured(f"evaluate.images={images}")
        run(config, tmp_path / str(images))
        assert (tmp_path / str(images) / IMAGES_FILE).exists() == (images > 0)
        frames.append(
            [pq.read_table(tmp_path / str(images) / f"{t}.parquet").to_pandas() for t in ("objective", "gradient")]
        )
        frames[-1][0] = frames[-1][0].drop(columns="seconds")
    for one, other in zip(*frames, strict=True):
        assert one.equals(other)
    assert identity(configured("evaluate.images=0")) == identity(configured("evaluate.images=4"))


@pytest.mark.parametrize("content", [b"", b"PK half", "pickle", "shape"])
def test_what_is_no_picture_is_left_out(tmp_path, content):
    run(configured("evaluate.images=0"), tmp_path / "run")
    buffer = io.BytesIO()
    if content == "pickle":
        np.savez(buffer, data=np.array([object()]), reconstruction=np.zeros(1), prior=np.zeros(1))
    elif content == "shape":
        np.savez(buffer, **{k: np.zeros((3, 8), np.uint8) for k in ("data", "reconstruction", "prior")})
    (tmp_path / "run" / IMAGES_FILE).write_bytes(buffer.getvalue() or content)
    assert zipfile.is_zipfile(tmp_path / "run" / IMAGES_FILE) == (content in ("pickle", "shape"))
    assert galleries(collect(find([tmp_path]))[0], []) == []
