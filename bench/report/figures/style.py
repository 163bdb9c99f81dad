"""One look for all figures: colour-blind safe, readable in print, and the same bytes each time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's palette without its yellow, which print loses, and with a grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "d")  # 11, coprime to 8: 88 pairs
DASHES = ((), (4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (8, 2))

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
    """How every label is drawn: by its place among `labels`, so that no two of the first 88 share colour and marker."""

    labels: tuple[str, ...]

    def __getitem__(self, label: str) -> Look:
        i = self.labels.index(label)
        return Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])

    def renamed(self, rename: Callable[[str], str]) -> "Looks":
        """The same looks for labels in other words."""
        return Looks(tuple(rename(label) for label in self.labels))


def looks(labels: Iterable[str]) -> Looks:
    """A look for each label, whatever their order."""
    return Looks(tuple(sorted(set(labels))))


def contents(figure: "Figure") -> dict[str, bytes]:
    """SVG, PDF and PNG, the same bytes for the same data."""
    import io

    import matplotlib

    files = {}
    dated = {"svg": "Date", "pdf": "CreationDate", "png": "Software"}  # what differs from one saving to the next
    for kind, key in dated.items():
        content = io.BytesIO()
        with matplotlib.rc_context(RC):  # the fonts and ids of an SVG are settled when it is saved
            figure.savefig(content, format=kind, metadata={key: None})
        figure.set_layout_engine("none")  # what the first has arranged holds for all
        files[kind] = content.getvalue()
    return files


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
