"""A figure as inline SVG in the page's colours: one element per panel, so that a narrow window shows one in a row."""

import re
from typing import NamedTuple
from xml.etree import ElementTree

from bench.report.figures.marks import LEGEND, series_of
from bench.report.figures.style import Look

SVG, LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
NUMBERS = {"d", "transform", "points", "x", "y", "width", "height", "x1", "x2", "y1", "y2", "cx", "cy", "r"}
DIGITS = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
LARGER = 1.3  # the most that a panel is enlarged, since a screen is further away than paper
# Ink that is not a series' own takes the page's colours, which differ in dark mode
INKS = {"#ffffff": "--card", "#000000": "--black", "#262626": "--ink", "#222222": "--ink", "#555555": "--soft",
        "#bbbbbb": "--faint", "#e5e5e5": "--grid"}  # fmt: skip
INK = re.compile("|".join(INKS))
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", LINK[1:].partition("}")[0])


class Inlined(NamedTuple):
    """The markup, the labels drawn in it, and the note of its legend, which the page shows; empty without a legend."""

    markup: str
    labels: list[str]
    note: str


def inline(svg: bytes, prefix: str, title: str) -> Inlined:
    """The panels, each an `<svg>` with a name for screen readers, and the figure's legend unless that names labels.

    Elements of a label have the attribute `data-s`. All ids begin with the prefix, so that several figures may share a
    page. Numbers are rounded to hundredths of a point.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _tag(child) in ("metadata", "style"):
                parent.remove(child)
    points = {group.get("id", ""): group for group in root if group.get("class") == "points"}
    parts = {part.get("id", ""): part for part in root.iter() if part.get("id", "") != LEGEND}
    note = root.findtext(f"{{{SVG}}}desc") or ""
    shared = [child for child in root if _tag(child) == "defs"]
    for element in root.iter():
        _mend(element, prefix)
    found: list[str] = []
    for identity, group in points.items():
        kind = "legend" if identity.startswith("legend") else "axes"
        part = parts[f"{kind}_{identity.rpartition('_')[2]}"]
        named = f"{title}: {group.get('data-of')}" if kind == "axes" else f"{title}: legend"
        width = float(group.get("data-box", "").split()[2])
        about = {"viewBox": group.attrib.pop("data-box"), "role": "img", "aria-label": named, "class": kind}
        panel = ElementTree.Element(f"{{{SVG}}}svg", about | {"style": f"--wide: {LARGER * width:.0f}pt"})
        panel.extend([*([] if found else shared), part, group])
        found.append(ElementTree.tostring(panel, encoding="unicode"))
    labels = sorted({element.get("data-s", "") for element in root.iter()} - {""})
    return Inlined("".join(found), labels, note)


def _mend(element: ElementTree.Element, prefix: str) -> None:
    if _tag(element) == "circle":  # of which there are thousands: the page's style has these
        for key in ("fill", "pointer-events"):
            element.attrib.pop(key, None)
    for key, value in list(element.attrib.items()):
        if key == "id" and (label := series_of(value)) is not None:
            element.set("data-s", label)
            del element.attrib["id"]
        elif key == "id":
            element.set(key, f"{prefix}-{value}")
        elif key == LINK:
            element.set(key, value.replace("#", f"#{prefix}-", 1))
        elif key in NUMBERS:
            element.set(key, DIGITS.sub(_short, value))
        elif key == "style":
            value = INK.sub(lambda match: f"var({INKS[match.group()]})", value)
            element.set(key, value.replace("url(#", f"url(#{prefix}-"))
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{prefix}-"))


def _short(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def swatch(look: Look) -> str:
    """An SVG of a line with the marker, for the legend of a page."""
    from matplotlib.markers import MarkerStyle

    marker = MarkerStyle(look.marker)
    path = marker.get_path().transformed(marker.get_transform())
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}  # matplotlib's codes
    words = []
    for ends, code in path.iter_segments(simplify=False):
        words.append(letters[int(code)] + " ".join(f"{v:.2f}" for v in ends * 7) * (int(code) != 79))
    dashes = f' stroke-dasharray="{" ".join(map(str, look.dashes))}"' if look.dashes else ""
    colour = "var(--black)" if look.colour == "#000000" else look.colour
    return (
        '<svg class="swatch" viewBox="-14 -6 28 12" role="img" aria-label="line and marker">'
        f'<path d="M-14 0H14" stroke="{colour}" stroke-width="1.5" fill="none"{dashes}/>'
        f'<path d="{"".join(words)}" transform="scale(1 -1)" fill="{colour}" stroke="var(--card)" stroke-width=".5"/>'
        "</svg>"
    )
