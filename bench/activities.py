"""A partner's file on its whole way: received, spooled, read, judged, credited, durable and explained.

Beside it, as control, the rows that it left are copied raw into empty twins of the same tables, with
the same indexes and checks: what PostgreSQL alone needs for that outcome.
"""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from time import perf_counter, process_time
from uuid import UUID

from app.factory import Product
from app.product_calls import run
from bench.figures import Figure
from bench.raw_copy import ACTIVITY_TABLES, raw_copy_seconds
from bench.records import as_csv, as_ndjson, rides
from carbon.activities.batch_records import Opening, accept_content, open_batch
from carbon.activities.batches import take_waiting_batches
from carbon.activities.tables import ActivityBatch
from carbon.activities.turns import CHUNK_LINES, NIGHT_CHUNK_LINES
from carbon.activities.uploads import CONTENT_BYTES_MAX, Announced, received
from kernel.errors import BrokenInvariant

CONTROL = "raw_copy_activities"
SECONDS_MAX, LEAST = 40, 1_000


@dataclass(frozen=True)
class _Way:
    """One more file: its form, its size, how many rides a card and day, and the chunks it is taken in."""

    name: str
    form: str
    records: int
    legs: int = 2
    chunk_lines: int = NIGHT_CHUNK_LINES


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Where files are delivered, and whose they are."""

    product: Product
    partner_id: UUID
    uploads: Path


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One file's way: its batch, its lines by outcome, and the seconds from the first byte to the end."""

    batch_id: UUID
    outcomes: dict[str, int]
    lines: int
    seconds: float
    cpu_seconds: float
    """Of this process; PostgreSQL's own come on top."""

    @property
    def per_second(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


def activity_figures(intake: Intake, *, records: int, cards: int) -> list[Figure]:
    """A file of `records` rides of `cards` bound cards, others in other ways, and the first again.

    Where a pilot file shows that the machine is too busy for `records` in SECONDS_MAX, the files are made
    smaller.
    """
    pilot = as_csv(rides(max(1, records // 15), citizens=cards, month=0))
    pace = deliver(intake, pilot, form="csv", reference="pilot", chunk_lines=CHUNK_LINES).per_second
    records = min(records, max(LEAST, int(pace * SECONDS_MAX)))
    less = max(1, records // 3)
    others = (
        _Way("csv_at_night", form="csv", records=records),
        _Way("csv_scattered_at_night", form="csv", records=less, legs=1),
        _Way("ndjson", form="ndjson", records=less, chunk_lines=CHUNK_LINES),
        _Way("csv", form="csv", records=less, chunk_lines=CHUNK_LINES),
    )
    data = as_ndjson(rides(records, citizens=cards, month=1))
    first = _credited(deliver(intake, data, form="ndjson", reference="a", chunk_lines=NIGHT_CHUNK_LINES))
    raw = records / raw_copy_seconds(intake.product, ACTIVITY_TABLES, batch_id=first.batch_id)
    again = deliver(intake, data, form="ndjson", reference="a again", chunk_lines=NIGHT_CHUNK_LINES)
    _must(again.outcomes == {"duplicate/duplicate": records}, f"a file again left {again.outcomes}")
    figures = [
        Figure(name="bulk_activities_of_the_file", value=float(records), unit="records"),
        Figure(name=CONTROL, value=raw, unit="/s"),
        _figure("bulk_activities_ndjson_at_night", first, raw=raw),
        Figure(
            name="bulk_activities_ndjson_python",
            value=first.cpu_seconds / first.lines * 1_000_000,
            unit="us core",
        ),
        Figure(name="bulk_duplicates_ndjson", value=again.per_second, unit="lines/s"),
    ]
    for month, way in enumerate(others, start=2):
        written = as_csv if way.form == "csv" else as_ndjson
        data = written(rides(way.records, citizens=cards, month=month, legs=way.legs))
        done = deliver(intake, data, form=way.form, reference=way.name, chunk_lines=way.chunk_lines)
        figures.append(_figure(f"bulk_activities_{way.name}", _credited(done), raw=raw))
    return figures


def _figure(name: str, way: Delivered, *, raw: float) -> Figure:
    return Figure(name=name, value=way.per_second, unit="/s", control=CONTROL, ratio=way.per_second / raw)


def deliver(intake: Intake, data: bytes, *, form: str, reference: str, chunk_lines: int) -> Delivered:
    """Open a batch, upload its file as the door would, and let a worker take it to its end."""
    product = intake.product
    start, cpu = perf_counter(), process_time()
    opening = Opening(reference=reference, adapter=form)
    batch_id = run(product, lambda call: open_batch(call, intake.partner_id, opening)).id
    body = Announced(stream=BytesIO(data), length=len(data), digest=sha256(data).digest(), gzip=False)
    with received(body, intake.uploads, bytes_max=CONTENT_BYTES_MAX) as upload:
        run(product, lambda call: accept_content(call, batch_id, upload))
    take_waiting_batches(
        partial(run, product),
        card_secret=product.settings.card_hash_secret.encode(),
        uploads=intake.uploads,
        chunk_lines=chunk_lines,
    )
    seconds, cpu_seconds = perf_counter() - start, process_time() - cpu
    batch = run(product, lambda call: call.db.get_one(ActivityBatch, batch_id))
    _must(batch.state == "done", f"batch {reference} is {batch.state}: {batch.failure}")
    return Delivered(
        batch_id=batch_id,
        outcomes=dict(batch.outcomes),
        lines=batch.lines_done,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def _credited(way: Delivered) -> Delivered:
    _must(set(way.outcomes) == {"credited"}, f"not all lines were credited: {way.outcomes}")
    return way


def _must(holds: bool, said: str) -> None:  # noqa: FBT001 - an assertion's only argument
    if not holds:
        raise BrokenInvariant(said)
