"""The images that runs wrote beside their tables, as strips of PNG for the page."""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.foreign import content
from bench.report.collection.collect import PANEL, Collection, Group
from bench.report.figures.panels import title
from bench.tables.schema import OWN_TRAINING

MOST_ESTIMATORS = 12  # estimators shown of a panel
KINDS = {"data": "data", "reconstruction": "reconstructions", "prior": "prior samples"}
GAP, GREY = 1, 128
SIDE = 32  # pixels; smaller images are enlarged smoothly to about this: a digit of 8 pixels cannot be read as squares


class Strip(NamedTuple):
    """Images side by side: a data URI, its size in pixels, and what they show."""

    uri: str
    width: int
    height: int
    what: str


class Row(NamedTuple):
    """One estimator: its images, their seed, and how often each code of a codebook was used."""

    label: str
    seed: int
    strips: list[Strip]
    codes: list[float]  # counts over the largest count, the most used first; empty without a codebook
    used: str


class Gallery(NamedTuple):
    """The pictures of one panel."""

    title: str
    data: Strip
    rows: list[Row]
    left_out: int


def galleries(collection: Collection, order: list[Group]) -> list[Gallery]:
    """The galleries of the panels of own trajectories whose runs have images. `order` lists (*panel, label), in the
    order in which to show them."""
    found = []
    units = collection.units[(collection.units.trained_with == OWN_TRAINING) & (collection.units.status == "done")]
    ranks = {unit: i for i, unit in enumerate(order)}
    for key, panel in units.groupby(PANEL, sort=True):
        rows, data = [], None
        first: list[Any] = list(panel.sort_values("seed").drop_duplicates("label").itertuples())  # one seed of each
        for unit in sorted(first, key=lambda u: ranks.get((*key, u.label), len(ranks))):
            if (images := read(collection.directories.get(unit.run))) is None:
                continue
            data = data or _strip(images["data"], "test images")
            strips = [_strip(images[kind], f"{KINDS[kind]}, {unit.label}") for kind in ("reconstruction", "prior")]
            rows.append(Row(unit.label, int(unit.seed), strips, *_usage(images.get("codes"))))
        if data:
            found.append(Gallery(title(key), data, rows[:MOST_ESTIMATORS], len(rows[MOST_ESTIMATORS:])))
    return found


def read(directory: Path | None) -> dict[str, np.ndarray] | None:
    """The arrays of `images.npz`; None if it is missing or damaged."""
    if directory is None or not (directory / "images.npz").is_file():
        return None
    try:
        with np.load(io.BytesIO(content(directory / "images.npz")), allow_pickle=False) as file:
            images = {name: file[name] for name in file.files}
    except Exception:  # any error of the archive: the page does without the images
        return None
    right = all(k in images and images[k].ndim == 4 and images[k].dtype == np.uint8 and images[k].size for k in KINDS)
    counts = images.get("codes")
    return images if right and (counts is None or (counts.ndim == 1 and counts.dtype.kind in "iu")) else None


def _strip(images: np.ndarray, what: str) -> Strip:
    """Images `[n, C, H, W]`, uint8, side by side: in colour with three channels, or with four without the opacity; else
    the first channel."""
    from PIL import Image

    larger = max(1, SIDE // images.shape[-1])
    n, channels, height, width = images.shape[:2] + tuple(larger * side for side in images.shape[2:])
    canvas = np.full((height, n * (width + GAP) - GAP, channels), GREY, np.uint8)
    for i, image in enumerate(images):
        shown = [Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC) for channel in image]
        canvas[:, i * (width + GAP) : i * (width + GAP) + width] = np.stack(list(map(np.asarray, shown)), axis=-1)
    content = io.BytesIO()
    Image.fromarray(canvas[..., :3] if channels in (3, 4) else canvas[..., 0]).save(content, "png", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return Strip(uri, canvas.shape[1], height, f"{n} {what}")


def _usage(codes: np.ndarray | None) -> tuple[list[float], str]:
    if codes is None or not codes.sum():
        return [], ""
    share = codes / codes.sum()
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    used = f"{(codes > 0).sum()} of {len(codes)} codes used, perplexity {np.exp(entropy):.1f}"
    return [round(float(v), 3) for v in np.sort(codes)[::-1] / codes.max()], used
