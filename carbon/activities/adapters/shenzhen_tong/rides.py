"""Taps become rides: a metro ride is its exit, a bus ride its only tap, an entry is never credited.

A ride's length is the shortest path between its two stations when both are known; otherwise the lower
end of what its fare stands for, and nothing when the fare says nothing. Each row keeps how its length
was found, so that the citizen reads the same reasons that the arithmetic used.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import BinaryIO

import polars as pl

from carbon.activities.adapters.frames import conform, facts_json, sha256_hex
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong import fares
from carbon.activities.adapters.shenzhen_tong.pairing import Pairing, pair_taps
from carbon.activities.adapters.shenzhen_tong.rules import Rules
from carbon.activities.adapters.shenzhen_tong.station_names import BY_ALIAS, BY_DEVICE, BY_NAME
from carbon.activities.adapters.shenzhen_tong.stations import StationList
from carbon.activities.adapters.shenzhen_tong.taps import BUS, EXIT, read_taps
from carbon.activities.adapters.text_lines import WHOLE, Reading
from kernel.clock import SHANGHAI

METRO_RIDE, BUS_RIDE = "metro_ride", "bus_ride"

BY_PATH, BY_FARE_BAND, BY_THIRD_OF_FARE = "path", "fare_band", "third_of_fare"
SAME_STATION = "same_station"
FARE_BELOW_PATH = "fare_below_path"
SHORT_FARE = "distance_unknown_short_fare"
FARE_OUTSIDE_TABLE = "fare_outside_table"

EXTRAS = (
    "tap",
    "station",
    "station_found_by",
    "origin",
    "origin_found_by",
    "distance_found_by",
    "reason",
    "fare_fen",
    "fare_in_table",
    "fare_agrees",
    "path",
    "path_lengths_m",
)
"""Columns beyond the common shape: `station` is the tap's own, so the destination of a ride."""


def read_rides(
    files: Sequence[BinaryIO],
    *,
    stations: StationList,
    rules: Rules,
    reading: Reading = WHOLE,
) -> Iterator[pl.DataFrame]:
    """One row for each tap of the files, in their order, piece by piece: the common shape and EXTRAS.

    The files are gone through twice; see `read_taps` for how they are read. Outcomes: `activity` for rides;
    `duplicate_in_file`, `content_differs_in_file`, `entry_paired`, `entry_without_exit`, `tap_type_unknown`
    and the codes of unreadable lines. Refusals of a whole file, at the first piece, as in `pair_taps`.
    """
    pairing = pair_taps(files, stations=stations, rules=rules, reading=reading)
    ride = partial(_rides, pairing=pairing, stations=stations, rules=rules)
    yield from read_taps(files, ride, reading)


def _rides(taps: pl.DataFrame, *, pairing: Pairing, stations: StationList, rules: Rules) -> pl.DataFrame:
    paired = pairing.lay_over(taps, stations=stations, rules=rules)
    rides = _measure(_lay_paths(paired, stations), rules)
    is_metro, is_bus = pl.col("tap") == EXIT, pl.col("tap") == BUS
    rides = rides.with_columns(
        source_event_id=sha256_hex(rides["identity"]),
        payload=pl.col("content"),
        subject=pl.col("card_no"),
        scenario=pl.when(is_metro).then(pl.lit(METRO_RIDE)).when(is_bus).then(pl.lit(BUS_RIDE)),
        occurred_at=pl.col("tapped_at"),
        started_at=pl.col("entered_at"),
        trips=pl.when(is_bus).then(pl.lit(1, pl.Int64)),
    )
    return conform(rides.with_columns(facts=_facts(rides)), more=EXTRAS)


def _lay_paths(rides: pl.DataFrame, stations: StationList) -> pl.DataFrame:
    """Add `path`, `path_lengths_m` and `path_m` where both ends are known and differ.

    The network is the one in service on the day of the exit; each pair of stations is searched once.
    """
    day = pl.col("tapped_at").dt.convert_time_zone(SHANGHAI.key).dt.date()
    rides = rides.with_columns(day=day)
    pairs = (
        rides.filter(pl.col("origin").is_not_null() & (pl.col("origin") != pl.col("station")))
        .select("origin", "station", "day")
        .unique(maintain_order=True)
    )
    paths = [
        stations.network_on(on).find_path(origin=origin, destination=destination)
        for origin, destination, on in pairs.iter_rows()
    ]
    found = pairs.with_columns(
        pl.Series("path", [path and list(path.stations) for path in paths], dtype=pl.List(pl.String)),
        pl.Series(
            "path_lengths_m", [path and list(path.lengths_m) for path in paths], dtype=pl.List(pl.Int64)
        ),
        pl.Series("path_m", [path and path.metres for path in paths], dtype=pl.Int64),
    )
    return rides.join(found, on=["origin", "station", "day"], how="left", maintain_order="left").drop("day")


def _measure(rides: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Add `distance_m`, how it was found and why, and whether the fare is known and agrees, to every exit."""
    fare, path = pl.col("fare_fen"), pl.col("path_m")
    is_ride = (pl.col("tap") == EXIT) & (pl.col("outcome") == ACTIVITY)
    same = pl.col("origin") == pl.col("station")
    times = rules.fares.business_fare_times
    business = fares.is_business_fare(fare, line=pl.col("line"), fares=rules.fares)
    read_fare = pl.when(business).then(fare // times).otherwise(fare)
    rides = rides.with_columns(
        same=same.fill_null(value=False),
        business=business.fill_null(value=False),
        band_above=fares.above_m(fare, rules.fares),
        band_up_to=fares.up_to_m(fare, rules.fares),
        alone_m=fares.above_m(read_fare, rules.fares),
    )
    has_path, below = path.is_not_null(), pl.col("band_up_to") < path
    alone = pl.col("alone_m")
    distance = (
        pl.when("same")
        .then(pl.lit(0, pl.Int64))
        .when(has_path & below)
        .then(pl.col("band_above"))
        .when(has_path)
        .then(path)
        .otherwise(alone.fill_null(0))
    )
    found_by = (
        pl.when("same")
        .then(pl.lit(SAME_STATION))
        .when(has_path & below)
        .then(pl.lit(BY_FARE_BAND))
        .when(has_path)
        .then(pl.lit(BY_PATH))
        .when(alone.is_null())
        .then(pl.lit(None, pl.String))
        .when("business")
        .then(pl.lit(BY_THIRD_OF_FARE))
        .otherwise(pl.lit(BY_FARE_BAND))
    )
    reason = (
        pl.when("same")
        .then(pl.lit(SAME_STATION))
        .when(has_path & below)
        .then(pl.lit(FARE_BELOW_PATH))
        .when(has_path)
        .then(pl.lit(None, pl.String))
        .when(alone.is_null())
        .then(pl.lit(FARE_OUTSIDE_TABLE))
        .when(alone == 0)
        .then(pl.lit(SHORT_FARE))
    )
    agrees = (pl.col("band_above") < path) & (path <= pl.col("band_up_to"))
    return rides.with_columns(
        distance_m=pl.when(is_ride).then(distance),
        distance_found_by=pl.when(is_ride).then(found_by),
        reason=pl.when(is_ride).then(reason),
        fare_in_table=pl.when(is_ride).then(pl.col("band_above").is_not_null()),
        fare_agrees=pl.when(is_ride & has_path).then(agrees.fill_null(value=False)),
    )


def _facts(rides: pl.DataFrame) -> pl.Series:
    """What an explanation shows of a ride; null on refused lines. Texts of the file only where short."""
    is_ride = pl.col("outcome") == ACTIVITY
    is_metro = is_ride & (pl.col("tap") == EXIT)
    line = pl.when(pl.col("line").str.contains(r"^[\p{Han}0-9A-Za-z]{1,16}$")).then(pl.col("line"))
    route = pl.when(pl.col("station_text").str.contains(r"^[\p{Han}0-9A-Za-z()()-]{1,24}$")).then(
        pl.col("station_text")
    )
    ways = [pl.col("station_found_by"), pl.col("origin_found_by")]
    found_by = pl.coalesce(
        pl.when(pl.any_horizontal(way == how for way in ways)).then(pl.lit(how))
        for how in (BY_DEVICE, BY_ALIAS, BY_NAME)
    )
    columns = {
        "origin": pl.when(is_metro).then(pl.col("origin")),
        "destination": pl.when(is_metro).then(pl.col("station")),
        "station_found_by": pl.when(is_metro).then(found_by),
        "distance_found_by": pl.col("distance_found_by"),
        "reason": pl.col("reason"),
        "path": pl.col("path"),
        "path_lengths_m": pl.col("path_lengths_m"),
        "fare_fen": pl.when(is_ride).then(pl.col("fare_fen")),
        "line": pl.when(is_metro).then(line),
        "route": pl.when(is_ride & (pl.col("tap") == BUS)).then(route),
    }
    shown = rides.select("outcome", **columns)
    written = facts_json(shown, tuple(columns))
    return shown.with_columns(written).select(facts=pl.when(is_ride).then(pl.col("facts")))["facts"]
