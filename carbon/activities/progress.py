"""How fast a batch goes and how long the rest of it takes, by the time in which somebody worked on it.

Time is counted with the lines and under the same lock, up to the moment at which the work that took them
began; what passed since then is known to whoever asks, while the lease lasts. So no batch looks slow for
having waited: for its turn, or for the next worker after one that died. A running batch has the pace of
late, because lines sent again take a tenth of the time of new ones.
"""

from datetime import timedelta

from carbon.activities.batch_states import State
from carbon.activities.tables import ActivityBatch
from kernel.call import Call

RECENT_MS = 30_000
"""Of work, as in the bar of the command line; when they are full, what is older than half of them fades."""
_MILLISECOND = timedelta(milliseconds=1)


def begin_work(call: Call, batch: ActivityBatch) -> None:
    """Somebody has the locked batch in hand from now on; what another did not come to count is lost."""
    if batch.started_at is None:
        batch.started_at, batch.worked_ms = call.now, 0
    batch.working_since = call.now


def count_work(call: Call, batch: ActivityBatch, *, lines: int) -> None:
    """Add lines of the locked batch, and the time that passed before the work that took them.

    Lanes work side by side: what passed is added once, by whichever comes first.
    """
    passed_ms = _ms_since_counted(call, batch)
    if batch.working_since is not None:
        batch.working_since += passed_ms * _MILLISECOND
    if batch.worked_ms is not None:
        batch.worked_ms += passed_ms
    batch.recent_ms += passed_ms
    # Before the lines are added: they came out of the time that is still to be counted.
    if batch.recent_ms >= RECENT_MS:
        batch.recent_ms, batch.recent_lines = batch.recent_ms // 2, batch.recent_lines // 2
    batch.recent_lines += lines


def end_work(call: Call, batch: ActivityBatch) -> None:
    """Count the last of it: nobody has the locked batch in hand from now on."""
    count_work(call, batch, lines=0)
    batch.working_since = None


def lines_per_second(call: Call, batch: ActivityBatch) -> int | None:
    """Lines a second of work, rounded down: of late, or of the whole once it ended; None until known."""
    lines, work_ms = _pace(call, batch)
    return lines * 1_000 // work_ms if lines and work_ms else None


def seconds_left(call: Call, batch: ActivityBatch) -> int | None:
    """Seconds of work that the rest of a running batch takes at its pace, rounded up; None where unknown."""
    lines, work_ms = _pace(call, batch)
    if batch.state != State.RUNNING or batch.content_lines is None or not lines or not work_ms:
        return None
    lines_left = max(0, batch.content_lines - batch.lines_done)
    return -(-lines_left * work_ms // (lines * 1_000))


def _pace(call: Call, batch: ActivityBatch) -> tuple[int, int]:
    """So many lines in so many milliseconds of work; 0 of either where that is not known."""
    if batch.state == State.RUNNING:
        is_in_hand = batch.leased_until is not None and batch.leased_until >= call.now
        since_ms = _ms_since_counted(call, batch) if is_in_hand else 0
        return batch.recent_lines, batch.recent_ms + since_ms
    return batch.lines_done, batch.worked_ms or 0


def _ms_since_counted(call: Call, batch: ActivityBatch) -> int:
    if batch.working_since is None:
        return 0
    return max(0, (call.now - batch.working_since) // _MILLISECOND)
