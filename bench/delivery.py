"""A partner's file handed in as its door does it, and taken to its end by a process that imports."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from time import perf_counter, process_time
from uuid import UUID

from app.factory import Product
from app.product_calls import run
from bench.importing import Importer
from carbon.activities.batch_records import Opening, accept_content, open_batch
from carbon.activities.tables import ActivityBatch
from carbon.activities.uploads import LINES, Announced, received
from kernel.errors import BrokenInvariant


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Where files are delivered, whose they are, who imports them, and the months that are still free."""

    product: Product
    partner_id: UUID
    uploads: Path
    importer: Importer
    months: Iterator[int]


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One file's way: its batch, its lines by outcome, and the seconds from the first byte to the end."""

    batch_id: UUID
    outcomes: dict[str, int]
    lines: int
    seconds: float
    cpu_seconds: float
    """Of our processes; PostgreSQL's own come on top."""
    peak_bytes: int
    """Of the process that imports, since its start."""

    @property
    def per_second(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


def hand_in(intake: Intake, data: bytes, *, form: str, reference: str) -> UUID:
    """Open a batch and upload its file as the door would; it waits for a worker then."""
    return _hand_in(intake, _announced(data), Opening(reference=reference, adapter=form))


def _announced(data: bytes) -> Announced:
    """A file as its sender announces it."""
    return Announced(stream=BytesIO(data), length=len(data), digest=sha256(data).digest(), gzip=False)


def _hand_in(intake: Intake, body: Announced, opening: Opening) -> UUID:
    product = intake.product
    batch_id = run(product, lambda call: open_batch(call, intake.partner_id, opening)).id
    with received(body, intake.uploads, LINES, whose="bench") as upload:
        run(product, lambda call: accept_content(call, batch_id, upload))
    return batch_id


def deliver(intake: Intake, data: bytes, *, form: str, reference: str, chunk_lines: int) -> Delivered:
    """Hand in a file and let the importing process take it to its end, all lanes of it."""
    body, opening = _announced(data), Opening(reference=reference, adapter=form)
    start, cpu = perf_counter(), process_time()
    batch_id = _hand_in(intake, body, opening)
    taken = intake.importer.take(chunk_lines=chunk_lines)
    seconds, cpu_seconds = perf_counter() - start, process_time() - cpu
    batch = run(intake.product, lambda call: call.db.get_one(ActivityBatch, batch_id))
    must(batch.state == "done", f"batch {reference} is {batch.state}: {batch.failure}")
    return Delivered(
        batch_id=batch_id,
        outcomes=dict(batch.outcomes),
        lines=batch.lines_done,
        seconds=seconds,
        cpu_seconds=cpu_seconds + taken.cpu_seconds,
        peak_bytes=taken.peak_bytes,
    )


def credited(way: Delivered) -> Delivered:
    """The same, when all of its lines were credited."""
    must(set(way.outcomes) == {"credited"}, f"not all lines were credited: {way.outcomes}")
    return way


def must(holds: bool, said: str) -> None:  # noqa: FBT001 - an assertion's only argument
    """Raise BrokenInvariant with these words unless it holds."""
    if not holds:
        raise BrokenInvariant(said)
