"""A whole file: read in its partner's form, and taken as a batch of the command line.

The batch is named by its reference and known by its content: cut off, it goes on with the lines that are
left; once done, the same file again credits nothing.
"""

import hashlib
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from typing import Any, BinaryIO
from uuid import UUID

import polars as pl

from carbon.activities.adapters.activity_lines import read_activity_lines, read_activity_sheet
from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import read_station_list
from carbon.activities.adapters.text_lines import LineCount, Reading
from carbon.activities.adapters.utility_bills import read_bills
from carbon.activities.batch_records import (
    ADAPTERS,
    Content,
    Opening,
    lines_known,
    locked_batch,
    move,
    open_batch,
)
from carbon.activities.batch_states import State
from carbon.activities.errors import AdapterUnknown, BatchCancelled, BatchDiffers, BatchTaken
from carbon.activities.intake import Intake
from carbon.activities.progress import begin_work, end_work
from carbon.activities.turns import LANES, LEASE, Run, Taken, Turn, require_turn, work_through
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import new_id

_BLOCK = 1 << 20
READERS = 2
"""Pieces of a file that are read side by side, ahead of the lanes."""


@dataclass(frozen=True, kw_only=True)
class ImportOrder:
    """What to import for whom. `stations` is the station list that `shenzhen_tong` needs.

    Chunks have `chunk_lines`, or as many as the hour allows.
    """

    partner_id: UUID
    adapter: str
    reference: str
    card_secret: bytes
    stations: bytes = b""
    chunk_lines: int | None = None
    lanes: int = LANES


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


Progress = Callable[[Taken, int | None], None]
"""Called as lines are taken, with what they came to so far and about how many the file has, where known."""


def import_file(
    run: Run, source: BinaryIO, order: ImportOrder, *, progress: Progress | None = None
) -> Imported:
    """Import a file in a partner's own form, piece by piece.

    `source` is read more than once, from its beginning. Refuses AdapterUnknown, BatchDiffers, BatchTaken, and
    a bad whole file, of which nothing is kept.
    """
    content = _measured(source, order.adapter)
    source.seek(0)

    def tell(taken: Taken) -> None:
        if progress is not None:
            progress(taken, content.lines)

    with closing(read_frames(source, adapter=order.adapter, stations=order.stations)) as frames:
        first = list(islice(frames, 1))  # what refuses a whole file does so here, before there is a batch
        batch_id, turn = run(lambda call: _begin(call, order, content))
        if turn is not None:
            work_through(run, chain(first, frames), turn, after_chunk=tell)
    return run(lambda call: _close(call, batch_id, turn))


def _measured(source: BinaryIO, adapter: str) -> Content:
    source.seek(0)
    hashed, counted = hashlib.sha256(), LineCount()
    while block := source.read(_BLOCK):
        hashed.update(block)
        counted.add(block)
    return Content(digest=hashed.digest(), lines=lines_known(adapter, counted.lines))


def read_frame(data: bytes, order: ImportOrder) -> pl.DataFrame:
    """The lines of a file in the common shape; refuses AdapterUnknown and what the adapter refuses."""
    return pl.concat(read_frames(BytesIO(data), adapter=order.adapter, stations=order.stations))


def read_frames(
    stream: BinaryIO, *, adapter: str, stations: bytes = b"", after_line: int = 0
) -> Generator[pl.DataFrame]:
    """The lines of a file in the common shape, piece by piece; a workbook, which is small, as a whole.

    Taps are gone through twice, so `stream` can be sought in. Lines up to `after_line` are left out, not of a
    workbook. Refuses AdapterUnknown and what the adapter refuses, at the first piece.
    """
    reading = Reading(after_line=after_line, threads=READERS)
    if adapter == "shenzhen_tong":
        rules = shipped_rules()
        listed = read_station_list(stations, rules.openings)
        rides = read_rides([stream], stations=listed, rules=rules, reading=reading)
        yield from (each.select(*SCHEMA, "reason") for each in rides)
    elif adapter == "utility_bills":
        yield from read_bills(stream, reading)
    elif adapter == "csv":
        yield from read_activity_lines(stream, form="csv", reading=reading)
    elif adapter == "ndjson":
        yield from read_activity_lines(stream, form="ndjson", reading=reading)
    elif adapter == "xlsx":
        yield from read_activity_sheet(stream)
    else:
        raise AdapterUnknown(f"one of {', '.join(ADAPTERS)}")


def _begin(call: Call, order: ImportOrder, content: Content) -> tuple[UUID, Turn | None]:
    """The batch, and its next turn unless it is done."""
    opening = Opening(reference=order.reference, adapter=order.adapter)
    batch = open_batch(call, order.partner_id, opening, begun=content)
    require(batch.state != State.CANCELLED, BatchCancelled())
    require(batch.content_digest == content.digest, BatchDiffers())
    # An upload is its worker's, finished or not; only what the command line began goes on here.
    require(batch.spool is None and batch.state in {State.RUNNING, State.DONE}, BatchTaken())
    if batch.state == State.DONE:
        return batch.id, None
    batch.lease, batch.leased_until = new_id(), call.now + LEASE
    begin_work(call, batch)
    turn = Turn(
        batch_id=batch.id,
        intake=Intake(partner_id=batch.partner_id, card_secret=order.card_secret, batch_id=batch.id),
        content_lines=batch.content_lines,
        lines_done=batch.lines_done,
        settled_line=batch.settled_line or 0,
        lease=batch.lease,
        chunk_lines=order.chunk_lines,
        lanes=order.lanes,
    )
    return batch.id, turn


def _close(call: Call, batch_id: UUID, turn: Turn | None) -> Imported:
    batch = locked_batch(call, batch_id)
    if turn is not None and batch.state != State.DONE:
        require_turn(batch, turn)
        end_work(call, batch)
        batch.lease = batch.leased_until = None
        move(call, batch, State.DONE, reason="every line was taken")
    counts: dict[str, Any] = batch.outcomes
    return Imported(batch.id, batch.lines_done, dict(sorted(counts.items(), key=lambda item: -item[1])))
