"""What the taps of a file say about each other: repetitions, the entry of an exit, the station of a device.

All of it is known only at the end of the file, and lines come out in its order; so a file is gone through
twice, and between the two a tap is a few numbers. Texts are compared by hashes, a card's of 96 bits. The taps
of a card lie in one part, and one part is worked on after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import BinaryIO

import polars as pl

from carbon.activities.adapters.errors import FileTooLarge
from carbon.activities.adapters.frames import find_repetitions, refuse_found
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.rules import Rules
from carbon.activities.adapters.shenzhen_tong.station_names import (
    BY_ALIAS,
    BY_DEVICE,
    BY_NAME,
    agreed_devices,
    find_by_device,
    learn_devices,
    name_stations,
)
from carbon.activities.adapters.shenzhen_tong.stations import StationList
from carbon.activities.adapters.shenzhen_tong.taps import BUS, ENTRY, EXIT, read_taps
from carbon.activities.adapters.text_lines import WHOLE, Reading
from kernel.errors import require

RIDE_LENGTH_MAX = timedelta(hours=4)
"""An exit later than this after an entry does not belong to it."""
TAPS_MAX = 10_000_000
"""A day of a large city; while they are compared, each takes about 70 bytes."""
PART_TAPS_MAX = 1_500_000
"""More than twice what a part of those has; only cards with several hundred thousand taps make one larger."""
_PARTS = 16
_WORD = 1 << 32
_LINES = 1 << 40
"""More lines than a file has: one number says file and line."""
_TAPS = pl.Enum([ENTRY, EXIT, BUS])
_FOUND_BY = pl.Enum([BY_NAME, BY_ALIAS, BY_DEVICE])
_PAIRED, _WITHOUT_EXIT = "entry_paired", "entry_without_exit"
_OF_ENTRIES = pl.Enum([_PAIRED, _WITHOUT_EXIT])
_OF_REPETITIONS = pl.Enum(["duplicate_in_file", "content_differs_in_file"])


@dataclass(frozen=True)
class Pairing:
    """What the other taps of the files say of each: tables by `place`, the number of file and line, rising.

    `devices` has the station of each prefix on which all agree; `repeated` the code of a tap that repeats an
    earlier one, and the place of that; `metro` the code of each entry, or what an exit has of its own.
    """

    devices: pl.DataFrame
    repeated: pl.DataFrame
    metro: pl.DataFrame

    def lay_over(self, taps: pl.DataFrame, *, stations: StationList, rules: Rules) -> pl.DataFrame:
        """A piece of `read_taps` with `station`, `entered_at` and `origin`, and its taps refused."""
        taps = taps.with_columns(_place(), detail=pl.lit(None, pl.String))
        told = taps.join(_between(self.repeated, taps), on="place", how="left", maintain_order="left")
        first = pl.col("first")
        told = refuse_found(told.with_columns(first_file=first // _LINES, first_line=first % _LINES))
        named = name_stations(told.drop("first"), stations=stations, rules=rules)
        found = find_by_device(named, self.devices)
        paired = found.join(_between(self.metro, found), on="place", how="left", maintain_order="left")
        return paired.with_columns(
            pl.coalesce(pl.col("of_entry").cast(pl.String), "outcome").alias("outcome"),
            pl.col("origin", "origin_found_by").cast(pl.String),
        ).drop("place", "of_entry")


def pair_taps(
    files: Sequence[BinaryIO],
    *,
    stations: StationList,
    rules: Rules,
    reading: Reading = WHOLE,
    taps_max: int = TAPS_MAX,
    part_taps_max: int = PART_TAPS_MAX,
) -> Pairing:
    """Go through the files once. Refuses what `read_taps` does, and FileTooLarge."""
    names = pl.Enum(sorted(stations.names))
    number = partial(_numbered, stations=stations, rules=rules, names=names)
    pieces: list[list[pl.DataFrame]] = [[] for _ in range(_PARTS)]
    taps = 0
    for numbered in read_taps(files, number, replace(reading, after_line=0)):
        taps += sum(each.height for each in numbered)
        require(taps <= taps_max, FileTooLarge(f"it has more than {taps_max:,} taps", limit_taps=taps_max))
        for part, piece in zip(pieces, numbered, strict=True):
            part.append(piece)
    parts: list[pl.DataFrame] = []
    repeated: list[pl.DataFrame] = []
    learned: list[pl.DataFrame] = []
    while pieces:
        whole = _joined(pieces.pop(), part_taps_max)
        again = _repeated(whole)
        firsts = whole.drop("event", "content")
        if not again.is_empty():
            firsts = firsts.join(again, on="place", how="anti", maintain_order="left")
        parts.append(firsts)
        repeated.append(again)
        learned.append(learn_devices(firsts))
    devices = agreed_devices(learned, names)
    paired: list[pl.DataFrame] = []
    while parts:
        paired.append(_paired(find_by_device(parts.pop(), devices)))
    return Pairing(devices, pl.concat(repeated).sort("place"), pl.concat(paired).sort("place"))


def _numbered(
    taps: pl.DataFrame, *, stations: StationList, rules: Rules, names: pl.Enum
) -> list[pl.DataFrame]:
    """The good taps as numbers, those of a card in one of _PARTS."""
    named = name_stations(taps.filter(pl.col("outcome") == ACTIVITY), stations=stations, rules=rules)
    numbered = named.select(
        _place(),
        pl.col("card_no").hash(seed=1).alias("card"),
        (pl.col("card_no").hash(seed=2) % _WORD).cast(pl.UInt32).alias("card_again"),
        pl.col("identity").hash(seed=3).alias("event"),
        pl.col("content").hash(seed=4),
        "tapped_at",
        pl.col("tap").cast(_TAPS),
        "prefix",
        pl.col("station").cast(names),
        pl.col("station_found_by").cast(_FOUND_BY),
    )
    return [numbered.filter(pl.col("card") % _PARTS == part) for part in range(_PARTS)]


def _joined(pieces: list[pl.DataFrame], taps_max: int) -> pl.DataFrame:
    """The pieces of a part in their order. Refuses FileTooLarge."""
    odd = FileTooLarge("too many of its taps are of a few cards", limit_taps=taps_max)
    require(sum(each.height for each in pieces) <= taps_max, odd)
    return pl.concat(pieces)


def _repeated(part: pl.DataFrame) -> pl.DataFrame:
    """The taps that repeat an earlier one: `place`, their code (`repeats`), and its place (`first`)."""
    several = part.filter(pl.col("event").is_duplicated())
    place = pl.col("place")
    found = find_repetitions(
        several.with_columns(file_no=place // _LINES, line_no=place % _LINES),
        unrefused=pl.lit(value=True),
        identity=("card", "card_again", "event"),
        content="content",
    )
    return found.filter(pl.col("repeats").is_not_null()).select(
        "place",
        pl.col("repeats").cast(_OF_REPETITIONS),
        (pl.col("first_file") * _LINES + pl.col("first_line")).alias("first"),
    )


def _paired(taps: pl.DataFrame) -> pl.DataFrame:
    """Give each exit the entry just before it, of the same card and within four hours.

    At equal seconds an exit sorts before an entry: one ride ends, then the next begins. An exit that closes
    no entry has no row.
    """
    is_entry = pl.col("tap") == ENTRY
    ordered = taps.filter(pl.col("tap") != BUS).sort("card", "card_again", "tapped_at", is_entry, "place")

    def closes(*, entry: int, leave: int) -> pl.Expr:
        """Whether the tap `entry` rows above and the tap `leave` rows above are one ride."""
        times = pl.col("tapped_at").shift(leave) - pl.col("tapped_at").shift(entry)
        cards = (pl.col(name).shift(entry) == pl.col(name).shift(leave) for name in ("card", "card_again"))
        kinds = (pl.col("tap").shift(entry) == ENTRY) & (pl.col("tap").shift(leave) == EXIT)
        return pl.all_horizontal(*cards, kinds, times <= RIDE_LENGTH_MAX).fill_null(value=False)

    is_closed, is_paired = closes(entry=0, leave=-1), closes(entry=1, leave=0)
    code = pl.when(is_closed).then(pl.lit(_PAIRED, _OF_ENTRIES)).otherwise(pl.lit(_WITHOUT_EXIT, _OF_ENTRIES))
    return ordered.select(
        "place",
        pl.when(is_entry).then(code).alias("of_entry"),
        *(
            pl.when(is_paired).then(pl.col(name).shift(1)).alias(alias)
            for name, alias in (
                ("tapped_at", "entered_at"),
                ("station", "origin"),
                ("station_found_by", "origin_found_by"),
            )
        ),
    ).filter(pl.col("of_entry").is_not_null() | pl.col("entered_at").is_not_null())


def _place() -> pl.Expr:
    return (pl.col("file_no").cast(pl.Int64) * _LINES + pl.col("line_no")).alias("place")


def _between(table: pl.DataFrame, taps: pl.DataFrame) -> pl.DataFrame:
    """The rows of a table of places that speak of these taps, and perhaps of lines between them."""
    if taps.is_empty():
        return table.clear()
    places = table["place"]
    start = places.search_sorted(taps["place"][0], side="left")
    return table.slice(start, places.search_sorted(taps["place"][-1], side="right") - start)
