"""What an import prints about a file: every line under its outcome, and how far the fares agree."""

from dataclasses import dataclass

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.station_names import BY_ALIAS, BY_NAME
from carbon.activities.adapters.shenzhen_tong.taps import ENTRY, EXIT


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


def summarise(frame: pl.DataFrame) -> RidesSummary:
    """Count the frame of `read_rides`."""
    rides = frame.filter(pl.col("outcome") == ACTIVITY)
    exits = rides.filter(pl.col("tap") == EXIT)
    taps = frame.filter(pl.col("tap").is_in([ENTRY, EXIT]) & ~pl.col("outcome").str.ends_with("_in_file"))
    compared = exits.filter(pl.col("fare_agrees").is_not_null())
    by_file = [BY_NAME, BY_ALIAS]
    named = compared.filter(
        pl.col("station_found_by").is_in(by_file) & pl.col("origin_found_by").is_in(by_file)
    )
    with_entry = exits.filter(pl.col("started_at").is_not_null()).height
    return RidesSummary(
        lines=frame.height,
        outcomes=_counts(frame, "outcome"),
        rides=_counts(rides, "scenario"),
        distances=_counts(exits, "distance_found_by"),
        reasons=_counts(exits, "reason"),
        stations=_counts(taps, "station_found_by"),
        exits_with_entry=with_entry,
        exits_without_entry=exits.height - with_entry,
        fares_outside_table=exits.filter(~pl.col("fare_in_table")).height,
        named_pairs=named.height,
        named_pairs_agreeing=named.filter("fare_agrees").height,
        pairs=compared.height,
        pairs_agreeing=compared.filter("fare_agrees").height,
    )


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Lines for each value of a column, the most frequent first; null counts as `none`."""
    counted = (
        frame.group_by(pl.col(column).fill_null("none")).len().sort(["len", column], descending=[True, False])
    )
    return dict(counted.iter_rows())
