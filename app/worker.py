"""The process behind the requests: it does what `schedule.py` lists, through a job queue in PostgreSQL.

The queue (`job_queue.py`) decides which of several workers runs what, and remembers. When PostgreSQL goes
away the worker waits and begins again.

Each queue of the schedule is worked by a worker of procrastinate of its own, with places, connections and a
clock of its own that says what is due in it; all of them run in this one process. So neither a long piece
of work nor trouble in one queue keeps the other from its work.
"""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import procrastinate
import structlog
from croniter import croniter  # type: ignore[import-untyped]  # it ships no types
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.factory import Product
from app.job_queue import DEAD_AFTER_S, LONGEST_PAUSE_S, SHORTEST_PAUSE_S, come_home, keep_mending, queue_of
from app.schedule import SCHEDULE, Queue, Scheduled, Stop
from kernel.clock import SHANGHAI

AT_ONCE = {Queue.PROMPT: 5, Queue.LONG: 2}
"""Runs at the same time, in threads. One place more than there are prompt tasks that may take over ten
seconds, so that a quick one never waits for them; and no more in all than eight connections serve."""
_SPARE_THREADS = 3
"""For what interrupts the runs and looks up hosts while every place is taken."""
HEARTBEAT_S = 5
PATIENCE_S = 3
"""After so long a stop interrupts the statements that still run, and after as long again it gives up."""
log = structlog.get_logger("worker")


def work_until_stopped(product: Product) -> None:
    """Work until SIGTERM or Ctrl-C; returns once what ran has ended or was interrupted."""
    logging.basicConfig(level=logging.WARNING, handlers=[_JsonLines()], force=True)
    asyncio.run(_work(product))


async def _work(product: Product) -> None:
    stop, asked = Stop(), asyncio.Event()

    def ask() -> None:
        stop.asked.set()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ask)
    log.info("working", tasks=len(SCHEDULE), at_once=sum(AT_ONCE.values()))
    await work_queues(product, stop, asked)
    log.info("stopped")


async def work_queues(product: Product, stop: Stop, asked: asyncio.Event) -> None:
    """Work every queue until `asked`, each by itself."""
    # The loop's own threads are as many as the machine's cores make them, which may be fewer than places.
    threads = ThreadPoolExecutor(sum(AT_ONCE.values()) + _SPARE_THREADS, thread_name_prefix="run")
    asyncio.get_running_loop().set_default_executor(threads)
    async with asyncio.TaskGroup() as group:
        for which in Queue:
            group.create_task(_keep_working(product, which, stop, asked))


async def _keep_working(product: Product, which: Queue, stop: Stop, asked: asyncio.Event) -> None:
    pause = SHORTEST_PAUSE_S
    while not asked.is_set():
        began = time.monotonic()
        shift = asyncio.create_task(_shift(queue_of(product, stop, which), which))
        await _either(shift, asked)
        if asked.is_set():
            await _wind_up(shift, stop)
            break
        error = shift.exception()
        why = type(error).__name__ if error else "ended"
        log.warning("queue_lost", queue=which.value, error=why, again_in_s=pause)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), pause)
        worked = time.monotonic() - began > LONGEST_PAUSE_S
        pause = SHORTEST_PAUSE_S if worked else min(2 * pause, LONGEST_PAUSE_S)


async def _shift(queue: procrastinate.App, which: Queue) -> None:
    async with queue.open_async():
        await come_home(queue)
        mending = asyncio.create_task(keep_mending(queue, which))
        try:
            await queue.run_worker_async(
                queues=[which.value],
                concurrency=AT_ONCE[which],
                install_signal_handlers=False,
                delete_jobs="successful",  # a job that failed stays to be seen
                fetch_job_polling_interval=2,
                update_heartbeat_interval=HEARTBEAT_S,
                stalled_worker_timeout=DEAD_AFTER_S,
            )
        finally:
            mending.cancel()


async def _either(shift: asyncio.Task[None], asked: asyncio.Event) -> None:
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({shift, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _wind_up(shift: asyncio.Task[None], stop: Stop) -> None:
    """Let what runs end; interrupt it when it takes too long."""
    shift.cancel()
    _, running = await asyncio.wait({shift}, timeout=PATIENCE_S)
    if running:
        await asyncio.to_thread(stop.interrupt)
        await asyncio.wait({shift}, timeout=PATIENCE_S)
    with contextlib.suppress(asyncio.CancelledError, Exception):
        shift.result()


class _JsonLines(logging.Handler):
    """Other people's warnings as our lines: what happened and in which class, not the words around it."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        log.warning(
            "library",
            logger=record.name,
            action=getattr(record, "action", None) or record.funcName,
            error=error.__name__ if error else None,
        )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a line of the schedule stands: its last run, how that ended, its next run, failures kept."""

    item: Scheduled
    last: datetime | None
    outcome: str
    failures: int
    next: datetime


def standings(session: Session, now: datetime) -> Iterator[Standing]:
    """What the queue remembers of each line of the schedule."""
    known = {row.name: row for row in session.execute(_STANDING)}
    for item in SCHEDULE:
        row = known.get(item.name)
        upcoming = croniter(item.cron, now.timestamp()).get_next(float)
        yield Standing(
            item=item,
            last=datetime.fromtimestamp(row.last, UTC) if row and row.last is not None else None,
            outcome=_outcome(row),
            failures=row.failures if row else 0,
            next=datetime.fromtimestamp(upcoming, UTC),
        )


def _outcome(row: Any) -> str:
    if row is None or row.last is None:
        return "never ran"
    # A job that succeeded is deleted at once.
    return {None: "done", "todo": "waits", "doing": "runs"}.get(row.status, str(row.status))


def show_schedule(product: Product) -> None:
    """Print the schedule as a table, in Shanghai time."""
    now = product.door.clock.now()
    with product.door.sessions() as session:
        alive = session.execute(_ALIVE, {"seconds": DEAD_AFTER_S, "queues": len(Queue)}).scalar_one()
        rows = list(standings(session, now))
    table = Table(title=f"{alive} worker{'' if alive == 1 else 's'} at work", box=None, title_justify="left")
    for heading in ("task", "last run", "ended", "failed", "next run", "what it does"):
        table.add_column(heading, no_wrap=heading != "what it does")
    for row in rows:
        last = _shown(row.last) if row.last else "-"
        table.add_row(
            row.item.name, last, row.outcome, str(row.failures or "-"), _shown(row.next), row.item.says
        )
    Console().print(table)


def _shown(instant: datetime) -> str:
    return instant.astimezone(SHANGHAI).strftime("%m-%d %H:%M:%S")


_STANDING = text(
    "SELECT n.name, d.defer_timestamp AS last, CAST(j.status AS text) AS status,"
    " coalesce(f.failures, 0) AS failures"
    " FROM (SELECT task_name AS name FROM jobs.procrastinate_periodic_defers UNION"
    " SELECT task_name FROM jobs.procrastinate_jobs WHERE status = 'failed') n"
    " LEFT JOIN jobs.procrastinate_periodic_defers d ON d.task_name = n.name"
    " LEFT JOIN jobs.procrastinate_jobs j ON j.id = d.job_id"
    " LEFT JOIN (SELECT task_name, count(*) AS failures FROM jobs.procrastinate_jobs"
    " WHERE status = 'failed' GROUP BY task_name) f ON f.task_name = n.name"
)
# A process counts as one: it works all queues, and one of them may just be beginning again.
_ALIVE = text(
    "SELECT (count(*) + :queues - 1) / :queues FROM jobs.procrastinate_workers"
    " WHERE last_heartbeat >= now() - make_interval(secs => :seconds)"
)
