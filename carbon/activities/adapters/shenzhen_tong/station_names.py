"""Which station a metro tap was made at: by its name, by an alias, or by what its device is named elsewhere.

A device prefix is believed only when every named tap of the same files agrees on one station for it.
"""

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.rules import Rules
from carbon.activities.adapters.shenzhen_tong.stations import StationList
from carbon.activities.adapters.shenzhen_tong.taps import BUS

BY_NAME, BY_ALIAS, BY_DEVICE = "name", "alias", "device_prefix"
PREFIX_LENGTH = 6
"""The first six characters of `equ_no` stand for a station; the rest for a gate."""


def find_stations(taps: pl.DataFrame, *, stations: StationList, rules: Rules) -> pl.DataFrame:
    """Add `station` (a name of the station list, or null) and `station_found_by` to every metro tap."""
    named = _named(taps, stations=stations, rules=rules)
    devices = (
        named.filter(pl.col("station").is_not_null())
        .group_by("prefix")
        .agg(pl.col("station").n_unique().alias("stations"), pl.col("station").first().alias("learned"))
        .filter(pl.col("stations") == 1)
        .drop("stations")
    )
    learned = named.join(devices, on="prefix", how="left", maintain_order="left")
    by_device = pl.col("station").is_null() & pl.col("learned").is_not_null()
    return learned.with_columns(
        station=pl.coalesce("station", "learned"),
        station_found_by=pl.when(by_device).then(pl.lit(BY_DEVICE)).otherwise(pl.col("station_found_by")),
    ).drop("learned", "prefix")


def _named(taps: pl.DataFrame, *, stations: StationList, rules: Rules) -> pl.DataFrame:
    aliases = {text: name for text, name in rules.aliases.items() if name in stations.names}
    is_metro = (pl.col("outcome") == ACTIVITY) & (pl.col("tap") != BUS)
    text = pl.when(is_metro).then(pl.col("station_text"))
    by_name = text.is_in(sorted(stations.names))
    by_alias = text.is_in(list(aliases))
    return taps.with_columns(
        prefix=pl.when(is_metro).then(pl.col("device").str.slice(0, PREFIX_LENGTH)),
        station=pl.when(by_name).then(text).otherwise(text.replace_strict(aliases, default=None)),
        station_found_by=pl.when(by_name).then(pl.lit(BY_NAME)).when(by_alias).then(pl.lit(BY_ALIAS)),
    )
