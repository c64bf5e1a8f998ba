"""`make bench-page`: the figures that `make bench` and the other benches kept, into docs/benchmarks.

What was measured is copied, put into a table and drawn. The words around it are written by hand, in
`docs/benchmarks/README.md`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.ground import data_folder
from bench.plots import Kept, drawn, growth, interference, throughput

INTO = Path(__file__).parents[1] / "docs" / "benchmarks"
BESIDE_FIGURES = ("surroundings", "details")
LATEST, GROWTH = "latest.json", ("growth-dated.json", "growth-random.json")
RUSH, COST = "rush.json", "cost.json"


def main() -> int:
    """Draw; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=INTO)
    into = parser.parse_args().into
    written = draw_page(data_folder(), into)
    for path in written:
        print(path)
    if not written:
        print(f"Nothing was kept in {data_folder()}: run `make bench` first.")
    return 0 if written else 1


def draw_page(data: Path, into: Path) -> list[Path]:
    """Write what is kept in `data` to `into`: figures, their table, plots; returns what was written."""
    into.mkdir(parents=True, exist_ok=True)
    names = [name for name in (LATEST, *GROWTH, RUSH, COST) if (data / name).exists()]
    kept = {name: json.loads((data / name).read_text()) for name in names}
    for name in names:
        (into / name).write_text((data / name).read_text())
    written = [into / name for name in names]
    if LATEST in kept:
        for draw in (throughput, interference):
            written.append(into / f"{draw.__name__}.svg")
            drawn(draw, kept[LATEST], written[-1])
    curves: dict[str, Any] = {}
    for name in GROWTH:
        curves |= kept.get(name, {}).get("details", {}).get("growth", {})
    if curves:
        written.append(into / "growth.svg")
        drawn(growth, {"details": {"growth": curves}}, written[-1])
    if kept:
        written.append(into / "figures.md")
        written[-1].write_text("\n".join(_table(kept)))
    return written


def _table(kept: dict[str, Kept]) -> list[str]:
    text = [
        "# Figures 数据",
        "",
        "Written by `make bench-page` from what a run kept; `README.md` says how they are to be read.",
    ]
    for name, run in kept.items():
        figures = {figure: row for figure, row in run.items() if figure not in BESIDE_FIGURES}
        if not figures:  # growth that was stopped early has a curve only
            continue
        surroundings = ", ".join(f"{key} {value}" for key, value in run["surroundings"].items())
        text += [
            "",
            f"## {name}",
            "",
            surroundings,
            "",
            "| figure | value | beside its control |",
            "|---|---|---|",
        ]
        text += [_row(figure, row) for figure, row in figures.items()]
    rounds = kept.get(LATEST, {}).get("details", {}).get("redemption_rounds", ())
    if rounds:
        text += ["", "## The rounds of redemptions, in their order", ""]
        text += [
            "| beside | requests | put off | p50 | p99 | longest sync | import |",
            "|---|---|---|---|---|---|---|",
        ]
        text += [_round(row) for row in rounds]
    rushes = kept.get(RUSH, {}).get("details", {}).get("rush_rounds", ())
    if rushes:
        text += ["", "## Another reward beside a rush, round by round", ""]
        text += [
            "| beside | requests | p50 | p99 | longest sync | told to the crowd | put off |",
            "|---|---|---|---|---|---|---|",
        ]
        text += [_rushed(row) for row in rushes]
    return [*text, ""]


def _rushed(row: dict[str, Any]) -> str:
    told = ", ".join(f"{count:,} × {what}" for what, count in row.get("told", {}).items())
    return (
        f"| {row['beside']} | {row['requests']} | {_number(row['p50_ms'])} ms | {_number(row['p99_ms'])} ms"
        f" | {_number(row['sync_most_ms'])} ms | {told} | {row.get('busy', '')} |"
    )


def _row(name: str, row: dict[str, Any]) -> str:
    beside = "" if row["ratio"] is None else f"{row['ratio']:.2f} of `{row['control']}`"
    return f"| `{name}` | {_number(row['value'])} {row['unit']} | {beside} |"


def _round(row: dict[str, Any]) -> str:
    pace = row["lines_per_second"]
    lines = "" if pace is None else f"{_number(pace)} lines/s"
    return (
        f"| {row['beside']} | {row['requests']} | {row['put_off']} | {_number(row['p50_ms'])} ms"
        f" | {_number(row['p99_ms'])} ms | {_number(row['sync_most_ms'])} ms | {lines} |"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
