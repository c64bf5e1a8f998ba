"""A partner's file on its whole way: received, spooled, read, judged, credited, durable and explained.

Beside it, as control, the rows that it left are copied raw into empty twins of the same tables, with
the same indexes and checks: what PostgreSQL alone needs for that outcome.
"""

from dataclasses import dataclass

import polars as pl

from bench.delivery import Delivered, Intake, credited, deliver, must
from bench.figures import Figure
from bench.raw_copy import ACTIVITY_TABLES, raw_chunks_seconds, raw_copy_seconds
from bench.records import as_csv, as_ndjson, rides
from carbon.activities.turns import CHUNK_LINES, LANES, NIGHT_CHUNK_LINES

CONTROL = "raw_copy_activities"
IN_CHUNKS = "raw_copy_activities_in_chunks"
LANE_LINES = CHUNK_LINES // LANES
"""What a transaction has of a chunk by day."""
SECONDS_MAX, LEAST = 40, 1_000
SHUFFLED = 1
"""The seed of another order."""


@dataclass(frozen=True)
class _Way:
    """One more file: its form, its size, how many rides a card and day, and the chunks it is taken in."""

    name: str
    form: str
    records: int
    legs: int = 2
    chunk_lines: int = NIGHT_CHUNK_LINES


def activity_figures(intake: Intake, *, records: int, cards: int) -> list[Figure]:
    """A file of `records` rides of `cards` bound cards, the same again, and others in other ways.

    Where a pilot file shows that the machine is too busy for `records` in SECONDS_MAX, the files are made
    smaller.
    """
    pilot = as_csv(rides(max(1, records // 15), citizens=cards, month=next(intake.months)))
    pace = deliver(intake, pilot, form="csv", reference="pilot", chunk_lines=CHUNK_LINES).per_second
    records = min(records, max(LEAST, int(pace * SECONDS_MAX)))
    made = rides(records, citizens=cards, month=next(intake.months))
    data = as_ndjson(made)
    first = credited(deliver(intake, data, form="ndjson", reference="a", chunk_lines=NIGHT_CHUNK_LINES))
    product, batch_id = intake.product, first.batch_id
    raw = records / raw_copy_seconds(product, ACTIVITY_TABLES, batch_id=batch_id)
    in_chunks = records / raw_chunks_seconds(product, batch_id=batch_id, chunk_lines=LANE_LINES)
    return [
        Figure(name="bulk_activities_of_the_file", value=float(records), unit="records"),
        Figure(name=CONTROL, value=raw, unit="/s"),
        Figure(name=IN_CHUNKS, value=in_chunks, unit="/s", control=CONTROL, ratio=in_chunks / raw),
        _figure("ndjson_at_night", first, raw=raw),
        Figure(
            name="bulk_activities_ndjson_python",
            value=first.cpu_seconds / first.lines * 1_000_000,
            unit="us core",
        ),
        Figure(name="bulk_activities_ndjson_memory", value=first.peak_bytes / 2**20, unit="MiB"),
        *_again(intake, made),
        *_in_other_ways(intake, records=records, cards=cards, raw=raw),
    ]


def _again(intake: Intake, made: pl.DataFrame) -> list[Figure]:
    """The records of a file that was taken, under other references: as they were, and in another order."""
    shuffled = made.sample(fraction=1, shuffle=True, seed=SHUFFLED)
    figures = []
    for name, form, data in (
        ("ndjson", "ndjson", as_ndjson(made)),
        ("ndjson_shuffled", "ndjson", as_ndjson(shuffled)),
        ("csv_shuffled", "csv", as_csv(shuffled)),
    ):
        reference = f"a again, {name}"
        again = deliver(intake, data, form=form, reference=reference, chunk_lines=NIGHT_CHUNK_LINES)
        must(again.outcomes == {"duplicate/duplicate": made.height}, f"{reference} left {again.outcomes}")
        figures.append(Figure(name=f"bulk_duplicates_{name}", value=again.per_second, unit="lines/s"))
    return figures


def _in_other_ways(intake: Intake, *, records: int, cards: int, raw: float) -> list[Figure]:
    less = max(1, records // 3)
    figures = []
    for way in (
        _Way("csv_at_night", form="csv", records=records),
        _Way("csv_scattered_at_night", form="csv", records=less, legs=1),
        _Way("ndjson", form="ndjson", records=less, chunk_lines=CHUNK_LINES),
        _Way("csv", form="csv", records=less, chunk_lines=CHUNK_LINES),
    ):
        written = as_csv if way.form == "csv" else as_ndjson
        data = written(rides(way.records, citizens=cards, month=next(intake.months), legs=way.legs))
        done = deliver(intake, data, form=way.form, reference=way.name, chunk_lines=way.chunk_lines)
        figures.append(_figure(way.name, credited(done), raw=raw))
    return figures


def _figure(name: str, way: Delivered, *, raw: float) -> Figure:
    return Figure(
        name=f"bulk_activities_{name}",
        value=way.per_second,
        unit="/s",
        control=CONTROL,
        ratio=way.per_second / raw,
    )
