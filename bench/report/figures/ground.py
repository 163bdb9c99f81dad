"""What lies below the points of price against noise: limits, lines of equal product, the least noise for a price."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.figures.panels import clean_log_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def staircase(ax: "Axes", rows: "pd.DataFrame", price: str) -> None:
    """The least noise for a price, as a step line, in a band of the least lower and of the least upper ends."""
    of = rows.sort_values(price)
    best = of["mean"].cummin().to_numpy(float)
    low, high = (of[end].fillna(of["mean"]).cummin().to_numpy(float) for end in ("low", "high"))
    x = of[price].to_numpy(float)
    if len(x) > 1:
        x = np.append(x, 10 * x[-1])
        band: Any = {"step": "post", "color": "#BBBBBB", "alpha": 0.25, "linewidth": 0, "zorder": 0}
        ax.fill_between(x, np.append(low, low[-1]), np.append(high, high[-1]), **band)
        ax.step(x, np.append(best, best[-1]), where="post", color="#BBBBBB", linewidth=0.9, zorder=0)


def bars_of(ax: "Axes", rows: "pd.DataFrame", price: str) -> "np.ndarray":
    """The boxes `[n, 4]` of the bars within the axes, in pixels."""
    found = []
    frame = np.array(ax.get_window_extent().extents)
    for _, r in rows.iterrows():
        for low, high in (
            ((r[price], r.low), (r[price], r.high)),
            ((r[f"{price}_low"], r["mean"]), (r[f"{price}_high"], r["mean"])),
        ):
            ends = ax.transData.transform([low, high])
            if np.isfinite(ends).all():
                found.append([*np.maximum(ends[0] - 1, frame[:2]), *np.minimum(ends[1] + 1, frame[2:])])
    return np.array(found).reshape(-1, 4)


def roomy(ax: "Axes", rows: "pd.DataFrame", price: str) -> None:
    """Limits that leave room for names, and the lines of equal product."""
    if rows.empty:
        return
    x, y = np.log10(rows[price]), np.log10(rows["mean"])
    (x0, x1), (y0, y1) = (x.min(), x.max()), (y.min(), y.max())
    width, height = max(x1 - x0, 0.5), max(y1 - y0, 0.5)
    limits = x0 - 0.2 * width, x1 + 0.4 * width, y0 - 0.2 * height, y1 + 0.12 * height
    ax.set(xlim=10.0 ** np.array(limits[:2]), ylim=10.0 ** np.array(limits[2:]))
    ends = np.array(limits[:2])
    for product in np.arange(np.floor(limits[0] + limits[2]), np.ceil(limits[1] + limits[3]) + 1):
        ax.plot(10**ends, 10 ** (product - ends), color="#BBBBBB", linewidth=0.7, linestyle=":", zorder=0)
    clean_log_axis(ax.xaxis)
    clean_log_axis(ax.yaxis)
