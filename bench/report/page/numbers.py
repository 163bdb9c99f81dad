"""The formats of the page's numbers: means with their intervals, bounds in nats, probabilities."""

import math
from typing import Any


def number(value: Any) -> str:
    """Three digits, or all digits before the point; a power of ten beyond five digits; empty for NaN or None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    value = float(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return (f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")).replace("-", "\N{MINUS SIGN}")
    return f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


def bounded(mean: float, low: float = math.nan, high: float = math.nan, n: float = 0) -> str:
    """`714 [536, 949]`; `714 [too few]` if n runs, two or more, give no interval; no brackets for one run."""
    return number(mean) + _brackets(number(low), number(high), n)


def nats(mean: float, low: float = math.nan, high: float = math.nan, n: float = 0) -> str:
    """As `bounded`, for a bound: to a tenth of a nat, or to three digits if it is below 10."""
    if abs(mean) < 10:
        return bounded(mean, low, high, n)
    words = ["" if math.isnan(v) else f"{v:.1f}".replace("-", "\N{MINUS SIGN}") for v in (mean, low, high)]
    return words[0] + _brackets(words[1], words[2], n)


def _brackets(low: str, high: str, n: float) -> str:
    return f" [{low}, {high}]" if low and high else " [too few]" if n > 1 else ""


def percent(value: float) -> str:
    """A probability that never claims certainty."""
    return "> 99.9 %" if value > 0.999 else "< 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"
