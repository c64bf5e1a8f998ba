"""Long work never stands in the way of prompt work, whatever is due and whichever version put it there."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any

import procrastinate
import pytest
from sqlalchemy import text

from app import job_queue, worker
from app.commands import add_commands
from app.factory import Product
from app.job_queue import DEAD_AFTER_S, mend, queue_of
from app.schedule import SCHEDULE, Queue, Scheduled, Stop, Turn
from app.worker import AT_ONCE, work_queues
from kernel.database import create_engine
from tests.conftest import Database

EACH_SECOND = "* * * * * *"
QUICK_S = 10
"""What is over by then keeps nobody waiting."""
LONG = {item.name for item in SCHEDULE if item.queue is Queue.LONG}
SLOW = {item.name for item in SCHEDULE if item.queue is Queue.PROMPT and item.seconds > QUICK_S}
QUICK = {item.name for item in SCHEDULE} - LONG - SLOW

LAST_WORDS_ARE_LOST = """
CREATE OR REPLACE FUNCTION jobs.no_end() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'gone' USING ERRCODE = 'admin_shutdown'; END $$;
CREATE TRIGGER no_end BEFORE DELETE ON jobs.procrastinate_jobs FOR EACH ROW
EXECUTE FUNCTION jobs.no_end()
"""


@dataclass
class Runs:
    """What runs of the schedule: what is slow or long stays inside until it is let go."""

    go: threading.Event = field(default_factory=threading.Event)
    ended: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def schedule(self) -> tuple[Scheduled, ...]:
        """The true one, all of it due each second, with this for its work."""
        return tuple(replace(item, cron=EACH_SECOND, work=partial(self._run, item.name)) for item in SCHEDULE)

    def _run(self, name: str, _: Turn) -> int:
        with self._lock:
            self.inside[name] += 1
        if name not in QUICK:
            assert self.go.wait(120)
        with self._lock:
            self.inside[name] -= 1
            self.ended[name] += 1
        return 0

    def now_inside(self, among: set[str]) -> set[str]:
        with self._lock:
            assert max(self.inside.values(), default=0) <= 1, "one at a time of each"
            return {name for name in among if self.inside[name]}

    def quick_ones_go_on(self) -> None:
        """Each of them runs twice more."""
        before = Counter(self.ended)
        until(lambda: all(self.ended[name] > before[name] + 1 for name in QUICK))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(job_queue, "SCHEDULE", made.schedule())
    return made


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def working(product: Product, runs: Runs) -> Iterator[None]:
    """A worker in this process, told to stop at the end."""
    begun: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()
    stop = Stop()

    async def work() -> None:
        asked = asyncio.Event()
        begun.put((asyncio.get_running_loop(), asked))
        await work_queues(product, stop, asked)

    with ThreadPoolExecutor(1) as aside:
        ended = aside.submit(asyncio.run, work())
        loop, asked = begun.get(timeout=30)
        try:
            yield
        finally:
            runs.go.set()
            stop.asked.set()
            loop.call_soon_threadsafe(asked.set)
            ended.result(60)


def put(database: Database, name: str, *, lock: str | None) -> int:
    """A job that waits under the name of the one queue of before."""
    with database.sessions.begin() as session:
        session.execute(text("SET LOCAL search_path TO jobs"))
        return int(
            session.execute(
                text(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args)"
                    """ VALUES ('schedule', :name, :lock, :lock, '{"timestamp": 0}') RETURNING id"""
                ),
                {"name": name, "lock": lock},
            ).scalar_one()
        )


def as_owner(database: Database, statement: str) -> None:
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()


def jobs(database: Database) -> dict[int, Any]:
    found = database.rows(
        "SELECT id, task_name, queue_name, CAST(status AS text) AS status FROM jobs.procrastinate_jobs"
    )
    return {row.id: row for row in found}


def among(database: Database, numbers: Collection[int]) -> list[Any]:
    return [row for number, row in jobs(database).items() if number in numbers]


def test_quick_work_goes_on_while_all_that_may_take_long_takes_its_time(
    product: Product, database: Database, runs: Runs
) -> None:
    with working(product, runs):
        until(lambda: runs.now_inside(SLOW) == SLOW and len(runs.now_inside(LONG)) == AT_ONCE[Queue.LONG])
        until(lambda: {row.task_name for row in jobs(database).values()} >= LONG)  # the others wait
        runs.quick_ones_go_on()
        assert len(runs.now_inside(LONG)) == AT_ONCE[Queue.LONG]
        runs.go.set()
        until(lambda: all(runs.ended[name] for name in LONG | SLOW))
    assert "failed" not in {row.status for row in jobs(database).values()}
    assert database.rows("SELECT count(*) AS n FROM jobs.procrastinate_workers")[0].n == 0


def test_what_waits_from_the_version_with_one_queue_waits_in_its_own_and_holds_up_nothing(
    product: Product, database: Database, runs: Runs
) -> None:
    old = {put(database, item.name, lock=item.name): item for item in SCHEDULE}
    with working(product, runs):
        until(lambda: runs.now_inside(SLOW) == SLOW and len(runs.now_inside(LONG)) == AT_ONCE[Queue.LONG])
        left = among(database, old)
        assert {row.task_name for row in left} >= LONG
        assert all(row.queue_name == old[row.id].queue for row in left)
        runs.quick_ones_go_on()
        runs.go.set()
        until(lambda: not among(database, old))  # what succeeded is deleted


def test_what_an_older_version_beside_this_one_puts_into_its_queue_is_done(
    product: Product, database: Database, runs: Runs
) -> None:
    runs.go.set()
    with working(product, runs):
        until(lambda: all(runs.ended[name] for name in QUICK))
        late = [put(database, name, lock=None) for name in sorted(LONG)]
        until(lambda: not {row.status for row in among(database, late)} & {"todo", "doing"})
    assert among(database, late) == []  # what succeeded is deleted


def test_each_line_is_put_into_its_queue_by_the_worker_of_that_queue_alone(product: Product) -> None:
    put_by = {
        which: {name for name, _ in queue_of(product, Stop(), which).periodic_registry.periodic_tasks}
        for which in Queue
    }
    assert put_by == {Queue.LONG: LONG, Queue.PROMPT: SLOW | QUICK}


def test_trouble_in_one_queue_does_not_stop_the_other(
    product: Product, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Queue] = []
    sound = worker._shift

    async def shift(queue: procrastinate.App, which: Queue) -> None:
        begun.append(which)
        if which is Queue.LONG:
            raise ConnectionError
        await sound(queue, which)

    monkeypatch.setattr(worker, "_shift", shift)
    with working(product, runs):
        until(lambda: begun.count(Queue.LONG) > 1)
        runs.quick_ones_go_on()
    assert begun.count(Queue.PROMPT) == 1


def test_runs_whose_end_could_not_be_written_begin_again_once_it_can(
    product: Product, database: Database, runs: Runs
) -> None:
    runs.go.set()
    with working(product, runs):
        runs.quick_ones_go_on()
        as_owner(database, LAST_WORDS_ARE_LOST)
        # Each of them keeps its place meanwhile.
        until(lambda: [row.status for row in jobs(database).values()].count("doing") >= AT_ONCE[Queue.PROMPT])
        as_owner(database, "DROP TRIGGER no_end ON jobs.procrastinate_jobs")
        runs.quick_ones_go_on()
        assert "failed" not in {row.status for row in jobs(database).values()}


def test_runs_that_others_called_failed_meanwhile_give_their_places_back(
    product: Product, database: Database, runs: Runs
) -> None:
    with working(product, runs):
        until(lambda: len(runs.now_inside(LONG)) == AT_ONCE[Queue.LONG])
        with database.sessions.begin() as session:
            session.execute(text("SET LOCAL search_path TO jobs"))
            session.execute(text("UPDATE procrastinate_jobs SET status = 'failed' WHERE status = 'doing'"))
        runs.go.set()
        until(lambda: all(runs.ended[name] for name in LONG))


def doing(database: Database, name: str, which: Queue, *, heard_of_s: int | None) -> None:
    """A job that a worker is doing that was heard of so long ago; None for one whose worker signed off."""
    with database.sessions.begin() as session:
        session.execute(text("SET LOCAL search_path TO jobs"))
        session.execute(
            text(
                "WITH w AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                " SELECT now() - make_interval(secs => :ago) WHERE CAST(:ago AS integer) IS NOT NULL"
                " RETURNING id)"
                " INSERT INTO procrastinate_jobs (queue_name, task_name, lock, status, worker_id)"
                " SELECT :queue, CAST(:name AS text), CAST(:name AS text),"
                " CAST('doing' AS procrastinate_job_status), (SELECT id FROM w)"
            ),
            {"ago": heard_of_s, "queue": which.value, "name": name},
        )


def test_what_a_dead_worker_was_doing_has_failed_and_the_living_are_left_alone(
    product: Product, database: Database
) -> None:
    queue = queue_of(product, Stop(), Queue.PROMPT)
    doing(database, "living", Queue.PROMPT, heard_of_s=0)
    doing(database, "dead", Queue.PROMPT, heard_of_s=60)
    doing(database, "forgotten", Queue.PROMPT, heard_of_s=None)
    doing(database, "another's", Queue.LONG, heard_of_s=60)

    async def mended() -> list[int]:
        async with queue.open_async():
            return [await mend(queue, Queue.PROMPT) for _ in range(2)]

    assert asyncio.run(mended()) == [2, 0]
    assert {row.task_name: row.status for row in jobs(database).values()} == {
        "dead": "failed",
        "forgotten": "failed",
        "living": "doing",
        "another's": "doing",
    }


def test_whatever_a_killed_worker_was_doing_begins_again(
    product: Product, database: Database, runs: Runs
) -> None:
    for item in SCHEDULE:
        doing(database, item.name, item.queue, heard_of_s=DEAD_AFTER_S - 3)
    runs.go.set()
    with working(product, runs):
        until(lambda: set(runs.ended) == {item.name for item in SCHEDULE})


@pytest.mark.parametrize(
    ("rows", "said"), [(1, "1 worker at work"), (2, "1 worker at work"), (3, "2 workers"), (4, "2 workers")]
)
def test_a_process_is_shown_as_one_worker_though_it_works_two_queues(
    product: Product, database: Database, rows: int, said: str
) -> None:
    with database.sessions.begin() as session:
        for seconds in (0, 60):  # the living, and as many dead
            session.execute(
                text(
                    "INSERT INTO jobs.procrastinate_workers (last_heartbeat)"
                    " SELECT now() - make_interval(secs => :seconds) FROM generate_series(1, :rows)"
                ),
                {"seconds": seconds, "rows": rows},
            )
    add_commands(product)
    shown = product.flask.test_cli_runner().invoke(args=["schedule"])
    assert shown.output.startswith(said)
