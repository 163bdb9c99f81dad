"""Put a name beside each point of a scatter so that no two names, and no name and point, overlap."""

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.figures.marks import series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISTANCES = (5, 10, 17, 26, 37, 50, 65, 82)  # points from the marker to the name, the nearest first
ANGLES = tuple(np.deg2rad([0, 180, 25, -25, 155, -155, 50, -50, 130, -130, 75, -75, 105, -105]))
POINT = 4.5  # half the side of a marker's box, in points


def label_points(
    ax: "Axes",
    x: Sequence[float],
    y: Sequence[float],
    names: Sequence[str],
    colours: Sequence[str],
    clear: np.ndarray,
    slanted: Container[str] = (),
) -> None:
    """Write a name beside each point, nearest free place first; a thin line leads back where a name had to move away.

    What cannot be placed freely takes the least bad place.

    Args:
        ax: axes that have their final limits and place.
        x, y: the points.
        names, colours: one for each point.
        clear: boxes `[m, 4]`, in pixels, of what is drawn already, which are kept free too.
        slanted: the names in italics.
    """
    scale = ax.figure.dpi / 72
    points = ax.transData.transform(np.column_stack([x, y]))  # [n, 2] in pixels
    half = POINT * scale
    markers = np.hstack([points - half, points + half])  # [n, 4] left, bottom, right, top
    frame = np.array(ax.get_window_extent().extents)
    taken = list(clear)
    for i in np.argsort(-points[:, 1], kind="stable"):
        face: Any = {"fontsize": 7, "style": "italic" if names[i] in slanted else "normal"}
        text = ax.text(0, 0, names[i], transform=ax.transAxes, **face)
        size = text.get_window_extent()
        text.remove()
        obstacles = np.array([*taken, *np.delete(markers, i, 0)]).reshape(-1, 4)
        places = []
        for step, distance in enumerate(DISTANCES):
            for turn, angle in enumerate(ANGLES):
                box = _box(points[i], distance * scale, angle, size.width, size.height)
                penalty = 1e3 * _overlap(obstacles, box) + 1e3 * _outside(frame, box) + 20 * step + turn
                places.append((penalty, step, box))
        _, step, box = min(places, key=lambda place: place[0])
        taken.append(box)
        anchor = (np.clip(points[i][0], box[0], box[2]), np.clip(points[i][1], box[1], box[3]))
        inverse = ax.transData.inverted()
        left, middle = inverse.transform((box[0], (box[1] + box[3]) / 2))
        paper = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.3}
        with series(ax, names[i]):
            ax.text(left, middle, names[i], color="#222222", va="center", ha="left", zorder=1.5, bbox=paper, **face)
            if step > 1:
                line = inverse.transform([points[i], anchor])
                ax.plot(*line.T, color=colours[i], linewidth=0.5, alpha=0.7, zorder=1, scalex=False, scaley=False)


def _box(point: np.ndarray, distance: float, angle: float, width: float, height: float) -> np.ndarray:
    """A box that touches the circle around the point from outside, in the direction of the angle."""
    toward = np.array([np.cos(angle), np.sin(angle)])
    half = np.array([width, height]) / 2
    centre = point + distance * toward + half * np.array([_sign(toward[0]), toward[1]])
    return np.concatenate([centre - half, centre + half])


def _sign(value: float) -> float:
    return float(np.sign(value)) if abs(value) > 0.3 else value / 0.3


def _overlap(boxes: np.ndarray, box: np.ndarray) -> float:
    """Number of boxes that the box touches, plus how much of it they cover."""
    if not len(boxes):
        return 0.0
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])  # [n, 2]
    area = np.clip(sides, 0, None).prod(1)
    return float((area > 0).sum() + area.sum() / (box[2:] - box[:2]).prod())


def _outside(frame: np.ndarray, box: np.ndarray) -> float:
    """How many pixels of the box lie outside the frame."""
    return float(np.clip(frame[:2] - box[:2], 0, None).sum() + np.clip(box[2:] - frame[2:], 0, None).sum())
