"""The plots of the results page, as SVG that is the same again for the same figures.

Text stays text, so a file is small and can be searched; there is no date and no random name in it.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

Kept = Mapping[str, Any]
INK, QUIET, OURS, LIGHT, OTHER, PEER = "#333333", "#8a8a8a", "#0072b2", "#56b4e9", "#d55e00", "#b8b8b8"
STYLE = Path(__file__).with_suffix(".mplstyle")
BARS = (
    ("bulk_activities_csv_at_night", "file at night, CSV", OURS),
    ("bulk_activities_ndjson_at_night", "file at night, NDJSON", OURS),
    ("bulk_activities_csv_scattered_at_night", "file at night, scattered", OURS),
    ("bulk_activities_csv", "file by day, CSV", OURS),
    ("bulk_activities_ndjson", "file by day, NDJSON", OURS),
    ("bulk_credits", "credits, the ledger alone", OTHER),
    ("set_sql_credits", "the same credits, plain SQL", PEER),
)
BESIDE = (
    ("nothing", "no import", QUIET),
    ("import_5k", "import in chunks of 5,000, one lane", OURS),
    ("import_5k_of_few", "the same, in a town of 2,000 cards", LIGHT),
    ("import_by_day", "import as by day, 5,000 in each of two lanes", INK),
    ("import_50k", "import in chunks of 50,000, two lanes", OTHER),
)
NAMED_BY = (("dated", "event ids that begin with the day", OURS), ("random", "random event ids", OTHER))
_SHOWN_PERCENTILES = (50, 75, 90, 95, 99)


def throughput(kept: Kept) -> Figure:
    """What is taken a second, of what a raw COPY of the rows left behind comes to."""
    rows = [(kept[name], label, colour) for name, label, colour in BARS if name in kept]
    figure, axes = _axes(height=0.42 * len(rows) + 1.1)
    for place, (row, label, colour) in enumerate(reversed(rows)):
        axes.barh(place, row["ratio"], color=colour, height=0.62)
        axes.text(row["ratio"] + 0.012, place, f"{row['ratio']:.2f}  ({row['value']:,.0f} /s)", va="center")
        axes.text(-0.012, place, label, va="center", ha="right")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(1, color=INK, linewidth=1)
    axes.text(1, len(rows) - 0.36, "raw COPY", ha="center", va="bottom")
    axes.set_xlim(0, max([1.12, *(row["ratio"] + 0.3 for row, _, _ in rows)]))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("of the rate of a raw COPY of the same final rows (ratio)")
    return figure


def interference(kept: Kept) -> Figure:
    """How long so many of a hundred redemptions took at most, with and without an import beside."""
    curves = kept["details"]["redemption_percentiles"]
    figure, axes = _axes(height=3.6)
    for beside, label, colour in BESIDE:
        points = [(_far(most), wait) for most, wait in curves.get(beside, ()) if most <= 99.5]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=2, label=label)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator([_far(most) for most in _SHOWN_PERCENTILES]))
    axes.set_xticklabels([f"{most}" for most in _SHOWN_PERCENTILES])
    axes.set_xlim(_far(20), _far(99.5))
    axes.set_xlabel("percentile of redemptions over HTTP")
    axes.set_ylabel("waiting from the intended start (ms)")
    axes.grid()
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return figure


def growth(kept: Kept) -> Figure:
    """What is taken a second by the activities that were there before."""
    figure, axes = _axes(height=3.4)
    highest = 0.0
    for ids, label, colour in NAMED_BY:
        points = kept["details"]["growth"].get(ids, ())
        if points:
            rows, paces = zip(*points, strict=True)
            highest = max(highest, *paces)
            in_millions = [row / 1e6 for row in rows]
            axes.plot(
                in_millions,
                [pace / 1e3 for pace in paces],
                "o-",
                color=colour,
                label=label,
                markersize=4,
                clip_on=False,
            )
    axes.set_ylim(0, highest / 1e3 * 1.15)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.set_xlabel("activities that stand already (millions)")
    axes.set_ylabel("intake (thousand records a second)")
    axes.grid()
    axes.legend(loc="lower left")
    return figure


def drawn(draw: Callable[[Kept], Figure], kept: Kept, path: Path) -> None:
    """Draw and write, as the file's name says: `.svg`, or `.png` to look at."""
    with mpl.rc_context(fname=STYLE):
        draw(kept).savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _axes(*, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.6, height))
    return figure, figure.add_subplot()


def _far(percentile: float) -> float:
    """Where a percentile stands: each step to the right is as many times rarer."""
    return -math.log10(1 - percentile / 100)
