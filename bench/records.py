"""Records as a city's transit partner delivers them: a month of rides of many cards, always the same.

Each file has a month of its own: caps that one file has used up would make the next one cheaper. Event
ids begin with the day and count on, as those of real partners do; random ones may be asked for.

They come in the order of their days. Cards ride unevenly (some daily, most now and then), by metro with a
distance and by bus without one, out in the morning and back in the evening, mostly by the same means; no
record repeats another.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import polars as pl

LATEST = datetime(2026, 10, 1, tzinfo=UTC)
"""The beginning of the latest month, which is number 0; the others come before it."""
DAYS = 30
MONTHS_MOST = 100
"""So far back there are factors and rules for these rides."""
METRO_TENTHS = 6
"""Six rides of ten are by metro."""
OTHER_WAY_BACK = 8
"""One of so many comes back by the other means."""
_OUT, _BACK = (6, 7, 7, 8, 8, 8, 9, 11), (13, 17, 17, 18, 18, 19, 20, 22)


class Ids(StrEnum):
    """How a partner names its records."""

    DATED = "dated"
    RANDOM = "random"


def months(count: int) -> Iterator[int]:
    """So many months, the earliest first: files come as days pass, and dated ids only grow."""
    return iter(range(count - 1, -1, -1))


def card(number: int) -> str:
    """The number of a card."""
    return f"bench-{number:07d}"


def cards(count: int) -> list[str]:
    """The numbers of so many cards."""
    return [card(number) for number in range(count)]


def rides(
    count: int, *, citizens: int, month: int, legs: int = 2, first_card: int = 0, ids: Ids = Ids.DATED
) -> pl.DataFrame:
    """`count` records of `citizens` cards from `first_card` on, so many months of DAYS before the latest.

    With one leg no card comes back, so hardly any two records are of one card and day.
    """
    number = pl.int_range(count, dtype=pl.UInt64, eager=True)
    trip, leg = pl.col("number") // legs, pl.col("number") % legs
    # Multiplying by an odd constant and taking the high bits mixes well, and is the same everywhere.
    mixed = ((number // legs) * 0x9E3779B97F4A7C15) // 2**20
    frame = pl.DataFrame({"number": number, "mixed": mixed})
    skewed = (pl.col("mixed") % 1_000_003) * (pl.col("mixed") // 1_000_003 % 1_009) // 1_009
    changes = (leg == 1) & (pl.col("mixed") // 17 % OTHER_WAY_BACK == 0)
    metro = (pl.col("mixed") % 10 < METRO_TENTHS) ^ changes
    place = pl.col("mixed") // 7 % len(_OUT)
    hour = pl.when(leg == 0).then(_of(_OUT, place)).otherwise(_of(_BACK, place))
    seconds = (
        (trip * DAYS // (count // legs + 1)).cast(pl.Int64) * 86_400
        + (hour - 8) * 3_600
        + (pl.col("mixed") // 11 % 3_600).cast(pl.Int64)
    )
    instant = pl.lit(LATEST - month * timedelta(days=DAYS)) + pl.duration(seconds=seconds)
    local = instant.dt.convert_time_zone("Asia/Shanghai")
    return frame.select(
        (_dated(local) if ids is Ids.DATED else _random(month)).alias("source_event_id"),
        pl.format("bench-{}", (first_card + skewed % citizens).cast(pl.String).str.zfill(7)).alias("subject"),
        pl.when(metro).then(pl.lit("metro_ride")).otherwise(pl.lit("bus_ride")).alias("scenario"),
        local.dt.strftime("%Y-%m-%dT%H:%M:%S+08:00").alias("occurred_at"),
        pl.when(metro).then((pl.col("mixed") // 13 % 29_000 + 1_000).cast(pl.Int64)).alias("distance_m"),
        pl.when(~metro).then(pl.lit(1, pl.Int64)).alias("trips"),
    )


def _dated(local: pl.Expr) -> pl.Expr:
    """The day and a number that counts on: `20260921-0000123`."""
    return pl.format("{}-{}", local.dt.strftime("%Y%m%d"), pl.col("number").cast(pl.String).str.zfill(7))


def _random(month: int) -> pl.Expr:
    """Twenty digits without order, never twice: each step of the mixing (SplitMix64) can be undone."""
    mixed = (pl.lit(month << 40, pl.UInt64) + pl.col("number")) * pl.lit(0x9E3779B97F4A7C15, pl.UInt64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed // 2**shift)) * pl.lit(factor, pl.UInt64)
    return (mixed ^ (mixed // 2**31)).cast(pl.String).str.zfill(20)


def _of(hours: tuple[int, ...], place: pl.Expr) -> pl.Expr:
    return place.replace_strict(dict(enumerate(hours)), return_dtype=pl.Int64)


def as_csv(records: pl.DataFrame) -> bytes:
    """The records as a CSV file of the platform's own format."""
    return records.write_csv().encode()


def as_ndjson(records: pl.DataFrame) -> bytes:
    """The records as an NDJSON file of the platform's own format."""
    head = (
        pl.lit('{"source_event_id":"'),
        "source_event_id",
        pl.lit('","subject":"'),
        "subject",
        pl.lit('","scenario":"'),
        "scenario",
        pl.lit('","occurred_at":"'),
        "occurred_at",
    )
    metro = pl.concat_str(pl.lit('","inputs":{"distance_m":'), "distance_m", pl.lit("}}"))
    bus = pl.concat_str(pl.lit('","inputs":{"trips":'), "trips", pl.lit("}}"))
    line = pl.concat_str(pl.concat_str(head), pl.coalesce(metro, bus))
    return ("\n".join(records.select(line=line)["line"]) + "\n").encode()
