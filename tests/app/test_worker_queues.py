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

from app import worker
from app.commands import add_commands
from app.factory import Product
from app.schedule import SCHEDULE, Queue, Scheduled, Stop, Turn
from app.worker import AT_ONCE, queue_of, work_queues
from tests.conftest import Database

EACH_SECOND = "* * * * * *"
QUICK_S = 10
"""What is over by then keeps nobody waiting."""
LONG = {item.name for item in SCHEDULE if item.queue is Queue.LONG}
SLOW = {item.name for item in SCHEDULE if item.queue is Queue.PROMPT and item.seconds > QUICK_S}
QUICK = {item.name for item in SCHEDULE} - LONG - SLOW


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
    monkeypatch.setattr(worker, "SCHEDULE", made.schedule())
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
