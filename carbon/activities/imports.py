"""A whole file, a chunk a transaction: bounded, resumable, every line with an outcome.

`run` is given by whoever owns the database: it opens a unit of work, calls the function with its Call,
and commits. A batch that was cut off goes on after its last chunk; the same file again credits nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Protocol, TypeVar
from uuid import UUID

import polars as pl
from sqlalchemy import select, text

from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import read_station_list
from carbon.activities.adapters.utility_bills import read_bills
from carbon.activities.errors import AdapterUnknown, BatchDiffers
from carbon.activities.intake import Intake, take_chunk
from carbon.activities.tables import ActivityBatch
from carbon.partners.registry import find_partner
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import new_id

Result = TypeVar("Result")
CHUNK_LINES = 5_000
"""Small enough that people redeem undisturbed beside it (measured in the design)."""
ADAPTERS = ("shenzhen_tong", "utility_bills", "csv", "ndjson")

_CHUNK_SETTINGS = (
    # Not the request path: a chunk is bounded by its lines.
    "SET LOCAL statement_timeout = '60s'",
    # Every join of a chunk is by key; without statistics (a first import) the planner scans whole tables.
    "SET LOCAL enable_seqscan = off",
)


class Run(Protocol):
    """One committed unit of work."""

    def __call__(self, work: Callable[[Call], Result], /) -> Result:
        """Open, work, commit."""


@dataclass(frozen=True, kw_only=True)
class ImportOrder:
    """What to import for whom. `stations` is the station list that `shenzhen_tong` needs."""

    partner_id: UUID
    adapter: str
    reference: str
    card_secret: bytes
    stations: bytes = b""
    chunk_lines: int = CHUNK_LINES


@dataclass(frozen=True)
class Imported:
    """Lines by outcome, such as `credited` or `rejected/unbound_card`; they sum up to `lines`."""

    batch_id: UUID
    lines: int
    outcomes: dict[str, int]

    @property
    def credited(self) -> int:
        """Lines that brought kilograms."""
        return self.outcomes.get("credited", 0)


Progress = Callable[[int, int], None]
"""Called after each chunk with the lines done and all lines."""


def import_file(run: Run, data: bytes, order: ImportOrder, *, progress: Progress | None = None) -> Imported:
    """Import a file in a partner's own form. Refuses AdapterUnknown, BatchDiffers, and a bad whole file."""
    frame = read_frame(data, order)
    return import_lines(run, frame, order, content=hashlib.sha256(data).digest(), progress=progress)


def read_frame(data: bytes, order: ImportOrder) -> pl.DataFrame:
    """The lines of a file in the common shape; refuses AdapterUnknown and what the adapter refuses."""
    if order.adapter == "shenzhen_tong":
        rules = shipped_rules()
        frame = read_rides([data], stations=read_station_list(order.stations, rules.openings), rules=rules)
        return frame.select(*SCHEMA, "reason")
    if order.adapter == "utility_bills":
        return read_bills([data])
    if order.adapter == "csv":
        return pl.concat(read_activity_lines(BytesIO(data), form="csv"))
    if order.adapter == "ndjson":
        return pl.concat(read_activity_lines(BytesIO(data), form="ndjson"))
    raise AdapterUnknown(f"one of {', '.join(ADAPTERS)}")


def import_lines(
    run: Run,
    frame: pl.DataFrame,
    order: ImportOrder,
    *,
    content: bytes,
    progress: Progress | None = None,
) -> Imported:
    """Take the lines of a batch, chunk by chunk, after those that were done before. Refuses BatchDiffers."""
    batch_id, done = run(lambda call: _open_batch(call, order, content))
    for chunk_no, chunk in _chunks(frame, order.chunk_lines):
        if chunk_no <= done:
            continue
        intake = Intake(
            partner_id=order.partner_id, card_secret=order.card_secret, batch_id=batch_id, chunk_no=chunk_no
        )
        finished = run(_chunk_work(intake, chunk))
        if progress is not None:
            progress(finished, frame.height)
    return run(lambda call: _close_batch(call, batch_id, call.now))


def _chunk_work(intake: Intake, chunk: pl.DataFrame) -> Callable[[Call], int]:
    def work(call: Call) -> int:
        for setting in _CHUNK_SETTINGS:
            call.db.execute(text(setting))
        outcomes = take_chunk(call, intake, chunk)
        return _advance(call, intake, outcomes)

    return work


def _chunks(frame: pl.DataFrame, size: int) -> Iterator[tuple[int, pl.DataFrame]]:
    for number, start in enumerate(range(0, frame.height, size), start=1):
        yield number, frame.slice(start, size)


def _open_batch(call: Call, order: ImportOrder, content: bytes) -> tuple[UUID, int]:
    standing = call.db.scalar(
        select(ActivityBatch)
        .where(ActivityBatch.partner_id == order.partner_id, ActivityBatch.reference == order.reference)
        .with_for_update()
    )
    if standing is not None:
        same = standing.content_digest == content and standing.adapter == order.adapter
        require(same, BatchDiffers())
        return standing.id, standing.chunks_done
    partner = find_partner(call, order.partner_id)
    batch = ActivityBatch(
        id=new_id(),
        region_id=partner.region_id,
        partner_id=partner.id,
        reference=order.reference,
        adapter=order.adapter,
        state="running",
        content_digest=content,
        lines_done=0,
        chunks_done=0,
        outcomes={},
        created_at=call.now,
    )
    call.db.add(batch)
    call.db.flush()  # a second opener of this reference must meet the unique key here
    return batch.id, 0


def _advance(call: Call, intake: Intake, outcomes: pl.DataFrame) -> int:
    """Count a finished chunk; a chunk that another run has finished meanwhile ends this one."""
    batch = call.db.get_one(ActivityBatch, intake.batch_id, with_for_update=True)
    require(batch.chunks_done == intake.chunk_no - 1, BatchDiffers("another run works on this batch"))
    named = outcomes.select(name=pl.concat_str("outcome", "code", separator="/", ignore_nulls=True))["name"]
    counted: Counter[str] = Counter(dict(batch.outcomes))
    counted.update(named.to_list())
    batch.outcomes = dict(counted)
    batch.lines_done += outcomes.height
    batch.chunks_done = intake.chunk_no
    return batch.lines_done


def _close_batch(call: Call, batch_id: UUID, at: datetime) -> Imported:
    batch = call.db.get_one(ActivityBatch, batch_id)
    if batch.state == "running":
        batch.state, batch.finished_at = "done", at
    counts: dict[str, Any] = batch.outcomes
    return Imported(batch.id, batch.lines_done, dict(sorted(counts.items(), key=lambda item: -item[1])))
