"""A whole file, a chunk a transaction: bounded, resumable, every line with an outcome.

`run` is given by whoever owns the database: it opens a unit of work, calls the function with its Call,
and commits. A batch that was cut off goes on after its last chunk; the same file again credits nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import UUID

import polars as pl
from sqlalchemy import text

from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import read_station_list
from carbon.activities.adapters.utility_bills import read_bills
from carbon.activities.batch_records import ADAPTERS, Opening, locked_batch, move, open_batch
from carbon.activities.batch_states import State
from carbon.activities.errors import AdapterUnknown, BatchDiffers, BatchTaken
from carbon.activities.intake import Intake, take_chunk
from carbon.activities.references import lines_before
from carbon.activities.tables import ActivityBatch
from kernel.call import Call
from kernel.errors import require

Result = TypeVar("Result")
CHUNK_LINES = 5_000
"""Small enough that people redeem undisturbed beside it (measured in the design)."""
STEPS_MOST = 20
"""Lines of one fact that a chunk takes one after another, where some correct others."""
LEASE = timedelta(minutes=2)
"""How long a worker's turn lasts after its last chunk: longer than the largest file takes to read."""

_CHUNK_SETTINGS = (
    # Not the request path: a chunk is bounded by its lines.
    "SET LOCAL statement_timeout = '60s'",
    # Nobody waits for this answer; who holds a row for longer has an accident, and the batch is put down.
    "SET LOCAL lock_timeout = '5s'",
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
    return run(lambda call: _close(call, turn.batch_id))


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run's go at a batch: where the batch stands, and the lease of a worker (None: the command line)."""

    batch_id: UUID
    partner_id: UUID
    card_secret: bytes
    lines_done: int
    chunks_done: int
    chunk_lines: int
    lease: UUID | None = None


def work_through(
    run: Run, frames: Iterable[pl.DataFrame], turn: Turn, *, after_chunk: Callable[[int], None]
) -> None:
    """Take what is left of a batch's lines, a chunk a transaction; `after_chunk` hears the lines done.

    A chunk's rows and the count of it are committed together, so a run that was cut off anywhere goes on
    at the first line that was not taken. Refuses BatchTaken, and as a whole what `take_chunk` refuses.
    """
    chunks = _chunks(frames, size=turn.chunk_lines, skip=turn.lines_done)
    for chunk_no, chunk in enumerate(chunks, start=turn.chunks_done + 1):
        after_chunk(run(_chunk_work(turn, chunk_no, chunk)))


def _chunk_work(turn: Turn, chunk_no: int, chunk: pl.DataFrame) -> Callable[[Call], int]:
    intake = Intake(
        partner_id=turn.partner_id, card_secret=turn.card_secret, batch_id=turn.batch_id, chunk_no=chunk_no
    )

    def work(call: Call) -> int:
        for setting in _CHUNK_SETTINGS:
            call.db.execute(text(setting))
        # Held while the chunk is taken: a run whose turn is over stops here, before it does the work.
        batch = locked_batch(call, turn.batch_id)
        mine = batch.lease == turn.lease and batch.chunks_done == chunk_no - 1
        require(mine and batch.state == State.RUNNING, BatchTaken())
        return _count(call, batch, take_chunk(call, intake, chunk))

    return work


def _chunks(frames: Iterable[pl.DataFrame], *, size: int, skip: int) -> Iterator[pl.DataFrame]:
    """Cut frames into chunks of at most `size` lines, leaving out the first `skip` lines of all."""
    for frame in frames:
        done = min(skip, frame.height)
        skip -= done
        while done < frame.height:
            chunk = _of_few_steps(frame.slice(done, size))
            done += chunk.height
            yield chunk


def _of_few_steps(chunk: pl.DataFrame) -> pl.DataFrame:
    """The chunk up to the line that would correct one fact once too often for a transaction."""
    is_activity = pl.col("outcome") == ACTIVITY
    if chunk.filter(is_activity & pl.col("corrects_revision").is_not_null()).is_empty():
        return chunk
    beyond = chunk.select((is_activity & (lines_before(is_activity) >= STEPS_MOST)).arg_true()).to_series()
    return chunk.head(beyond[0]) if len(beyond) else chunk


def _count(call: Call, batch: ActivityBatch, outcomes: pl.DataFrame) -> int:
    named = outcomes.select(name=pl.concat_str("outcome", "code", separator="/", ignore_nulls=True))["name"]
    counted: Counter[str] = Counter(dict(batch.outcomes))
    counted.update(named.to_list())
    batch.outcomes = dict(counted)
    batch.lines_done += outcomes.height
    batch.chunks_done += 1
    batch.tries = 0
    if batch.lease is not None:
        batch.leased_until = call.now + LEASE
    return batch.lines_done


def _begin(call: Call, order: ImportOrder, content: bytes) -> Turn:
    opening = Opening(reference=order.reference, adapter=order.adapter)
    batch = open_batch(call, order.partner_id, opening, begun=content)
    require(batch.content_digest == content, BatchDiffers())
    # An upload is its worker's, finished or not; only what the command line began goes on here.
    require(batch.spool is None and batch.state in {State.RUNNING, State.DONE}, BatchTaken())
    return Turn(
        batch_id=batch.id,
        partner_id=batch.partner_id,
        card_secret=order.card_secret,
        lines_done=batch.lines_done,
        chunks_done=batch.chunks_done,
        chunk_lines=order.chunk_lines,
    )


def _close(call: Call, batch_id: UUID) -> Imported:
    batch = locked_batch(call, batch_id)
    if batch.state == State.RUNNING:
        move(call, batch, State.DONE, reason="every line was taken")
    counts: dict[str, Any] = batch.outcomes
    return Imported(batch.id, batch.lines_done, dict(sorted(counts.items(), key=lambda item: -item[1])))
