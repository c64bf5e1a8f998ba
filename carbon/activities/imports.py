"""A whole file, a chunk a transaction: bounded, resumable, every line with an outcome.

`run` is given by whoever owns the database: it opens a unit of work, calls the function with its Call,
and commits. A batch that was cut off goes on after its last chunk; the same file again credits nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import UUID

import polars as pl
from sqlalchemy import text

from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import read_station_list
from carbon.activities.adapters.utility_bills import read_bills
from carbon.activities.batch_records import ADAPTERS, Opening, locked_batch, move, open_batch
from carbon.activities.batch_states import State
from carbon.activities.chunks import chunks_of, lanes_of, read_ahead
from carbon.activities.errors import AdapterUnknown, BatchDiffers, BatchTaken
from carbon.activities.intake import Intake, take_chunk
from carbon.activities.tables import ActivityBatch
from kernel.bulk_text import select_frame
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import new_id

Result = TypeVar("Result")
CHUNK_LINES = 10_000
"""Small enough that people redeem undisturbed beside it: 5,000 a lane (measured in the design)."""
LANES = 2
"""Transactions of a chunk that run side by side: one for each core of a small machine."""
LEASE = timedelta(minutes=2)
"""How long a worker's turn lasts after its last chunk: longer than the largest file takes to read."""


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


Progress = Callable[[int, int], None]
"""Called after each chunk with the lines done and all lines."""


def import_file(run: Run, data: bytes, order: ImportOrder, *, progress: Progress | None = None) -> Imported:
    """Import a file in a partner's own form. Refuses AdapterUnknown, BatchDiffers, and a bad whole file."""
    frame = read_frame(data, order)
    return import_lines(run, frame, order, content=hashlib.sha256(data).digest(), progress=progress)


def read_frame(data: bytes, order: ImportOrder) -> pl.DataFrame:
    """The lines of a file in the common shape; refuses AdapterUnknown and what the adapter refuses."""
    return pl.concat(read_frames(BytesIO(data), adapter=order.adapter, stations=order.stations))


def read_frames(stream: BinaryIO, *, adapter: str, stations: bytes = b"") -> Iterator[pl.DataFrame]:
    """The lines of a file in the common shape, piece by piece where its form allows it.

    Refuses AdapterUnknown and what the adapter refuses, at the first piece.
    """
    if adapter == "shenzhen_tong":
        rules = shipped_rules()
        rides = read_rides([stream.read()], stations=read_station_list(stations, rules.openings), rules=rules)
        yield rides.select(*SCHEMA, "reason")
    elif adapter == "utility_bills":
        yield read_bills([stream.read()])
    elif adapter == "csv":
        yield from read_activity_lines(stream, form="csv")
    elif adapter == "ndjson":
        yield from read_activity_lines(stream, form="ndjson")
    else:
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
    turn = run(lambda call: _begin(call, order, content))

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, frame.height)

    work_through(run, [frame], turn, after_chunk=tell)
    return run(lambda call: _close(call, turn))


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run's go at a batch: the lines of it that are done, and the lease; who came last has it."""

    batch_id: UUID
    partner_id: UUID
    card_secret: bytes
    lines_done: int
    lease: UUID
    chunk_lines: int
    lanes: int


def work_through(
    run: Run, frames: Iterable[pl.DataFrame], turn: Turn, *, after_chunk: Callable[[int], None]
) -> None:
    """Take what is left of a batch's lines, a chunk after the other; `after_chunk` hears the lines done.

    A chunk's lanes are transactions of their own; the rows of each and the count of it are committed
    together, so a run that was cut off anywhere goes on with the lines that were not taken. Refuses
    BatchTaken, and as a whole what `take_chunk` refuses.
    """
    chunks = chunks_of(_untaken(run, frames, turn), size=turn.chunk_lines)
    with (
        ThreadPoolExecutor(turn.lanes, thread_name_prefix="lane") as pool,
        closing(read_ahead(chunks)) as ahead,
    ):
        for chunk in ahead:
            works = [_chunk_work(turn, part) for part in lanes_of(chunk, most=turn.lanes)]
            done = [pool.submit(run, work) for work in works]
            wait(done)
            after_chunk(max(each.result() for each in done))


def _untaken(run: Run, frames: Iterable[pl.DataFrame], turn: Turn) -> Iterator[pl.DataFrame]:
    """The lines that no earlier turn took: each of those left one row, of an activity or of a line."""
    known = turn.lines_done
    for frame in frames:
        if known and not frame.is_empty():
            taken = run(_looking_for(turn.batch_id, frame))
            known -= taken.height
            yield frame.join(taken, on=["file_no", "line_no"], how="anti", maintain_order="left")
        else:
            yield frame


def _looking_for(batch_id: UUID, frame: pl.DataFrame) -> Callable[[Call], pl.DataFrame]:
    places = frame.select("file_no", "line_no").sort("file_no", "line_no")
    first_file, first_line = places.row(0)
    last_file, last_line = places.row(-1)
    values = {
        "batch": batch_id,
        "first_file": first_file,
        "first_line": first_line,
        "last_file": last_file,
        "last_line": last_line,
    }
    schema = {"file_no": frame.schema["file_no"], "line_no": frame.schema["line_no"]}

    def look(call: Call) -> pl.DataFrame:
        return select_frame(call, _TAKEN, values, schema=schema)

    return look


def _chunk_work(turn: Turn, chunk: pl.DataFrame) -> Callable[[Call], int]:
    intake = Intake(partner_id=turn.partner_id, card_secret=turn.card_secret, batch_id=turn.batch_id)

    def work(call: Call) -> int:
        for setting in _chunk_settings(chunk.height):
            call.db.execute(text(setting))
        # A run whose turn is over stops here, before it does the work, or else at the end.
        _require_turn(call.db.get(ActivityBatch, turn.batch_id), turn)
        outcomes = take_chunk(call, intake, chunk)
        batch = locked_batch(call, turn.batch_id)
        _require_turn(batch, turn)
        return _count(call, batch, outcomes)

    return work


def _chunk_settings(lines: int) -> tuple[str, ...]:
    return (
        # Not the request path: a chunk is bounded by its lines.
        "SET LOCAL statement_timeout = '60s'",
        # Nobody waits for this answer; who holds a row for longer has an accident, and the batch is put down.
        # A citizen with two cards may be in both lanes: then one waits until the other is done.
        f"SET LOCAL lock_timeout = '{5_000 + lines}ms'",
        # Every join of a chunk is by key; without statistics (a first import) whole tables would be scanned.
        "SET LOCAL enable_seqscan = off",
    )


def _require_turn(batch: ActivityBatch | None, turn: Turn) -> None:
    mine = batch is not None and batch.lease == turn.lease and batch.state == State.RUNNING
    require(mine, BatchTaken())


def _count(call: Call, batch: ActivityBatch, outcomes: pl.DataFrame) -> int:
    named = outcomes.select(name=pl.concat_str("outcome", "code", separator="/", ignore_nulls=True))["name"]
    counted: Counter[str] = Counter(dict(batch.outcomes))
    counted.update(named.to_list())
    batch.outcomes = dict(counted)
    batch.lines_done += outcomes.height
    batch.chunks_done += 1
    batch.tries = 0
    batch.leased_until = call.now + LEASE
    return batch.lines_done


def _begin(call: Call, order: ImportOrder, content: bytes) -> Turn:
    opening = Opening(reference=order.reference, adapter=order.adapter)
    batch = open_batch(call, order.partner_id, opening, begun=content)
    require(batch.content_digest == content, BatchDiffers())
    # An upload is its worker's, finished or not; only what the command line began goes on here.
    require(batch.spool is None and batch.state in {State.RUNNING, State.DONE}, BatchTaken())
    lease = new_id()
    if batch.state == State.RUNNING:
        batch.lease, batch.leased_until = lease, call.now + LEASE
    return Turn(
        batch_id=batch.id,
        partner_id=batch.partner_id,
        card_secret=order.card_secret,
        lines_done=batch.lines_done,
        lease=lease,
        chunk_lines=order.chunk_lines,
        lanes=order.lanes,
    )


def _close(call: Call, turn: Turn) -> Imported:
    batch = locked_batch(call, turn.batch_id)
    if batch.state == State.RUNNING:
        _require_turn(batch, turn)
        batch.lease = batch.leased_until = None
        move(call, batch, State.DONE, reason="every line was taken")
    counts: dict[str, Any] = batch.outcomes
    return Imported(batch.id, batch.lines_done, dict(sorted(counts.items(), key=lambda item: -item[1])))


_WITHIN = (
    "batch_id = %(batch)s AND (file_no, line_no) >= (%(first_file)s, %(first_line)s)"
    " AND (file_no, line_no) <= (%(last_file)s, %(last_line)s)"
)
_TAKEN = (
    f"SELECT file_no, line_no FROM activity WHERE {_WITHIN}"  # noqa: S608 - our own text
    f" UNION ALL SELECT file_no, line_no FROM activity_batch_line WHERE {_WITHIN}"
)
