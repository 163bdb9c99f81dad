"""One look for all figures: colour-blind safe, readable in print, and the same bytes each time."""

import hashlib
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.figures.fit import fit
from bench.report.figures.marks import annotated, say_what_left

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's palette without its yellow, which print loses, and with a grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "d")  # 11, coprime to 8: 88 pairs
PAIRS = len(COLOURS) * len(MARKERS)
DASHES = ((), (4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (8, 2))
# Those that are compared most often come first, so that they differ in colour and in marker. An estimator keeps its
# place: a new one goes to the end, or has its place by a hash of its name.
KNOWN = (
    "rloo", "gumbel_softmax", "disarm", "straight_through", "exact", "reinforce", "rebar", "detached",
    "reinmax", "reparam", "stl", "antithetic", "qmc", "arms", "vq_straight_through", "vq_rotation",
    "relax", "st_gumbel_softmax", "arm", "zgr", "local_expectation", "unordered_set", "gumbel_rao", "measure_valued",
    "vimco", "mve", "muprop", "reinforce_moving_average", "sum_and_sample", "darn", "iwae", "dreg",
    "grpo", "dr_grpo", "maxrl", "vargrad", "group_relative", "reinforce_network", "concrete", "nsvq",
)  # fmt: skip

RC: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 5.5,
    "lines.markeredgewidth": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # TrueType, whose text an editor can change
    "svg.hashsalt": "bench.report",
}


class Look(NamedTuple):
    """How one label is drawn, in every figure."""

    colour: str
    marker: str
    dashes: tuple[float, ...]

    @property
    def linestyle(self) -> Any:
        """As matplotlib takes it."""
        return (0, self.dashes) if self.dashes else "-"


@dataclass(frozen=True)
class Looks:
    """How every label is drawn."""

    of: dict[str, Look]

    def __getitem__(self, label: str) -> Look:
        return self.of[label]

    def renamed(self, rename: Callable[[str], str]) -> "Looks":
        """The same looks for labels in other words."""
        return Looks({rename(label): look for label, look in reversed(self.of.items())})


def looks(labels: Iterable[str]) -> Looks:
    """A look for each label, whatever their order: one estimator looks the same in every report.

    A label is an estimator's name and the hyper-parameters that tell its configurations apart. The first of a name has
    the name's own look: by its place in `KNOWN`, or by a hash of it. Further ones have the same colour and another
    marker. Where another label of the collection already has that look the next free one follows, first the names of
    `KNOWN`, then all others, then further configurations; so no two labels look alike.
    """
    first: dict[str, str] = {}
    further = [label for label in sorted(set(labels)) if first.setdefault(label.partition(" ")[0], label) != label]
    taken: dict[int, str] = {}
    for name, label in sorted(first.items(), key=lambda pair: pair[0] not in KNOWN):
        taken[_free(home(name), 1, taken)] = label
    for label in further:
        taken[_free(home(label.partition(" ")[0]), len(COLOURS), taken)] = label
    return Looks({label: look(place) for place, label in sorted(taken.items(), key=lambda pair: pair[1])})


def home(name: str) -> int:
    """The place of an estimator among the looks: it depends on nothing but its name."""
    return KNOWN.index(name) if name in KNOWN else int(hashlib.sha256(name.encode()).hexdigest(), 16) % PAIRS


def look(place: int) -> Look:
    """The looks in order: `PAIRS` pairs of colour and marker, then numbers as markers."""
    marker = MARKERS[place % len(MARKERS)] if place < PAIRS else f"${place}$"
    return Look(COLOURS[place % len(COLOURS)], marker, DASHES[place % len(DASHES)])


def _free(start: int, stride: int, taken: Container[int]) -> int:
    """The first place that is not taken: the start, others of its colour, then any."""
    ring = [(start + i * stride) % PAIRS for i in range(len(MARKERS) if stride > 1 else PAIRS)]
    return next(place for place in chain(ring, range(PAIRS), count(PAIRS)) if place not in taken)


def contents(figure: "Figure") -> dict[str, bytes]:
    """SVG, with what its points say, PDF and PNG: the same bytes for the same data."""
    import io

    import matplotlib

    say_what_left(figure)
    if figure.get_constrained_layout():
        with matplotlib.rc_context(RC):
            fit(figure)
    with matplotlib.rc_context(RC):  # the fonts and ids of an SVG are settled when it is saved
        svg = _arranged_svg(figure)
        figure.set_layout_engine(None)  # what it has arranged holds for all; with an engine each draws twice
    files = {"svg": annotated(svg, figure)}
    for kind, key in {"pdf": "CreationDate", "png": "Software"}.items():  # what differs from one saving to the next
        content = io.BytesIO()
        with matplotlib.rc_context(RC):
            figure.savefig(content, format=kind, metadata={key: None})
        files[kind] = content.getvalue()
    return files


def _arranged_svg(figure: "Figure") -> bytes:
    """The same bytes as of `savefig`, which draws once more, without a file, to arrange what is arranged on the way."""
    import io

    from matplotlib.backends.backend_svg import FigureCanvasSVG

    content, canvas, dpi = io.BytesIO(), figure.canvas, figure.dpi
    try:
        own = FigureCanvasSVG(figure)
        figure.dpi = RC["savefig.dpi"]  # of images within it
        own.print_svg(content, metadata={"Date": None})
    finally:
        figure.set_canvas(canvas)
        figure.dpi = dpi
    return content.getvalue()


def write_figure(figure: "Figure", directory: Path, name: str) -> list[Path]:
    """Write SVG, PDF and PNG, each whole or not at all."""
    return write_files(contents(figure), directory, name)


def write_files(files: dict[str, bytes], directory: Path, name: str) -> list[Path]:
    """Write what `contents` gave; the paths."""
    from bench.files import replace

    directory.mkdir(parents=True, exist_ok=True)
    paths = {directory / f"{name}.{kind}": content for kind, content in files.items()}
    for path, content in paths.items():
        replace(path, content)
    return list(paths)
