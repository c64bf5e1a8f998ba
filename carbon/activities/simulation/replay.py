"""Coins under caps, gone through once more in the order in which they were allotted.

A cap counts for a citizen, a region, its subject and a period, in the order of arrival: an activity gets what
room is left, and a correction gives back what the corrected one got before its own is allotted; cuts made
meanwhile stay. So activities that were taken back are gone through too, and those of the whole period.

What is assumed: an activity arrived when its id was made, to the millisecond, and inside one chunk by its
line; that is the order in which locks were taken, except where two transactions filled one cap within one
millisecond, or two lanes of one file at once. There the order cannot be known afterwards. So the coins that
were credited are gone through in the same way, and an activity's coins afterwards are

    credited + (replayed with the new kilograms - replayed with the old ones).

The order changes who is cut, hardly the sums; and where nothing is new the difference is exactly zero.
"""

from typing import Any

import polars as pl

PERIOD = ("citizen_id", "region_id", "cap_subject", "cap_period", "period_start")
"""What a cap counts for."""
ARRIVAL = ("moment", "recorded", "file_no", "line_no")
_BACK = tuple(f"back_{name}" for name in ARRIVAL)
"""The same of the correction that took the activity back; null for what stands."""


def with_coins(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `coin_replayed` and `coin_after` (milli-coins) to rows of whole periods.

    `rows` have PERIOD, `cap_milli` (null without a cap), ARRIVAL, what took them back, `coin_milli` as
    credited, and what they earn before any cap, `earned_before` and `earned_after`.
    """
    rows = rows.sort(*ARRIVAL, "id")
    several_caps = pl.col("cap_milli").n_unique() > 1
    taken_back = pl.col("back_moment").is_not_null().any()
    periods = (
        rows.filter(pl.col("cap_milli").is_not_null()).group_by(PERIOD).agg(in_turn=several_caps | taken_back)
    )
    # A window over one number is faster than one over five columns.
    rows = rows.join(periods.with_row_index("period"), on=PERIOD, how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("in_turn").fill_null(value=False))
    at_once = rows.filter(~pl.col("in_turn")).with_columns(
        _at_once("earned_before").alias("coin_replayed"), _at_once("earned_after").alias("coin_again")
    )
    in_turn = [_in_turn(period) for period in rows.filter("in_turn").partition_by("period")]
    told = pl.concat([at_once, *in_turn], how="vertical")
    after = pl.col("coin_milli") + pl.col("coin_again") - pl.col("coin_replayed")
    return told.with_columns(coin_after=after).drop("in_turn", "period", "coin_again")


def _at_once(earned: str) -> pl.Expr:
    """What each row of a period gets where nothing is given back and the cap is one."""
    until, cap = pl.col(earned).cum_sum().over("period"), pl.col("cap_milli")
    given = pl.min_horizontal(until, cap) - pl.min_horizontal(until - pl.col(earned), cap)
    return pl.when(cap.is_null()).then(earned).otherwise(given)


def _in_turn(period: pl.DataFrame) -> pl.DataFrame:
    """The same, one after the other."""
    named = period.select(*ARRIVAL, *_BACK, "id", "cap_milli", "earned_before", "earned_after")
    rows = list(named.iter_rows(named=True))
    came = [(_place(row, ARRIVAL), 1, place) for place, row in enumerate(rows)]
    back = [
        (_place(row, _BACK), 0, place) for place, row in enumerate(rows) if row["back_moment"] is not None
    ]
    turns = sorted([*came, *back])
    return period.with_columns(
        pl.Series("coin_replayed", _given(turns, rows, earned="earned_before"), dtype=pl.Int64),
        pl.Series("coin_again", _given(turns, rows, earned="earned_after"), dtype=pl.Int64),
    )


def _given(turns: list[tuple[Any, int, int]], rows: list[dict[str, Any]], *, earned: str) -> list[int]:
    used, given = 0, [0] * len(rows)
    for _, comes, place in turns:
        row = rows[place]
        if comes:
            given[place] = min(row[earned], max(row["cap_milli"] - used, 0))
            used += given[place]
        else:
            used = max(used - given[place], 0)
    return given


def _place(row: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    moment, *numbers = (row[name] for name in names)
    return (moment, *(number or 0 for number in numbers))
