"""A partner's file on its whole way: received, spooled, read, judged, credited, durable and explained.

Beside it, as control, the rows that it left are copied raw into empty twins of the same tables, with
the same indexes and checks: what PostgreSQL alone needs for that outcome.
"""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from time import perf_counter
from uuid import UUID

from app.factory import Product
from app.product_calls import run
from bench.figures import Figure
from bench.raw_copy import ACTIVITY_TABLES, raw_copy_seconds
from bench.records import as_csv, as_ndjson, rides
from carbon.activities.batch_records import Opening, accept_content, open_batch
from carbon.activities.batches import take_waiting_batches
from carbon.activities.tables import ActivityBatch
from carbon.activities.uploads import CONTENT_BYTES_MAX, Announced, received
from kernel.errors import BrokenInvariant

CONTROL = "raw_copy_activities"
CHUNKS = {"": 5_000, "_chunks_50k": 50_000}
"""Lines a chunk: while people redeem, and for nightly files."""


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

    @property
    def per_second(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


def activity_figures(intake: Intake, *, records: int, cards: int) -> list[Figure]:
    """Files of `records` rides of `cards` bound cards, in both forms and chunk sizes, and one again."""
    series = {name: rides(records, citizens=cards, series=name) for name in ("a", "b", "c")}
    ndjson = as_ndjson(series["a"])
    first = _credited(deliver(intake, ndjson, form="ndjson", reference="a", chunk_lines=CHUNKS[""]))
    raw = records / raw_copy_seconds(intake.product, ACTIVITY_TABLES, batch_id=first.batch_id)
    others = {
        "csv": _credited(
            deliver(intake, as_csv(series["b"]), form="csv", reference="b", chunk_lines=CHUNKS[""])
        ),
        "csv_chunks_50k": _credited(
            deliver(intake, as_csv(series["c"]), form="csv", reference="c", chunk_lines=CHUNKS["_chunks_50k"])
        ),
    }
    again = deliver(intake, ndjson, form="ndjson", reference="a again", chunk_lines=CHUNKS[""])
    _must(again.outcomes == {"duplicate/duplicate": records}, f"a file again left {again.outcomes}")
    beside = partial(_figure, raw=raw)
    return [
        Figure(name=CONTROL, value=raw, unit="/s"),
        beside("bulk_activities_ndjson", first),
        *(beside(f"bulk_activities_{name}", one) for name, one in others.items()),
        Figure(name="bulk_duplicates_ndjson", value=again.per_second, unit="lines/s"),
    ]


def _figure(name: str, way: Delivered, *, raw: float) -> Figure:
    return Figure(name=name, value=way.per_second, unit="/s", control=CONTROL, ratio=way.per_second / raw)


def deliver(intake: Intake, data: bytes, *, form: str, reference: str, chunk_lines: int) -> Delivered:
    """Open a batch, upload its file as the door would, and let a worker take it to its end."""
    product = intake.product
    start = perf_counter()
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
    seconds = perf_counter() - start
    batch = run(product, lambda call: call.db.get_one(ActivityBatch, batch_id))
    _must(batch.state == "done", f"batch {reference} is {batch.state}: {batch.failure}")
    return Delivered(
        batch_id=batch_id, outcomes=dict(batch.outcomes), lines=batch.lines_done, seconds=seconds
    )


def _credited(way: Delivered) -> Delivered:
    _must(set(way.outcomes) == {"credited"}, f"not all lines were credited: {way.outcomes}")
    return way


def _must(holds: bool, said: str) -> None:  # noqa: FBT001 - an assertion's only argument
    if not holds:
        raise BrokenInvariant(said)
