"""A figure as inline SVG: no header, no style for the whole page, ids of its own, short numbers."""

import re
from xml.etree import ElementTree

SVG, LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
NUMBERS = {"d", "transform", "points", "x", "y", "width", "height", "x1", "x2", "y1", "y2", "cx", "cy", "r"}
DIGITS = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
LARGER = 1.3  # than on paper, at most: a screen is further away
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", LINK[1:].partition("}")[0])


def inline(svg: bytes, prefix: str, title: str) -> str:
    """The `<svg>` element, named `title` for those who cannot see it. All ids begin with the prefix, so that several
    may share a page; numbers are rounded to hundredths of a point."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _tag(child) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{prefix}-{value}")
            elif key == LINK:
                element.set(key, value.replace("#", f"#{prefix}-", 1))
            elif key in NUMBERS:
                element.set(key, DIGITS.sub(_short, value))
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
    width = root.get("viewBox", "0 0 0 0").split()[2]
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-label": title, "style": f"max-width: {LARGER * float(width):.0f}pt"}
    return ElementTree.tostring(root, encoding="unicode")


def _short(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
