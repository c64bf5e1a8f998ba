"""The job queue in PostgreSQL (procrastinate) as our workers use it.

What a run does is safe without the queue. So the queue's own rows need not survive a crash of the machine,
and are written without waiting for the disk. But a job that stays `doing` holds its lock, and keeps its task
from ever running again: so the end of a run is written until it is written, and each worker looks after
what the dead were doing, beside its jobs rather than as one of them.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import procrastinate
import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg.errors import RaiseException
from sqlalchemy.engine import make_url

from app.factory import Product
from app.schedule import SCHEDULE, Queue, Scheduled, Stop
from kernel.clock import SystemClock
from kernel.database import APP_ROLE

DEAD_AFTER_S = 20
"""A worker that has not been heard of for so long is dead; what it was doing has failed."""
LOOK_AFTER_S = 10
LATEST_S = 36 * 3600
"""A run missed by less than this, such as the night's on a machine that slept, is made up at the start."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Between one attempt and the next at what the database did not take."""
_QUEUE_OPTIONS = (
    f"-c role={APP_ROLE}",
    "-c search_path=jobs",
    "-c timezone=UTC",
    "-c synchronous_commit=off",
    "-c lock_timeout=5000",
    "-c statement_timeout=10000",
)
log = structlog.get_logger("worker")


class _UntilWritten(JobManager):
    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - its name
        """Write how a run ended, as often as it takes: its worker lives on, so nobody else would."""
        pause = SHORTEST_PAUSE_S
        while True:
            try:
                return await super().finish_job(job, status, delete_job)
            except ConnectorException as error:
                if isinstance(error.__cause__, RaiseException):
                    return (
                        None  # the queue says that the job has ended: an attempt arrived, or others ended it
                    )
                log.warning("end_not_written", task=job.task_name, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


def queue_of(product: Product, stop: Stop, which: Queue) -> procrastinate.App:
    """The queue with its part of the schedule.

    It knows the tasks of the other queues too, without their times: an older version that is still at work
    beside this one puts what is due under the name that it knows.
    """
    url = make_url(product.settings.database_url).set(drivername="postgresql")
    connector = procrastinate.PsycopgConnector(
        conninfo=url.render_as_string(hide_password=False),
        kwargs={"options": " ".join(_QUEUE_OPTIONS), "connect_timeout": 5},
        min_size=1,
        max_size=3,
        timeout=3,
    )
    queue = procrastinate.App(connector=connector, periodic_defaults={"max_delay": LATEST_S})
    queue.job_manager = _UntilWritten(connector)
    for item in SCHEDULE:
        task = queue.task(
            name=item.name,
            queue=item.queue.value,
            priority=item.priority,
            lock=item.name,  # one at a time
            queueing_lock=item.name,  # and at most one that waits
        )(_logged(item, product, stop))
        if item.queue is which:
            queue.periodic(cron=item.cron)(task)
    return queue


def _logged(item: Scheduled, product: Product, stop: Stop) -> Callable[[int], int]:
    """One run of `item`: a line when it did something or failed, never an error's own words."""

    def run(timestamp: int) -> int:
        began = time.monotonic()
        lateness_s = int(SystemClock().now().timestamp()) - timestamp
        try:
            done = item.run(product, stop)
        except Exception as error:
            level = log.warning if stop.asked.is_set() else log.error
            level("run_failed", task=item.name, error=type(error).__name__, ms=_ms(began))
            raise
        if done:
            log.info("ran", task=item.name, done=done, ms=_ms(began), late_s=lateness_s)
        return done

    return run


def _ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


async def come_home(queue: procrastinate.App) -> None:
    """Put what waits where another version of the schedule has put it into the queue that it belongs to."""
    homes = {item.name: item.queue.value for item in SCHEDULE}
    await queue.connector.execute_query_async(_COME_HOME, homes=homes)


async def mend(queue: procrastinate.App, which: Queue) -> int:
    """Call failed what dead workers were doing in this queue, so that it may run again; how many jobs."""
    rows = await queue.connector.execute_query_all_async(_MEND, seconds=DEAD_AFTER_S, queue=which.value)
    return len(rows)


async def keep_mending(queue: procrastinate.App, which: Queue) -> None:
    """Look after what dead workers were doing, again and again, until cancelled."""
    while True:
        try:
            mended = await mend(queue, which)
        except ConnectorException:
            mended = 0  # the queue's worker sees it too, and says so
        if mended:
            log.warning("mended", queue=which.value, jobs=mended)
        await asyncio.sleep(LOOK_AFTER_S)


# What waits under the name of another queue, since another version has put it there, would hold up its
# task for as long as that queue is busy: only one of a name may wait. Nor is it taken from there.
_COME_HOME: Final = (
    "UPDATE procrastinate_jobs SET queue_name = home.value FROM jsonb_each_text(%(homes)s) home"
    " WHERE status = 'todo' AND task_name = home.key AND queue_name <> home.value"
)
# By the queue's own function and clock; what another worker is mending at this moment is left to it.
_MEND: Final = (
    "SELECT procrastinate_finish_job_v1(dead.id, 'failed', false) FROM ("
    "SELECT j.id FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id"
    " WHERE j.status = 'doing' AND j.queue_name = %(queue)s"
    " AND (w.id IS NULL OR w.last_heartbeat < now() - make_interval(secs => %(seconds)s))"
    " FOR UPDATE OF j SKIP LOCKED) dead"
)
