"""The adapter's rule data: what depends on the city and its tariff, and not on arithmetic.

The defaults ship as data files with their sources; callers may pass others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from carbon.activities.adapters.errors import RuleDataUnreadable
from carbon.factors.bundles import read_shipped
from carbon.factors.plain_yaml import read_plain_yaml
from kernel.clock import parse_day


@dataclass(frozen=True)
class Opening:
    """A row of the station list that is in service only from a day on."""

    line: str
    station: str
    opened: date


@dataclass(frozen=True)
class FareBand:
    """The lengths a fare stands for: above `above_m`, up to and including `up_to_m`."""

    fare_fen: int
    above_m: int
    up_to_m: int


@dataclass(frozen=True)
class FareRules:
    """The tariff by distance, and the line on which a dearer class is sold."""

    bands: tuple[FareBand, ...]
    business_line: str
    business_fare_times: int
    business_fare_fen_min: int


@dataclass(frozen=True)
class Rules:
    """All rule data of the adapter."""

    aliases: Mapping[str, str]
    openings: tuple[Opening, ...]
    fares: FareRules


def shipped_rules() -> Rules:
    """The rule data that ships for Shenzhen Tong files of 2018."""
    return Rules(
        aliases=read_aliases(read_shipped("shenzhen_station_aliases.yaml")),
        openings=read_openings(read_shipped("shenzhen_station_openings.yaml")),
        fares=read_fares(read_shipped("shenzhen_metro_fares.yaml")),
    )


def read_aliases(data: bytes) -> dict[str, str]:
    """Names as the taps have them -> names of the station list. Refuses RuleDataUnreadable."""
    aliases = _of_kind(data, "station_aliases").get("aliases")
    if not isinstance(aliases, dict) or not all(isinstance(name, str) for name in aliases.values()):
        raise RuleDataUnreadable("aliases map a name to a name", pointer="/aliases")
    return aliases


def read_openings(data: bytes) -> tuple[Opening, ...]:
    """The rows that opened later than the rest. Refuses RuleDataUnreadable."""
    rows = _of_kind(data, "station_openings").get("openings", [])
    try:
        return tuple(Opening(row["line"], row["station"], parse_day(row["opened"])) for row in rows)
    except (KeyError, TypeError, ValueError):
        raise RuleDataUnreadable("an opening has line, station and opened", pointer="/openings") from None


def read_fares(data: bytes) -> FareRules:
    """The tariff; its bands follow each other without a gap. Refuses RuleDataUnreadable."""
    rules = _of_kind(data, "metro_fares")
    try:
        fares = FareRules(
            bands=tuple(
                FareBand(int(row["fare_fen"]), int(row["above_m"]), int(row["up_to_m"]))
                for row in rules["bands"]
            ),
            business_line=rules["business_line"],
            business_fare_times=int(rules["business_fare_times"]),
            business_fare_fen_min=int(rules["business_fare_fen_min"]),
        )
    except (KeyError, TypeError, ValueError):
        raise RuleDataUnreadable("fares have bands and a business line") from None
    bands = fares.bands
    joined = all(low.up_to_m == high.above_m for low, high in pairwise(bands))
    rising = all(low.fare_fen < high.fare_fen for low, high in pairwise(bands))
    if not bands or not joined or not rising or fares.business_fare_times < 1:
        raise RuleDataUnreadable("bands rise and follow each other without a gap", pointer="/bands")
    return fares


def _of_kind(data: bytes, kind: str) -> dict[str, Any]:
    value = read_plain_yaml(data)
    if value.get("kind") != kind:
        raise RuleDataUnreadable(f"the file is not of kind {kind}", pointer="/kind")
    return value
