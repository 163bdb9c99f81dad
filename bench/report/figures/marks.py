"""Which ink of a figure is whose, and what each point says, for the page and as titles for any browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary
from xml.sax.saxutils import escape, quoteattr

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES, LEGEND = "series", "series-legend"  # ids of what belongs to one label, and of a legend of labels
REACH = 6.0  # radius of what answers to a pointer, in points
PAD = 3.0  # points around a panel


class Point(NamedTuple):
    """One point of a panel, in the data's units, and what it says besides its name."""

    ax: "Axes"
    label: str
    x: float
    y: float
    words: str


@dataclass
class Marks:
    """Of one figure: its points, how many of its artists have a series, and what the legend of its labels says."""

    points: list[Point] = field(default_factory=list)
    count: int = 0
    note: str = ""


_of: "WeakKeyDictionary[Figure, Marks]" = WeakKeyDictionary()


def marks(figure: "Figure") -> Marks:
    """Those of the figure so far."""
    return _of.setdefault(figure, Marks())


@contextmanager
def series(ax: "Axes", label: str) -> Iterator[None]:
    """What is drawn inside belongs to the label."""
    before = set(map(id, ax.get_children()))
    yield
    of = marks(ax.figure)  # type: ignore[arg-type]
    for child in (c for c in ax.get_children() if id(c) not in before):
        for artist in filter(None, (child, getattr(child, "arrow_patch", None))):
            of.count += 1
            artist.set_gid(f"{SERIES}-{_plain(label).encode().hex()}-{of.count}")


def series_of(identity: str) -> str | None:
    """The label that an id of the SVG names; None where it names none."""
    kind, _, rest = identity.partition("-")
    return bytes.fromhex(rest.partition("-")[0]).decode() if kind == SERIES and identity != LEGEND else None


def point(ax: "Axes", label: str, x: float, y: float, words: str) -> None:
    """Note a point that answers to a pointer."""
    marks(ax.figure).points.append(Point(ax, _plain(label), float(x), float(y), words))  # type: ignore[arg-type]


def below(ax: "Axes", words: str) -> None:
    """A further line below the label of the x axis: there it covers nothing that is drawn."""
    ax.set_xlabel("\n".join(filter(None, [ax.get_xlabel(), words])))


def say_what_left(figure: "Figure") -> None:
    """Write below each panel how many of its points lie outside: no axes lose a point in silence."""
    for ax in figure.axes:
        points = [p for p in marks(figure).points if p.ax is ax]
        if count := sum(not _inside(p) for p in points):
            below(ax, f"{count} of {len(points)} points outside")


def _plain(text: str) -> str:
    """Text for matplotlib as the page has it."""
    return text.replace(r"\$", "$").replace("\n", "; ")


def _inside(point: Point) -> bool:
    x, y = point.ax.transData.transform((point.x, point.y))
    at = point.ax.transAxes.inverted().transform((x, y))
    return bool(np.isfinite(at).all() and (at > -1e-6).all() and (at < 1 + 1e-6).all())


def annotated(svg: bytes, figure: "Figure") -> bytes:
    """The SVG with a group for each panel, which says where it lies and has its points, invisible, with their titles.

    Call it when everything has its final place.
    """
    groups = []
    for i, ax in enumerate(figure.axes, 1):
        circles = [_circle(p, figure) for p in marks(figure).points if p.ax is ax and _inside(p)]
        about = f"<g class={quoteattr('points')} id={quoteattr(f'points_{i}')} data-box={quoteattr(_box(ax, figure))}"
        groups.append(f"{about} data-of={quoteattr(_plain(ax.get_title()))}>{''.join(circles)}</g>\n")
    for i, legend in enumerate(figure.legends, 1):
        if legend.get_gid() != LEGEND:
            groups.append(f'<g class="points" id="legend-points_{i}" data-box={quoteattr(_box(legend, figure))}/>\n')
    if note := marks(figure).note:
        groups.append(f"<desc>{escape(note)}</desc>\n")
    body, end, rest = svg.decode().rpartition("</svg>")
    return (body + "".join(groups) + end + rest).encode()


def _circle(point: Point, figure: "Figure") -> str:
    x, y = _place(point.ax.transData.transform((point.x, point.y)), figure)
    words = escape(f"{point.label}\n{point.words}")
    about = f'cx="{x:.1f}" cy="{y:.1f}" r="{REACH:g}" fill="none" pointer-events="all"'
    return f"<circle data-s={quoteattr(point.label)} {about}><title>{words}</title></circle>"


def _box(artist: Any, figure: "Figure") -> str:
    """`x y width height` in the SVG's units: points from the upper left corner."""
    extent = artist.get_tightbbox(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    (x0, y1), (x1, y0) = (_place(corner, figure) for corner in ((extent.x0, extent.y0), (extent.x1, extent.y1)))
    return f"{x0 - PAD:.1f} {y0 - PAD:.1f} {x1 - x0 + 2 * PAD:.1f} {y1 - y0 + 2 * PAD:.1f}"


def _place(pixels: "tuple[float, float] | np.ndarray", figure: "Figure") -> tuple[float, float]:
    width, height = 72 * figure.get_size_inches()
    x, y = figure.transFigure.inverted().transform(pixels)
    return float(x * width), float((1 - y) * height)
