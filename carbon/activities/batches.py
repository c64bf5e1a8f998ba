"""Workers take uploaded batches one after another, each batch by one worker at a time, partners by turns.

A turn is a lease on the row: taken by a conditional look that skips rows in other hands, renewed by every
chunk, over when it is not renewed. A worker that died is followed by the next, which takes the lines that
are left; a worker that was only slow finds the lease gone and commits nothing. A batch whose partner had its
time while another waits is put down, and so is one that is refused by no fault of its file, as by a busy
database, a suspended partner or a rule that nobody published: it waits, and no try is counted.
"""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import or_, select

from carbon.activities.adapters.errors import FileRefused
from carbon.activities.batch_records import BATCH, locked_batch, move
from carbon.activities.batch_states import State
from carbon.activities.errors import BatchAbandoned, BatchTaken, UploadLost
from carbon.activities.fairness import PACE, Pace, Reading, Stay, another_waits, next_batch, note_service
from carbon.activities.imports import read_frames
from carbon.activities.intake import Intake
from carbon.activities.progress import begin_work, end_work
from carbon.activities.put_down import written_reason
from carbon.activities.tables import ActivityBatch
from carbon.activities.turns import LANES, LEASE, Run, Turn, work_through
from carbon.activities.uploads import discard, left_behind
from carbon.partners.errors import PartnerSuspended
from kernel.call import Call
from kernel.errors import Busy, Kind, Refusal, require
from kernel.identifiers import new_id, public_id

TRIES_MAX = 5
"""Turns without a finished chunk; a file that kills its worker must not do so for ever."""
MOST_BATCHES = 100
BUSY_PAUSE = timedelta(seconds=5)
"""How long a batch waits after it met rows that others held."""
OPERATOR_PAUSE = timedelta(minutes=5)
"""How long it waits after a refusal that somebody has to mend, such as a rule to be published."""
ENDS_THE_BATCH = (FileRefused, UploadLost, BatchAbandoned)
"""What is final: the file is at fault, is gone, or was tried too often.

All else lets the batch wait. That is the safer side for a refusal that nobody thought of: to wait loses
nothing, the partner and operators read why, and a batch of which no line is taken can be called off. To fail
throws away the upload, halfway through the file perhaps, for what may be over tomorrow.
"""
ORPHAN_AGE = timedelta(days=1)
"""No upload takes so long; what no batch names after it was left by a process that died."""
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class _Job:
    turn: Turn
    adapter: str
    tries: int
    spool: str
    stations_spool: str | None


class _PutDown(Exception):  # noqa: N818 - nothing is wrong
    """Between two chunks: the worker was asked to stop, or it is another partner's turn."""


GoOn = Callable[[Reading], None]
"""What is asked between two chunks of a batch; raises _PutDown."""


def take_waiting_batches(
    run: Run,
    *,
    card_secret: bytes,
    uploads: Path,
    keep_on: Callable[[], bool] = lambda: True,
    most: int = MOST_BATCHES,
    chunk_lines: int | None = None,
    lanes: int = LANES,
    pace: Pace = PACE,
) -> int:
    """Import what partners uploaded to the folder `uploads`; returns how many batches came to their end.

    Any number of workers may call this at once. `keep_on` is asked before each batch and between chunks:
    once it says no, the batch in hand is put down for the next caller; `pace` says when it is put down for
    another partner. At most `most` are taken up. Chunks have `chunk_lines`, or as many as the hour allows. A
    bug or a lost database raises; the batch is taken up again when its lease is over.
    """

    def take(rather: UUID | None) -> _Job | None:
        return run(lambda call: _take_one(call, card_secret, chunk_lines, lanes, rather=rather))

    finished = 0
    stay: Stay | None = None
    for _ in range(most):
        mine = None if stay is None or stay.is_over() else stay.partner_id
        job = take(mine) if keep_on() else None
        if job is None:
            break
        if stay is None or job.turn.intake.partner_id != mine:
            stay = Stay.begun(job.turn.intake.partner_id, pace)
        finished += _import(run, job, uploads, _asking(run, keep_on, stay, pace))
    _sweep(run, uploads)
    return finished


def _asking(run: Run, keep_on: Callable[[], bool], stay: Stay, pace: Pace) -> GoOn:
    def go_on(reading: Reading) -> None:
        if not keep_on():
            raise _PutDown("put down")
        if stay.is_over() and reading.is_worth(pace.readings) and run(another_waits):
            raise _PutDown("put down for another partner")

    return go_on


def _take_one(
    call: Call, card_secret: bytes, chunk_lines: int | None, lanes: int, *, rather: UUID | None
) -> _Job | None:
    """Lease the batch whose turn it is."""
    batch = next_batch(call, rather=rather)
    if batch is None or batch.spool is None:
        return None
    was_cut_off = batch.state == State.RUNNING
    move(call, batch, State.RUNNING, reason="taken up again" if was_cut_off else "taken up")
    batch.lease, batch.leased_until = new_id(), call.now + LEASE
    batch.tries += 1
    begin_work(call, batch)
    note_service(call, batch)
    turn = Turn(
        batch_id=batch.id,
        intake=Intake(partner_id=batch.partner_id, card_secret=card_secret, batch_id=batch.id),
        content_lines=batch.content_lines,
        lines_done=batch.lines_done,
        settled_line=batch.settled_line or 0,
        lease=batch.lease,
        chunk_lines=chunk_lines,
        lanes=lanes,
    )
    return _Job(
        turn=turn,
        adapter=batch.adapter,
        tries=batch.tries,
        spool=batch.spool,
        stations_spool=batch.stations_spool,
    )


def _import(run: Run, job: _Job, uploads: Path, go_on: GoOn) -> bool:
    """Work on a leased batch; whether it came to its end."""
    try:
        failure = _failure(run, job, uploads, go_on)
        run(lambda call: _end(call, job, failure))
    except _PutDown as why:
        reason = str(why)
        run(lambda call: _put_down(call, job, reason=reason))
        return False
    except BatchTaken:
        return False
    except Refusal as refusal:
        reason, pause = written_reason(refusal), _pause_after(refusal)
        if pause == OPERATOR_PAUSE:
            _log.warning("batch_waits", batch=public_id(BATCH, job.turn.batch_id), refusal=refusal.code)
        with suppress(Busy):  # then the lease runs out
            run(lambda call: _put_down(call, job, reason=reason, pause=pause))
        return False
    # After the commit: until then the file is what a cut-off batch goes on with.
    discard(uploads, job.spool)
    discard(uploads, job.stations_spool)
    return True


def _failure(run: Run, job: _Job, uploads: Path, go_on: GoOn) -> Refusal | None:
    """Take the lines; what refuses the batch as a whole, or None. Raises what says nothing about it."""
    try:
        _read_and_take(run, job, uploads, go_on)
    except Refusal as refusal:
        if isinstance(refusal, ENDS_THE_BATCH):
            return refusal
        raise
    return None


def _pause_after(refusal: Refusal) -> timedelta:
    """Nobody takes a suspended partner's batches up; once it is let in again they need not wait longer."""
    soon_over = refusal.kind is Kind.UNAVAILABLE or isinstance(refusal, PartnerSuspended)
    return BUSY_PAUSE if soon_over else OPERATOR_PAUSE


def _read_and_take(run: Run, job: _Job, uploads: Path, go_on: GoOn) -> None:
    require(job.tries <= TRIES_MAX, BatchAbandoned())
    reading = Reading()
    try:
        stations = b"" if job.stations_spool is None else (uploads / job.stations_spool).read_bytes()
        content = (uploads / job.spool).open("rb")
    except FileNotFoundError as error:
        raise UploadLost from error
    with content:
        settled = job.turn.settled_line
        with closing(
            read_frames(content, adapter=job.adapter, stations=stations, after_line=settled)
        ) as frames:
            work_through(run, reading.noting(frames), job.turn, between_chunks=lambda: go_on(reading))


def _end(call: Call, job: _Job, failure: Refusal | None) -> None:
    """Close a batch at the end of its turn; refuses BatchTaken."""
    batch = locked_batch(call, job.turn.batch_id)
    require(batch.lease == job.turn.lease and batch.state == State.RUNNING, BatchTaken())
    note_service(call, batch)
    end_work(call, batch)
    batch.lease = batch.leased_until = batch.spool = batch.stations_spool = None
    if failure is None:
        move(call, batch, State.DONE, reason="every line was taken")
        return
    batch.failure, batch.failure_pointer = failure.code, failure.pointer
    batch.failure_detail = failure.detail or None
    move(call, batch, State.FAILED, reason=failure.code)


def _put_down(call: Call, job: _Job, *, reason: str, pause: timedelta = timedelta(microseconds=-1)) -> None:
    """End the turn early, so that nobody has to wait for the lease, and count no try."""
    batch = locked_batch(call, job.turn.batch_id)
    if batch.lease == job.turn.lease and batch.state == State.RUNNING:
        # What is still under way for the turn finds the lease gone, as after another's turn began.
        batch.lease, batch.leased_until = new_id(), call.now + pause
        batch.tries = max(0, batch.tries - 1)
        end_work(call, batch)
        note_service(call, batch)
        move(call, batch, State.RUNNING, reason=reason)


def _sweep(run: Run, uploads: Path) -> None:
    """Delete files that no batch names and no upload is still writing."""
    now: datetime = run(lambda call: call.now)
    old = set(left_behind(uploads, older_than=int((now - ORPHAN_AGE).timestamp())))
    if old:
        for name in old - run(_named):
            discard(uploads, name)


def _named(call: Call) -> set[str]:
    rows = call.db.execute(
        select(ActivityBatch.spool, ActivityBatch.stations_spool).where(
            or_(ActivityBatch.spool.is_not(None), ActivityBatch.stations_spool.is_not(None))
        )
    ).all()
    return {name for row in rows for name in row if name is not None}
