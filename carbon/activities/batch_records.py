"""The rows of batches: opened once a reference, given their content once, called off or moved on by steps.

Whoever changes a batch holds its row. The lock leaves the key alone (FOR NO KEY UPDATE), because rows
that name the batch by foreign key are written beside it.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert

from carbon.activities.batch_states import TRANSITIONS, State
from carbon.activities.errors import (
    AdapterUnknown,
    BatchBegun,
    BatchCancelled,
    BatchDiffers,
    BatchEnded,
    StationsMissing,
    StationsNotTaken,
)
from carbon.activities.progress import end_work
from carbon.activities.tables import ActivityBatch, ActivityBatchStep
from carbon.activities.uploads import LINES, STATIONS, WORKBOOK, Bounds, Upload
from carbon.partners.registry import find_partner
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest

BATCH = "bat"
WITH_STATIONS = "shenzhen_tong"
OF_WORKBOOKS = "xlsx"
ADAPTERS = (WITH_STATIONS, "utility_bills", "csv", "ndjson", OF_WORKBOOKS)
POSTED = ("credited", "assessed")
"""Outcomes of lines that became activities."""
ANNOUNCED = (State.DONE, State.FAILED)
"""Ends that a partner may not have seen coming."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A batch by its partner's own reference, and the adapter that reads it."""

    reference: str
    adapter: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """A file that is at hand: its SHA-256, and its lines where they are known."""

    digest: bytes
    lines: int | None


def lines_known(adapter: str, lines: int) -> int | None:
    """How many lines a content has by those of its bytes; a workbook's rows stand compressed in them."""
    return None if adapter == OF_WORKBOOKS else lines


def open_batch(
    call: Call, partner_id: UUID, opening: Opening, *, begun: Content | None = None
) -> ActivityBatch:
    """Open a batch, or find the one of this reference, its row locked.

    `begun` is content that the caller holds itself: the batch is running at once. Refuses AdapterUnknown,
    NotFound (partner), BatchDiffers (the reference belongs to another adapter).
    """
    require(
        opening.adapter in ADAPTERS,
        AdapterUnknown(f"one of {', '.join(ADAPTERS)}", pointer="/body/adapter"),
    )
    partner = find_partner(call, partner_id)
    state = State.CREATED if begun is None else State.RUNNING
    values = {
        "id": new_id(),
        "region_id": partner.region_id,
        "partner_id": partner.id,
        "reference": opening.reference,
        "adapter": opening.adapter,
        "state": state,
        "content_digest": None if begun is None else begun.digest,
        "content_lines": None if begun is None else begun.lines,
        "lines_done": 0,
        "chunks_done": 0,
        "outcomes": {},
        "superseded": 0,
        "recent_lines": 0,
        "recent_ms": 0,
        "tries": 0,
        "created_at": call.now,
    }
    statement = insert(ActivityBatch).values(values).on_conflict_do_nothing().returning(ActivityBatch.id)
    is_new = call.db.scalar(statement) is not None
    batch = _locked(
        call, ActivityBatch.partner_id == partner_id, ActivityBatch.reference == opening.reference
    )
    if is_new:
        _keep_step(call, batch, None, reason="opened")
    require(batch.adapter == opening.adapter, BatchDiffers("it has another adapter", pointer="/body/adapter"))
    return batch


def find_batch(call: Call, batch_id: UUID) -> ActivityBatch:
    """A batch that the caller may see: a partner its own, an operator those of the region; or NotFound."""
    batch = call.db.scalar(select(ActivityBatch).where(ActivityBatch.id == batch_id, _seen_by(call)))
    if batch is None:
        raise NotFound("no such batch")
    return batch


def list_batches(call: Call, page: PageRequest) -> Page[ActivityBatch]:
    """The caller's batches, newest first; refuses WrongCursor."""
    binding = f"batches|{call.actor.principal}"
    after = page.position(binding, UUID)
    query = select(ActivityBatch).where(_seen_by(call))
    if after is not None:
        query = query.where(ActivityBatch.id < after[0])
    rows = call.db.scalars(query.order_by(ActivityBatch.id.desc()).limit(page.limit + 1)).all()
    return page.page(rows, binding, lambda batch: [str(batch.id)])


def require_ready(call: Call, batch_id: UUID) -> Bounds:
    """Judge, before any byte is read, whether content may come and how much.

    Refuses NotFound, BatchCancelled, StationsMissing.
    """
    batch = find_batch(call, batch_id)
    _require_not_cancelled(batch)
    stations_stand = batch.adapter != WITH_STATIONS or batch.stations_digest is not None
    require(stations_stand, StationsMissing(pointer="/path/batch"))
    return WORKBOOK if batch.adapter == OF_WORKBOOKS else LINES


def require_stations_wanted(call: Call, batch_id: UUID) -> Bounds:
    """Judge, before any byte is read, whether a station list may come.

    Refuses NotFound, BatchCancelled, StationsNotTaken.
    """
    batch = find_batch(call, batch_id)
    _require_not_cancelled(batch)
    require(batch.adapter == WITH_STATIONS, StationsNotTaken(pointer="/path/batch"))
    return STATIONS


def accept_content(call: Call, batch_id: UUID, upload: Upload) -> ActivityBatch:
    """Give a batch its content, once; the same again changes nothing, and its file is not kept.

    Refuses NotFound, BatchCancelled, StationsMissing, BatchDiffers (other content).
    """
    upload.kept = False
    require_ready(call, batch_id)
    batch = _locked(call, ActivityBatch.id == batch_id)
    _require_not_cancelled(batch)
    if batch.content_digest is None:
        batch.content_digest, batch.content_bytes, batch.spool = upload.digest, upload.size, upload.name
        batch.content_lines = lines_known(batch.adapter, upload.lines)
        move(call, batch, State.UPLOADED, reason="content came whole")
    require(batch.content_digest == upload.digest, BatchDiffers("it has other content", pointer="/body"))
    upload.kept = batch.spool == upload.name
    return batch


def accept_stations(call: Call, batch_id: UUID, upload: Upload) -> ActivityBatch:
    """Give a batch its station list, once.

    Refuses NotFound, BatchCancelled, StationsNotTaken, BatchDiffers.
    """
    upload.kept = False
    require_stations_wanted(call, batch_id)
    batch = _locked(call, ActivityBatch.id == batch_id)
    _require_not_cancelled(batch)
    if batch.stations_digest is None:
        batch.stations_digest, batch.stations_spool = upload.digest, upload.name
    require(batch.stations_digest == upload.digest, BatchDiffers("it has other stations", pointer="/body"))
    upload.kept = batch.stations_spool == upload.name
    return batch


@dataclass(frozen=True)
class Cancelled:
    """A cancelled batch, and the files that nobody needs once that is committed."""

    batch: ActivityBatch
    files: tuple[str, ...]


def cancel_batch(call: Call, batch_id: UUID, *, reason: str | None) -> Cancelled:
    """Call a batch off of which no line was taken; again is the same. A partner's state is not asked.

    A worker's chunk looks at the batch under the same lock before it commits, so whoever comes second finds
    what the other did. Refuses NotFound, BatchBegun, BatchEnded.
    """
    batch = _locked(call, ActivityBatch.id == batch_id, _seen_by(call))
    if batch.state == State.CANCELLED:
        return Cancelled(batch, ())
    require(not batch.lines_done, _begun(batch))
    require(State.CANCELLED in TRANSITIONS[State(batch.state)], BatchEnded(state=batch.state))
    files = tuple(name for name in (batch.spool, batch.stations_spool) if name is not None)
    end_work(call, batch)
    batch.lease = batch.leased_until = batch.spool = batch.stations_spool = None
    batch.cancelled_because = reason
    move(call, batch, State.CANCELLED, reason=reason or "cancelled")
    return Cancelled(batch, files)


def _begun(batch: ActivityBatch) -> BatchBegun:
    posted = sum(lines for name, lines in batch.outcomes.items() if name.partition("/")[0] in POSTED)
    return BatchBegun(
        f"{batch.lines_done} lines are taken, {posted} of them posted",
        state=batch.state,
        lines_done=batch.lines_done,
        lines_posted=posted,
    )


def _require_not_cancelled(batch: ActivityBatch) -> None:
    require(batch.state != State.CANCELLED, BatchCancelled(pointer="/path/batch"))


def move(call: Call, batch: ActivityBatch, to: State, *, reason: str) -> None:
    """Move a batch whose row the caller has locked, and keep the step."""
    here = State(batch.state)
    if to not in TRANSITIONS[here]:
        raise BrokenInvariant(f"a batch does not go from {here} to {to}")
    batch.state = to
    if not TRANSITIONS[to]:
        batch.finished_at = call.now
    if to in ANNOUNCED:
        subject = public_id(BATCH, batch.id)
        announce(call, f"batch.{to.value}", region_id=batch.region_id, subject=subject)
    _keep_step(call, batch, here, reason=reason)


def locked_batch(call: Call, batch_id: UUID) -> ActivityBatch:
    """The batch of the product's own work, its row locked."""
    return _locked(call, ActivityBatch.id == batch_id)


def _locked(call: Call, *which: ColumnElement[bool]) -> ActivityBatch:
    query = select(ActivityBatch).where(*which).with_for_update(key_share=True)
    found = call.db.execute(query, execution_options={"populate_existing": True}).scalar_one_or_none()
    if found is None:
        raise NotFound("no such batch")
    return found


def _seen_by(call: Call) -> ColumnElement[bool]:
    if call.actor.kind is ActorKind.PARTNER:
        return ActivityBatch.partner_id == call.actor.known_id
    return ActivityBatch.region_id == call.region


def _keep_step(call: Call, batch: ActivityBatch, before: State | None, *, reason: str) -> None:
    step: dict[str, Any] = {
        "batch_id": batch.id,
        "id": new_id(),
        "region_id": batch.region_id,
        "from_state": before,
        "to_state": batch.state,
        "principal": call.actor.principal,
        "reason": reason,
        "recorded_at": call.now,
    }
    call.db.add(ActivityBatchStep(**step))
