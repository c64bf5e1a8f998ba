"""`make bench-growth`: whether the twenty-millionth activity is taken, and read, as fast as the millionth.

Every row comes through the product's own intake, file after file, each a month later than the one before,
so tables and indexes are as years of use leave them, and the ledger can be reconciled. Each file's pace is
kept at once: a run that is stopped leaves its curve so far.
"""

import argparse
import random
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, harmonic_mean
from time import monotonic
from uuid import UUID

from sqlalchemy import text

from app.factory import Product
from app.product_calls import run
from bench.city import bind_cards, found_city
from bench.delivery import Delivered, Intake, credited, deliver
from bench.figures import Figure, Measured, keep, paced
from bench.ground import (
    data_folder,
    free_bytes,
    fresh_schema,
    load,
    product_on,
    say,
    servers,
    surroundings_of,
    throw_away,
)
from bench.importing import importing
from bench.records import MONTHS_MOST, Ids, as_csv, cards, months, rides
from carbon.activities.turns import NIGHT_CHUNK_LINES
from kernel.paging import PageRequest
from ledger.statements import balances, lines

ROWS, FILE_ROWS = 20_000_000, 1_000_000
BYTES_A_ROW = 1_600
"""What an activity and all it leaves take, indexes included: 1,300, and some for what is dead."""
BYTES_BESIDE = 16 << 30
"""The log before a checkpoint, a file and what else the machine needs."""
LATEST_FILES = 3
"""The time that is left is told by the pace of so many."""
ROUND_FILES = 5
"""About as many as come between two checkpoints: the file after one is slow, because every page that it
touches is logged whole, so a figure of fewer says more of where in its round it was than of the rows."""
PAGE_LINES = 10
"""What a citizen has in each account by the first rows; a page of the default size grows until it is full."""
READS = 1_000


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How many rows there shall be, by files of how many, of how many cards, and how events are named."""

    rows: int = ROWS
    file_rows: int = FILE_ROWS
    cards: int = 100_000
    reads: int = READS
    ids: Ids = Ids.DATED

    @property
    def files(self) -> int:
        """One more than the rows need: the last is measured beside all of them."""
        return self.rows // self.file_rows + 1


@dataclass
class _Curve:
    """The pace of each file, by the rows that stood before it, and what was read beside some of them."""

    growth: Growth
    surroundings: dict[str, str]
    points: list[tuple[int, float]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def name(self, what: str, rows: int) -> str:
        """`intake_dated_at_20m` and the like."""
        return f"{what}_{self.growth.ids}_at_{short(rows)}"

    def measured(self) -> Measured:
        """What is known by now."""
        details = {"growth": {self.growth.ids: [list(point) for point in self.points]}}
        return Measured(self.figures, {**self.surroundings, "load_after": load()}, details)


def main() -> int:
    """Measure what the command line asks for; returns the exit status."""
    growth = asked(sys.argv[1:])
    data = data_folder()
    path = data / f"growth-{growth.ids}.json"
    try:
        with servers(database="growth") as own:
            throw_away(own.database_url, make=False)
            if refusal := lacking(growth, own.folder):
                print(refusal)
                return 1
            try:
                fresh_schema(own.database_url)
                with product_on(own.database_url, own.cache_url, data=data) as product:
                    measured = measure_growth(product, data=data, growth=growth, path=path)
            finally:
                throw_away(own.database_url, make=False)
    except KeyboardInterrupt:
        print(f"Stopped; what was measured until now is in {path}.")
        return 130
    measured.show()
    return 0


def asked(arguments: list[str]) -> Growth:
    """What a command line asks for; exits with a sentence when that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--file-rows", type=int, default=FILE_ROWS)
    parser.add_argument("--ids", choices=[ids.value for ids in Ids], default=Ids.DATED.value)
    given = parser.parse_args(arguments)
    if not 1_000 <= given.file_rows <= FILE_ROWS:
        parser.error(f"a file has 1,000 to {FILE_ROWS:,} rows")
    least, most = 2 * given.file_rows, (MONTHS_MOST - 1) * given.file_rows
    if not least <= given.rows <= most:
        parser.error(f"from {least:,} to {most:,} rows can be filled in files of {given.file_rows:,}")
    return Growth(rows=given.rows, file_rows=given.file_rows, ids=Ids(given.ids))


def lacking(growth: Growth, folder: Path) -> str | None:
    """Why the disk of `folder` is too small for so many rows, or None."""
    needed = growth.files * growth.file_rows * BYTES_A_ROW + BYTES_BESIDE
    free = free_bytes(folder)
    if free >= needed:
        return None
    return (
        f"{short(growth.rows)} activities need {needed >> 30} GiB of disk, and {folder} has"
        f" {free >> 30} GiB: ask for fewer (ROWS=…), or for another folder (DATA=…)."
    )


def measure_growth(product: Product, *, data: Path, growth: Growth, path: Path) -> Measured:
    """Fill an empty schema; figures at one file of rows and at all, and each file's pace, kept in `path`."""
    curve = _Curve(growth, surroundings_of(product))
    say(", ".join(f"{name} {value}" for name, value in curve.surroundings.items()))
    say(f"{growth.cards:,} cards are bound …")
    partner_id = found_city(product, citizens=1, tills=1).partner_id
    citizens = bind_cards(product, partner_id, cards(growth.cards)[1:])
    with importing(product.settings, data) as importer:
        intake = Intake(
            product=product,
            partner_id=partner_id,
            uploads=data / "uploads",
            importer=importer,
            months=months(growth.files),
        )
        _grow(intake, curve, citizens, path)
    return curve.measured()


def _grow(intake: Intake, curve: _Curve, citizens: list[UUID], path: Path) -> None:
    growth, began = curve.growth, monotonic()
    for place in range(growth.files):
        before = place * growth.file_rows
        done = _file(intake, growth, place)
        curve.points.append((before, done.per_second))
        if place in {1, growth.files - 1}:
            curve.figures += _read(intake.product, curve, done, citizens, before)
        if place == growth.files - 1:
            curve.figures = [*_paces(curve), *curve.figures]
        keep(curve.measured(), path)
        _tell(curve, before + growth.file_rows, seconds=monotonic() - began)


def _file(intake: Intake, growth: Growth, place: int) -> Delivered:
    made = rides(growth.file_rows, citizens=growth.cards, month=next(intake.months), ids=growth.ids)
    data = as_csv(made)
    del made  # the file of the product is large enough
    reference = f"month {place}"
    return credited(deliver(intake, data, form="csv", reference=reference, chunk_lines=NIGHT_CHUNK_LINES))


def _tell(curve: _Curve, rows: int, *, seconds: float) -> None:
    whole = curve.growth.files * curve.growth.file_rows
    pace = fmean(per_second for _, per_second in curve.points[-LATEST_FILES:])
    say(
        f"{rows:,} rows after {_clock(seconds)}, the latest at {curve.points[-1][1]:,.0f} rows/s;"
        f" about {_clock((whole - rows) / pace)} to go"
    )


def _paces(curve: _Curve) -> list[Figure]:
    """The pace of the first files that came upon rows, and of the last ones."""
    growth = curve.growth
    some = min(ROUND_FILES, growth.files // 2)
    paces = [pace for _, pace in curve.points]
    first, last = harmonic_mean(paces[1 : 1 + some]), harmonic_mean(paces[-some:])
    name = curve.name("intake", growth.file_rows)
    return [
        Figure(name=name, value=first, unit="rows/s"),
        Figure(
            name=curve.name("intake", growth.rows),
            value=last,
            unit="rows/s",
            control=name,
            ratio=last / first,
        ),
    ]


def _read(product: Product, curve: _Curve, done: Delivered, citizens: list[UUID], rows: int) -> list[Figure]:
    """What was taken up by so many rows, and reads right after a file that came upon them, one by one."""
    drawn = random.Random(rows).choices(citizens, k=curve.growth.reads)

    def balance(number: int) -> None:
        run(product, lambda call: balances(call, drawn[number]))

    def statement(number: int) -> None:
        run(product, lambda call: lines(call, drawn[number], PageRequest(limit=PAGE_LINES)))

    def long_statement(number: int) -> None:
        run(product, lambda call: lines(call, drawn[number], PageRequest()))

    disk = _database_bytes(product) / (rows + done.lines)
    reads = {"balance_read": balance, "statement_page": statement, "statement_long_page": long_statement}
    found = [
        *(
            figure
            for name, read in reads.items()
            for figure in paced(read, count=len(drawn), threads=1).figures(curve.name(name, rows))
        ),
        Figure(name=curve.name("import_memory", rows), value=done.peak_bytes / 2**20, unit="MiB"),
        Figure(name=curve.name("disk_of_an_activity", rows), value=disk, unit="B"),
    ]
    return (
        [
            replace(later, control=first.name, ratio=later.value / first.value)
            for later, first in zip(found, curve.figures, strict=True)
        ]
        if curve.figures
        else found
    )


def _database_bytes(product: Product) -> int:
    return int(run(product, lambda call: call.db.execute(_BYTES).scalar_one()))


def short(rows: int) -> str:
    """`20m`, `500k`."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if rows >= size:
            return f"{rows / size:g}{letter}"
    return str(rows)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


_BYTES = text("SELECT pg_database_size(current_database())")

if __name__ == "__main__":
    sys.exit(main())
