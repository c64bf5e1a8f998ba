"""What an import prints about a file: every line under its outcome, and how far the fares agree."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.station_names import BY_ALIAS, BY_NAME
from carbon.activities.adapters.shenzhen_tong.taps import ENTRY, EXIT

_KINDS = (
    "outcome",
    "tap",
    "scenario",
    "distance_found_by",
    "reason",
    "station_found_by",
    "origin_found_by",
    "has_entry",
    "fare_in_table",
    "fare_agrees",
)
"""What lines are counted by; the rest of a line is forgotten as soon as it is read."""


@dataclass(frozen=True)
class RidesSummary:
    """Counts of lines; each mapping sums up to the lines it speaks of.

    `named_pairs` are rides whose two stations the file names itself (by name or alias) and whose path
    is known; of these the fare rule gives the charged fare for `named_pairs_agreeing`.
    """

    lines: int
    outcomes: dict[str, int]
    rides: dict[str, int]
    distances: dict[str, int]
    reasons: dict[str, int]
    stations: dict[str, int]
    exits_with_entry: int
    exits_without_entry: int
    fares_outside_table: int
    named_pairs: int
    named_pairs_agreeing: int
    pairs: int
    pairs_agreeing: int

    @property
    def fare_agreement(self) -> str:
        """The rate of named pairs as people read it, half up to a tenth (`98.5 %`)."""
        if not self.named_pairs:
            return "no ride with two named stations"
        tenths = (2_000 * self.named_pairs_agreeing + self.named_pairs) // (2 * self.named_pairs)
        return f"{tenths // 10}.{tenths % 10} %"


def summarise(frames: Iterable[pl.DataFrame]) -> RidesSummary:
    """Count the frames of `read_rides`."""
    lines = pl.concat([_counted(frame) for frame in frames]).group_by(_KINDS).agg(pl.col("lines").sum())
    rides = lines.filter(pl.col("outcome") == ACTIVITY)
    exits = rides.filter(pl.col("tap") == EXIT)
    taps = lines.filter(pl.col("tap").is_in([ENTRY, EXIT]) & ~pl.col("outcome").str.ends_with("_in_file"))
    compared = exits.filter(pl.col("fare_agrees").is_not_null())
    by_file = [BY_NAME, BY_ALIAS]
    named = compared.filter(
        pl.col("station_found_by").is_in(by_file) & pl.col("origin_found_by").is_in(by_file)
    )
    return RidesSummary(
        lines=_sum(lines),
        outcomes=_counts(lines, "outcome"),
        rides=_counts(rides, "scenario"),
        distances=_counts(exits, "distance_found_by"),
        reasons=_counts(exits, "reason"),
        stations=_counts(taps, "station_found_by"),
        exits_with_entry=_sum(exits.filter("has_entry")),
        exits_without_entry=_sum(exits.filter(~pl.col("has_entry"))),
        fares_outside_table=_sum(exits.filter(~pl.col("fare_in_table"))),
        named_pairs=_sum(named),
        named_pairs_agreeing=_sum(named.filter("fare_agrees")),
        pairs=_sum(compared),
        pairs_agreeing=_sum(compared.filter("fare_agrees")),
    )


def _counted(frame: pl.DataFrame) -> pl.DataFrame:
    """How many lines there are of each kind."""
    kinds = frame.with_columns(has_entry=pl.col("started_at").is_not_null()).group_by(_KINDS)
    return kinds.agg(pl.len().cast(pl.Int64).alias("lines"))


def _sum(counted: pl.DataFrame) -> int:
    return int(counted["lines"].sum())


def _counts(counted: pl.DataFrame, column: str) -> dict[str, int]:
    """Lines for each value of a column, the most frequent first; null counts as `none`."""
    counts = counted.group_by(pl.col(column).fill_null("none")).agg(pl.col("lines").sum())
    return dict(counts.sort(["lines", column], descending=[True, False]).iter_rows())
