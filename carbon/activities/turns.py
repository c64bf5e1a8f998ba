"""One run's turn at a batch: a chunk after the other, its parts in lanes side by side, until no line is left.

`run` is given by whoever owns the database: it opens a unit of work, calls the function with its Call,
and commits. A part's rows and the count of its lines are committed together, and each line leaves one row, of
an activity or of a line: so who goes on after a run that was cut off anywhere finds what is left.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

import polars as pl
from sqlalchemy import text

from carbon.activities.batch_records import locked_batch
from carbon.activities.batch_states import State
from carbon.activities.chunks import chunks_of, cut, read_ahead
from carbon.activities.duplicates import Segment, as_duplicates, sifted, without
from carbon.activities.errors import BatchTaken
from carbon.activities.intake import Intake, keep_lines, take_chunk
from carbon.activities.neighbours import Neighbours
from carbon.activities.progress import count_work
from carbon.activities.standing import Standing
from carbon.activities.tables import ActivityBatch
from carbon.partners.registry import find_partner
from kernel.bulk_text import select_frame
from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.errors import require
from kernel.publications.rules import trips_are_claimed

Result = TypeVar("Result")
CHUNK_LINES = 10_000
"""At work at once. Few enough that people redeem undisturbed beside it: 5,000 a lane (measured)."""
NIGHT_CHUNK_LINES = 100_000
"""While hardly anybody is up: a line costs two thirds, and coins may stay locked for a second."""
NIGHT = (time(1), time(5))
"""In Shanghai, between the last metro and the first."""
LANES = 2
"""Transactions of a chunk that run side by side: one for each core of a small machine."""
LEASE = timedelta(minutes=2)
"""How long a worker's turn lasts after its last chunk: several times what reading the largest file takes."""


class Run(Protocol):
    """One committed unit of work."""

    def __call__(self, work: Callable[[Call], Result], /) -> Result:
        """Open, work, commit."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run's go at a batch: the lines of it that are done, and the lease; who came last has it."""

    batch_id: UUID
    intake: Intake
    content_lines: int | None
    lines_done: int
    settled_line: int
    """Up to this line of the first file every one of them was taken."""
    lease: UUID
    chunk_lines: int | None
    """None: as the hour has it, see `chunk_lines_at`."""
    lanes: int


@dataclass(frozen=True)
class Taken:
    """The lines of a batch that are done, and how many came out how, such as `credited`."""

    lines: int
    outcomes: dict[str, int]


def chunk_lines_at(now: datetime) -> int:
    """How many lines a chunk has that is cut now."""
    first, last = NIGHT
    return NIGHT_CHUNK_LINES if first <= now.astimezone(SHANGHAI).time() < last else CHUNK_LINES


def work_through(
    run: Run,
    frames: Iterable[pl.DataFrame],
    turn: Turn,
    *,
    after_chunk: Callable[[Taken], None] = lambda _taken: None,
    between_chunks: Callable[[], None] = lambda: None,
) -> None:
    """Take what is left of a batch's lines.

    `after_chunk` hears the lines done, whenever some are; `between_chunks` may raise before others begin.
    Refuses BatchTaken, and as a whole what `take_chunk` refuses.
    """
    left_out, standing = _LeftOut(), Standing(turn.intake.partner_id, lines=turn.content_lines or 0)

    def leave_out(segment: Segment) -> pl.DataFrame:
        if left_out.lines:
            between_chunks()
        found, done = run(_leaving_out(turn, segment, standing, left_out))
        after_chunk(done)
        return found

    def at_once() -> int:
        return turn.chunk_lines or chunk_lines_at(run(lambda call: call.now))

    partner_id = turn.intake.partner_id
    chunks = chunks_of(
        sifted(
            _lines_left(run, frames, turn),
            subjects=turn.intake.subjects,
            stand=lambda claims: run(_looking_whether_any_stand(turn, claims)),
            leave_out=leave_out,
        ),
        size=at_once,
        claims_trips=run(lambda call: trips_are_claimed(call, find_partner(call, partner_id).region_id)),
    )
    order = Neighbours(partial(_looking, run), turn.intake.subjects).order
    in_parts = (cut(chunk, at_once=at_once(), lanes=turn.lanes, order=order) for chunk in chunks)
    lines = turn.lines_done
    # Closed from the inside: nothing of this run is at work any more when an error, or its end, goes out.
    with (
        ThreadPoolExecutor(turn.lanes, thread_name_prefix="lane") as pool,
        closing(chunks),
        closing(read_ahead(in_parts)) as ahead,
    ):
        for number, chunk in enumerate(ahead):
            if number:
                between_chunks()
            lines += chunk.lines
            whole = _Whole(lines=lines, last_line=chunk.last_line)
            works = [
                [partial(run, _piece_work(turn, piece, whole, left_out)) for piece in part]
                for part in chunk.parts
            ]
            for taken in _side_by_side(pool, works, lanes=turn.lanes, go_on=between_chunks):
                after_chunk(taken)


def _side_by_side(
    pool: ThreadPoolExecutor,
    parts: Iterable[Iterable[Callable[[], Taken]]],
    *,
    lanes: int,
    go_on: Callable[[], None],
) -> Iterator[Taken]:
    """All of them done, so many at a time and those of a part in turn, or else an error of one of them.

    Gives what was taken, as it grows. `go_on` is asked before another begins; what it raises goes out when
    those that began are done.
    """
    waiting = deque(deque(part) for part in parts)
    running: dict[Future[Taken], deque[Callable[[], Taken]]] = {}
    taken = Taken(0, {})

    def begin() -> None:
        part = waiting.popleft()
        running[pool.submit(part.popleft())] = part

    try:
        while waiting and len(running) < lanes:
            begin()
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            waiting.extendleft(rest for each in done if (rest := running.pop(each)))
            while done:  # popped: an error that leads back to here is not to keep all that this run held
                taken = max(taken, done.pop().result(), key=lambda each: each.lines)
            yield taken
            while waiting and len(running) < lanes:
                go_on()
                begin()
    finally:
        wait(running)


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """A chunk all of whose parts are done: the lines in chunks done by then, and its own last line."""

    lines: int
    last_line: int


@dataclass
class _LeftOut:
    """The lines that went into no chunk, some of them perhaps behind the chunk at work.

    Changed and read while the batch is locked, as its `lines_done` is: both say the same of every line.
    """

    lines: int = 0


def _looking(run: Run, look: Callable[[Call], pl.DataFrame]) -> pl.DataFrame:
    def unhurried(call: Call) -> pl.DataFrame:
        _unhurried(call, 0)
        return look(call)

    return run(unhurried)


def _looking_whether_any_stand(turn: Turn, claims: pl.DataFrame) -> Callable[[Call], bool]:
    def look(call: Call) -> bool:
        return not Standing(turn.intake.partner_id).lines(call, claims).is_empty()

    return look


def _leaving_out(
    turn: Turn, segment: Segment, standing: Standing, left_out: _LeftOut
) -> Callable[[Call], tuple[pl.DataFrame, Taken]]:
    """Keep the lines whose claims stand as duplicates; which they were, and what was taken by then."""
    before, claims = left_out.lines, segment.claims  # before the work, which may be done again

    def work(call: Call) -> tuple[pl.DataFrame, Taken]:
        _unhurried(call, claims.height)
        found = standing.lines(call, claims)
        batch = locked_batch(call, turn.batch_id)
        require_turn(batch, turn)
        _keep(call, batch, as_duplicates(found))
        left_out.lines = before + found.height
        if batch.lines_done == turn.lines_done + segment.lines_before + segment.lines:
            batch.settled_line = segment.last_line
        return found, Taken(batch.lines_done, batch.outcomes)

    return work


def _lines_left(run: Run, frames: Iterable[pl.DataFrame], turn: Turn) -> Iterator[pl.DataFrame]:
    """The lines that no earlier turn took: each of those left one row, of an activity or of a line.

    Only rows behind the settled line are looked for: those of a chunk whose turn ended between its parts, and
    of lines that stood behind it.
    """
    done = run(lambda call: _lines_behind(call, turn)) if turn.lines_done else None
    for frame in frames:
        if done is None:
            yield frame
            continue
        unsettled = frame.filter((pl.col("file_no") > 1) | (pl.col("line_no") > turn.settled_line))
        yield without(unsettled, done)


def _lines_behind(call: Call, turn: Turn) -> pl.DataFrame:
    _unhurried(call, turn.lines_done)
    values = {"batch": turn.batch_id, "settled": turn.settled_line}
    return select_frame(call, _BEHIND, values, schema={"file_no": pl.Int32, "line_no": pl.Int64})


def _piece_work(
    turn: Turn, piece: pl.DataFrame, whole: _Whole, left_out: _LeftOut
) -> Callable[[Call], Taken]:
    def work(call: Call) -> Taken:
        _unhurried(call, piece.height)
        # A run whose turn is over stops here, before it does the work, or else at the end.
        require_turn(call.db.get(ActivityBatch, turn.batch_id), turn)
        outcomes = take_chunk(call, turn.intake, piece)
        batch = locked_batch(call, turn.batch_id)
        require_turn(batch, turn)
        _keep(call, batch, outcomes)
        if batch.lines_done == whole.lines + left_out.lines:
            batch.settled_line = whole.last_line
        return Taken(batch.lines_done, batch.outcomes)

    return work


def _unhurried(call: Call, lines: int) -> None:
    """Other limits than a request's: a chunk is bounded by its lines, and nobody waits for an answer."""
    for setting in (
        "SET LOCAL statement_timeout = '60s'",
        # Who holds a row for longer has an accident, and the batch is put down. A citizen who got a second
        # card a moment ago may be in both lanes: then one waits until the other is done.
        f"SET LOCAL lock_timeout = '{5_000 + lines}ms'",
        # Every join of a chunk is by key; without statistics (a first import) whole tables would be scanned.
        "SET LOCAL enable_seqscan = off",
    ):
        call.db.execute(text(setting))


def require_turn(batch: ActivityBatch | None, turn: Turn) -> None:
    """Refuse BatchTaken when the turn is over: another has the lease, or nobody."""
    mine = batch is not None and batch.lease == turn.lease and batch.state == State.RUNNING
    require(mine, BatchTaken())


def _keep(call: Call, batch: ActivityBatch, outcomes: pl.DataFrame) -> None:
    """Keep and count lines with their outcomes, count the time, and renew the lease."""
    keep_lines(call, batch.id, outcomes)
    named = pl.concat_str("outcome", "code", separator="/", ignore_nulls=True)
    counted: Counter[str] = Counter(dict(batch.outcomes))
    counted.update(dict(outcomes.group_by(named.alias("name")).len().rows()))
    batch.outcomes = dict(counted)
    batch.superseded += int(outcomes["supersedes"].sum())
    batch.lines_done += outcomes.height
    batch.chunks_done += 1
    batch.tries = 0
    count_work(call, batch, lines=outcomes.height)
    batch.leased_until = call.now + LEASE


_UNSETTLED = "batch_id = %(batch)s AND (file_no, line_no) > (1, %(settled)s)"
_BEHIND = (
    f"SELECT file_no, line_no FROM activity WHERE {_UNSETTLED}"  # noqa: S608 - our own text
    " UNION ALL SELECT l.file_no, n FROM activity_batch_line l"
    " CROSS JOIN LATERAL generate_series(l.line_no - l.lines + 1, l.line_no) n"
    f" WHERE {_UNSETTLED} AND (l.file_no, n) > (1, %(settled)s)"
)
