"""Which station a metro tap was made at: by its name, by an alias, or by what its device is named elsewhere.

A device prefix is believed only when every named tap of the same files agrees on one station for it.
"""

from collections.abc import Sequence

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.rules import Rules
from carbon.activities.adapters.shenzhen_tong.stations import StationList
from carbon.activities.adapters.shenzhen_tong.taps import BUS

BY_NAME, BY_ALIAS, BY_DEVICE = "name", "alias", "device_prefix"
PREFIX_LENGTH = 6
"""The first six characters of `equ_no` stand for a station; the rest for a gate."""
_SHARES = 16


def name_stations(taps: pl.DataFrame, *, stations: StationList, rules: Rules) -> pl.DataFrame:
    """Add to every metro tap what the file itself says: `station`, `station_found_by` and `prefix`.

    `station` is a name of the station list, or null; `prefix` the device's, as a number.
    """
    aliases = {text: name for text, name in rules.aliases.items() if name in stations.names}
    is_metro = (pl.col("outcome") == ACTIVITY) & (pl.col("tap") != BUS)
    text = pl.when(is_metro).then(pl.col("station_text"))
    by_name = text.is_in(sorted(stations.names))
    by_alias = text.is_in(list(aliases))
    return taps.with_columns(
        prefix=pl.when(is_metro).then(_number(pl.col("device").str.slice(0, PREFIX_LENGTH))),
        station=pl.when(by_name).then(text).otherwise(text.replace_strict(aliases, default=None)),
        station_found_by=pl.when(by_name).then(pl.lit(BY_NAME)).when(by_alias).then(pl.lit(BY_ALIAS)),
    )


def learn_devices(named: pl.DataFrame) -> pl.DataFrame:
    """The least and the greatest `station` (an Enum) that taps name for each prefix."""
    code = pl.col("station").to_physical()
    seen = named.filter(pl.col("station").is_not_null()).group_by("prefix")
    return seen.agg(code.min().alias("least"), code.max().alias("greatest"))


def agreed_devices(learned: Sequence[pl.DataFrame], names: pl.Enum) -> pl.DataFrame:
    """Prefixes for which all agree, rising, and the station that they agree on (`learned`)."""
    agreed = pl.concat([_agreed(learned, share) for share in range(_SHARES)]).sort("prefix")
    return agreed.select("prefix", learned=names.categories.gather(agreed["least"]).cast(names))


def _agreed(learned: Sequence[pl.DataFrame], share: int) -> pl.DataFrame:
    """Of a share of the prefixes: there may be one for each tap, and a table of groups is large."""
    shared = pl.concat([each.filter(pl.col("prefix").hash() % _SHARES == share) for each in learned])
    seen = shared.group_by("prefix").agg(pl.col("least").min(), pl.col("greatest").max())
    return seen.filter(pl.col("least") == pl.col("greatest")).drop("greatest")


def find_by_device(named: pl.DataFrame, devices: pl.DataFrame) -> pl.DataFrame:
    """Give the station of their device's prefix to taps that have none; drops `prefix`."""
    places = devices["prefix"].search_sorted(named["prefix"].fill_null(0))
    prefix, learned = (devices[name].gather(places, null_on_oob=True) for name in ("prefix", "learned"))
    learned = named.select(
        pl.when(pl.col("station").is_null() & (pl.col("prefix") == prefix)).then(
            learned.cast(named.schema["station"])
        )
    ).to_series()
    way = pl.lit(BY_DEVICE, named.schema["station_found_by"])
    return named.with_columns(
        station=pl.coalesce("station", learned),
        station_found_by=pl.when(learned.is_not_null()).then(way).otherwise("station_found_by"),
    ).drop("prefix")


def _number(prefix: pl.Expr) -> pl.Expr:
    """A prefix of a device's ASCII characters as the number that its bytes are."""
    return prefix.str.pad_end(8, " ").cast(pl.Binary).bin.reinterpret(dtype=pl.UInt64)
