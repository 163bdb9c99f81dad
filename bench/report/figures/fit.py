"""Words that would leave their panel are broken into lines: a figure may be as narrow as the column of a paper."""

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

LETTER, LINE = 0.068, 0.15  # width of a letter and height of a line, of a title or a label (inches)
LEAST = 8  # letters of a line


def fit(figure: "Figure") -> None:
    """Break the titles and the labels of x axes that would leave their panel; the figure grows by the lines."""
    words = [(ax, text) for ax in figure.axes for text in (ax.title, ax.xaxis.label) if text.get_text()]
    columns = max((grid.ncols for ax in figure.axes if (grid := ax.get_gridspec())), default=1)
    narrow = figure.get_figwidth() / columns
    if all(LETTER * len(line) < narrow / 2 for _, text in words for line in text.get_text().split("\n")):
        return  # whatever stands beside the axes
    arrange(figure)
    cell, added = figure.bbox.width / columns, dict[int, int]()
    for ax, text in words:
        if place := ax.get_subplotspec():
            lines = _broken(text, cell * place.colspan.start, cell * place.colspan.stop)
            added[place.rowspan.start] = max(added.get(place.rowspan.start, 0), lines)
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 2 * LINE * sum(added.values()))


def arrange(figure: "Figure") -> None:
    """Give the axes their places. Nothing is drawn, which would take as long again."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)


def _broken(text: "Text", left: float, right: float) -> int:
    """Break it so that it fits between two places, in pixels, about its middle; how many lines that adds."""
    lines, box = text.get_text().split("\n"), text.get_window_extent()
    middle = (box.x0 + box.x1) / 2
    room, found = 2 * min(middle - left, right - middle), lines
    most = int(max(map(len, lines)) * room / box.width)  # of letters as wide as these are on average
    while text.get_window_extent().width > room and most >= LEAST:
        found = [part for line in lines for part in textwrap.wrap(line, most, break_long_words=False)]
        text.set_text("\n".join(found))
        most -= 1
    return len(found) - len(lines)
