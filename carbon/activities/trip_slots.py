"""Which slots of time an activity claims. Pure: frames in, frames out.

A slot is named by its beginning, in whole five minutes since 1970; a day's or month's by that of the period,
in Shanghai. A trip touches every slot between its start and its end, a tap without a start the one it lies
in. Days and months are counted back from the end, as many as the inputs state: an end at midnight is the day
before.
"""

from collections.abc import Sequence

import polars as pl

from kernel.clock import SHANGHAI
from kernel.publications.rules import TripClass

SLOT_SECONDS = 300
SLOTS_MOST = 366
"""Of one activity: a year of days, or a good day of trips."""
_MICROSECONDS = SLOT_SECONDS * 1_000_000
_EVERY = {"day": "1d", "month": "1mo"}
_COUNTED = {"day": pl.col("standing_hours") // 24, "month": pl.col("months")}
"""How many the inputs state."""


def spans_of(lines: pl.DataFrame, classes: Sequence[TripClass]) -> pl.DataFrame:
    """A row for each line and class that claims it on its day, with `slots`, how many that would be."""
    ruling = pl.DataFrame(
        [
            (scenario, each.mode_class, each.slot, each.since, each.until)
            for each in classes
            for scenario in sorted(each.scenarios)
        ],
        schema=_RULING,
        orient="row",
    )
    day = pl.col("business_day")
    columns = ("trip", "citizen_id", "activity_id", "scenario", "business_day", "started_at", "occurred_at")
    spans = (
        lines.select(*columns, "standing_hours", "months")
        .join(ruling, on="scenario", maintain_order="left")
        .filter((day >= pl.col("since")) & (pl.col("until").is_null() | (day < pl.col("until"))))
    )
    has_start = (pl.col("started_at") < pl.col("occurred_at")).fill_null(value=False)
    moment = pl.col("occurred_at").dt.epoch("us")
    tap = moment // _MICROSECONDS * _MICROSECONDS
    spans = spans.with_columns(
        begins=pl.when(has_start).then(pl.col("started_at").dt.epoch("us")).otherwise(tap),
        ends=pl.when(has_start).then(moment).otherwise(tap + _MICROSECONDS),
        is_trip=pl.col("slot_is") == "five_minutes",
    )
    return pl.concat([_of_trips(spans.filter("is_trip")), *(_of_periods(spans, kind) for kind in _EVERY)])


def slots_of(spans: pl.DataFrame) -> pl.DataFrame:
    """A row for each slot, in the order of the lines and of time."""
    return (
        spans.explode("slot")
        .with_columns(
            # A period is claimed as a whole.
            begins=pl.when("is_trip").then("begins").otherwise(pl.col("slot") * _MICROSECONDS),
            ends=pl.when("is_trip").then("ends").otherwise((pl.col("slot") + 1) * _MICROSECONDS),
        )
        .drop("slots")
        .sort("trip", "slot", "mode_class")
    )


def _of_trips(spans: pl.DataFrame) -> pl.DataFrame:
    first, last = pl.col("begins") // _MICROSECONDS, (pl.col("ends") - 1) // _MICROSECONDS
    count = (last - first + 1).alias("slots")
    # What is too long is refused, and never laid out.
    laid_out = pl.int_ranges(first, pl.min_horizontal(last, first + SLOTS_MOST) + 1)
    return spans.select(*_KEPT, count, laid_out.cast(pl.List(pl.Int64)).alias("slot"))


def _of_periods(spans: pl.DataFrame, kind: str) -> pl.DataFrame:
    spans = spans.filter(pl.col("slot_is") == kind)
    last = _period(pl.col("occurred_at") - pl.duration(microseconds=1), kind)
    first = _period(
        pl.min_horizontal(pl.col("started_at"), pl.col("occurred_at") - pl.duration(microseconds=1)), kind
    )
    days = (last - first).dt.total_days() + 1
    months = (
        (last.dt.year() - first.dt.year()).cast(pl.Int64) * 12
        + (last.dt.month().cast(pl.Int64) - first.dt.month())
        + 1
    )
    count = pl.coalesce(_COUNTED[kind], days if kind == "day" else months)
    spans = spans.with_columns(last=last, slots=count.clip(lower_bound=1))
    unit = _EVERY[kind].lstrip("1")
    back = pl.concat_str(pl.lit("-"), pl.min_horizontal(pl.col("slots"), SLOTS_MOST) - 1, pl.lit(unit))
    spans = spans.with_columns(first=pl.col("last").dt.offset_by(back))
    laid_out = pl.datetime_ranges("first", "last", _EVERY[kind], time_zone=SHANGHAI.key)
    slots = laid_out.list.eval(pl.element().dt.epoch("s") // SLOT_SECONDS)
    return spans.select(*_KEPT, pl.col("slots").cast(pl.Int64), slots.cast(pl.List(pl.Int64)).alias("slot"))


def _period(moment: pl.Expr, kind: str) -> pl.Expr:
    return moment.dt.convert_time_zone(SHANGHAI.key).dt.truncate(_EVERY[kind])


_RULING = {
    "scenario": pl.String,
    "mode_class": pl.String,
    "slot_is": pl.String,
    "since": pl.Date,
    "until": pl.Date,
}
_KEPT = ("trip", "citizen_id", "activity_id", "mode_class", "is_trip", "begins", "ends")
