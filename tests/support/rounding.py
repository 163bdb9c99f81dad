"""Numbers as prose writes them: `40,800`, `-118.8`, `half`, `15 %`."""

import re

NUMBER = re.compile("(?:[-\N{MINUS SIGN}](?=\\d))?(?:\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\.\\d+)?(?:e-?\\d+)?")
WORDS = {
    "half": 0.5, "no": 0, "none": 0, "one": 1, "once": 1, "two": 2, "twice": 2, "three": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
DIGITS = 3  # that a whole number keeps, however many zeros end it


def value(text: str) -> float:
    """The number that the text is."""
    return WORDS[text] if text in WORDS else float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


def unit(text: str) -> float:
    """What the last digit counts: 0.1 of 118.8, 100 of 40,800."""
    mantissa, _, power = text.replace(",", "").partition("e")
    scale = 10.0 ** int(power or 0)
    if text in WORDS or "." in mantissa:
        return (1.0 if text in WORDS else 10.0 ** -len(mantissa.partition(".")[2])) * scale
    digits = re.sub(r"\D", "", mantissa)
    zeros = len(digits) - len(digits.rstrip("0"))
    return 10.0 ** max(0, min(zeros, len(digits) - DIGITS)) * scale


def agrees(text: str, number: float, percent: bool = False) -> bool:
    """Whether the number, in per cent or not, is this text at its rounding."""
    return abs((100 * number if percent else number) - value(text)) <= unit(text) * (0.5 + 1e-9)


def written(number: float, like: str, percent: bool = False) -> str:
    """The number as the text is written: as many decimals, thousands by commas."""
    number = 100 * number if percent else number
    if like in WORDS:
        return next((word for word, whole in WORDS.items() if whole == round(number)), f"{number:.0f}")
    step = unit(like)
    decimals = len(like.partition(".")[2].partition("e")[0])
    rounded = round(number / step) * step if decimals == 0 else number
    if "e" in like:
        return f"{number:.{decimals}e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{rounded:,.{decimals}f}".replace("-", "\N{MINUS SIGN}" if "\N{MINUS SIGN}" in like else "-")
