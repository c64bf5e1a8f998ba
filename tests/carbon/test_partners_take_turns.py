"""One partner's files do not keep another's waiting; who is alone is not slowed, and nothing is lost."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.factory import Product
from carbon.activities.batches import BUSY_PAUSE, TRIES_MAX
from carbon.activities.fairness import PACE, Pace, Reading
from carbon.activities.turns import LEASE
from carbon.partners.registry import register_partner, suspend
from kernel.call import Call
from kernel.errors import Busy
from tests.carbon.city import City
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson, rides
from tests.carbon.test_batches import Killed
from tests.conftest import NOW, REGION, Database

AT_ONCE = Pace(seconds=0, readings=0)
"""Whoever waits is served after the chunk in hand."""
CHUNK = 5


@pytest.fixture
def first(product: Product, database: Database, tmp_path: Path) -> Partner:
    return make_partner(product, database, tmp_path / "uploads")


@pytest.fixture
def second(first: Partner) -> Partner:
    return another(first, "demo water")


def another(partner: Partner, name: str) -> Partner:
    """Another partner of the same city, with a card of its own."""

    def registered(call: Call) -> City:
        made = register_partner(call, name=name, region_id=REGION)
        city = City(made.partner.id, made.api_key)
        city.bind(call, ["card-017"])
        return city

    return Partner(partner.product, partner.database, partner.database.run(registered), partner.uploads)


def upload(partner: Partner, reference: str, lines: int) -> None:
    """A file of rides of the partner's own; each reference has its own events."""
    body = b"".join(rides(1, source_event_id=f"{reference}-{line}") for line in range(lines))
    assert partner.upload(partner.open(reference).json["id"], body).status_code == 200


@dataclass
class Worker:
    """One worker's units of work: at moments that pass, and with what is to happen before some of them."""

    partner: Partner
    now: datetime = NOW
    before_chunk: dict[int, Callable[[], Any]] = field(default_factory=dict)
    chunks: int = 0
    units: int = 0
    killed_at: int | None = None

    def __call__(self, work: Callable[[Call], Any]) -> Any:
        self.now += timedelta(milliseconds=10)
        if self.units == self.killed_at:
            raise Killed
        self.units += 1
        if "_piece_work" in work.__qualname__:
            self.chunks += 1
            self.before_chunk.pop(self.chunks, lambda: None)()
        return self.partner.database.run(work, now=self.now)

    def work(self, pace: Pace = AT_ONCE, **more: Any) -> int:
        return self.partner.work(self, chunk_lines=CHUNK, pace=pace, **more)


def served(partner: Partner) -> list[str]:
    """The reference of each chunk's batch, in the order in which chunks were finished."""
    rows = partner.database.rows(
        "SELECT b.reference, a.recorded_at FROM activity a JOIN activity_batch b ON b.id = a.batch_id"
        " GROUP BY 1, 2 ORDER BY 2"
    )
    return [row.reference for row in rows]


def reasons(partner: Partner) -> Counter[str]:
    return Counter(row.reason for row in partner.database.rows("SELECT reason FROM activity_batch_step"))


def batches(partner: Partner) -> dict[str, Any]:
    rows = partner.database.rows(
        "SELECT reference, state, tries, lines_done, chunks_done, leased_until, lease FROM activity_batch"
    )
    return {row.reference: row for row in rows}


def test_a_small_file_is_done_while_anothers_large_one_is_under_way(first: Partner, second: Partner) -> None:
    upload(first, "large", 8 * CHUNK)
    worker = Worker(first, before_chunk={2: lambda: upload(second, "small", CHUNK)})
    assert worker.work() == 2
    assert served(first) == ["large", "large", "small", *["large"] * 6]
    assert reasons(first)["put down for another partner"] == 1
    assert reasons(first)["taken up again"] == 1
    assert {row.state for row in batches(first).values()} == {"done"}
    assert first.count("activity") == 9 * CHUNK
    assert first.broken() == []


def test_partners_with_much_to_do_are_served_in_turn_each_oldest_first(
    first: Partner, second: Partner
) -> None:
    third = another(first, "demo gas")
    for partner, name in ((first, "a"), (second, "b"), (third, "c")):
        for number in (1, 2):
            upload(partner, f"{name}{number}", 2 * CHUNK)
    assert Worker(first).work() == 6
    assert served(first) == ["a1", "b1", "c1", "a1", "b1", "c1", "a2", "b2", "c2", "a2", "b2", "c2"]
    assert first.broken() == []


def test_thirty_files_of_one_do_not_come_before_one_of_another(first: Partner, second: Partner) -> None:
    for number in range(30):
        upload(first, f"many{number:02}", 1)
    upload(second, "one", 1)
    assert Worker(first).work() == 31
    assert served(first)[:3] == ["many00", "one", "many01"]
    assert served(first)[2:] == [f"many{number:02}" for number in range(1, 30)]


def test_a_partner_has_its_seconds_for_many_small_files_too(first: Partner, second: Partner) -> None:
    """One file a turn would let who sends small files starve beside who sends a large one."""
    upload(second, "large", 2 * CHUNK)
    for number in range(4):
        upload(first, f"small{number}", 1)
    assert Worker(first).work(Pace(seconds=60, readings=0)) == 5
    assert served(first) == ["large", "large", "small0", "small1", "small2", "small3"]
    upload(first, "small4", 1)
    upload(first, "small5", 1)
    upload(second, "next", 1)
    assert Worker(first, now=NOW + timedelta(hours=1)).work(Pace(seconds=60, readings=0)) == 3
    assert served(first)[6:] == ["next", "small4", "small5"], "who was served longest ago comes first"


def test_within_its_seconds_a_batch_is_not_put_down(first: Partner, second: Partner) -> None:
    upload(first, "large", 4 * CHUNK)
    upload(second, "small", 1)
    assert Worker(first).work(Pace(seconds=60, readings=0)) == 2
    assert served(first) == [*["large"] * 4, "small"]
    assert reasons(first)["put down for another partner"] == 0


def test_who_is_alone_is_never_put_down(first: Partner, second: Partner) -> None:
    """Nor for a partner that may not be served, or that a worker serves already."""
    for number in range(3):
        upload(first, f"r{number}", 3 * CHUNK)
    upload(second, "suspended", 1)
    first.database.run(lambda call: suspend(call, second.city.partner_id, reason="under investigation"))
    third = another(first, "demo gas")
    for reference in ("in hand", "waits"):
        upload(third, reference, 1)
    busy = (
        "UPDATE activity_batch SET state = 'running', lease = id, leased_until = :until WHERE reference = :r"
    )
    until = NOW + timedelta(minutes=1)
    first.database.run(lambda call: call.db.execute(text(busy), {"until": until, "r": "in hand"}))
    assert Worker(first).work() == 4
    assert served(first) == ["r0", "r0", "r0", "r1", "r1", "r1", "r2", "r2", "r2", "waits"]
    assert reasons(first) == {"opened": 6, "content came whole": 6, "taken up": 4, "every line was taken": 4}


def test_two_workers_serve_two_partners_before_one_twice(first: Partner, second: Partner) -> None:
    for reference in ("a1", "a2"):
        upload(first, reference, 3 * CHUNK)
    upload(second, "b1", 3 * CHUNK)
    beside: list[int] = []
    other = Worker(first)

    def another_worker() -> None:
        beside.append(other.work(most=1))

    worker = Worker(first, before_chunk={1: another_worker})
    worker.now, other.now = NOW, NOW + timedelta(milliseconds=1)
    assert worker.work(most=1) == 1
    assert beside == [1]
    assert set(served(first)) == {"a1", "b1"}
    assert reasons(first)["put down for another partner"] == 0, "both are served"


def test_two_workers_and_three_partners_take_every_line_once(first: Partner, second: Partner) -> None:
    third = another(first, "demo gas")
    for partner, name in ((first, "a"), (second, "b"), (third, "c")):
        for number in range(2):
            upload(partner, f"{name}{number}", 4 * CHUNK)
    gate = threading.Barrier(2)

    def work(_: int) -> int:
        gate.wait()
        # By the machine's clock: two workers, each with moments of its own, would overtake each other's.
        return first.work(
            lambda work: first.database.run(work, now=moment()), chunk_lines=CHUNK, pace=AT_ONCE
        )

    lock, ticks = threading.Lock(), iter(range(1_000_000))

    def moment() -> datetime:
        with lock:
            return NOW + timedelta(milliseconds=next(ticks))

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    assert sum(done) == 6
    assert {row.state for row in batches(first).values()} == {"done"}
    assert {row.lines_done for row in batches(first).values()} == {4 * CHUNK}
    assert first.count("activity") == 24 * CHUNK
    assert first.count("activity_reference") == 24 * CHUNK
    assert first.files() == []
    assert first.broken() == []


@pytest.mark.parametrize("killed_at", range(1, 22, 2))
def test_a_worker_killed_between_two_partners_loses_nothing(
    first: Partner, second: Partner, killed_at: int
) -> None:
    upload(first, "a", 3 * CHUNK)
    upload(second, "b", 3 * CHUNK)
    worker = Worker(first, killed_at=killed_at)
    with pytest.raises(Killed):
        worker.work()
    later = Worker(first, now=worker.now + LEASE + timedelta(seconds=1))
    later.work()
    assert {row.state for row in batches(first).values()} == {"done"}
    assert {row.lines_done for row in batches(first).values()} == {3 * CHUNK}
    assert first.count("activity") == 6 * CHUNK
    assert first.broken() == []


def test_a_batch_put_down_for_others_is_free_at_once_and_counts_no_try(
    first: Partner, second: Partner
) -> None:
    upload(first, "large", (TRIES_MAX + 4) * CHUNK)
    worker = Worker(first)
    for number in range(TRIES_MAX + 2):
        upload(second, f"small{number}", 1)
        worker.work(most=2)  # the large one up to the end of a chunk, then the small one
        row = batches(first)["large"]
        assert (row.state, row.tries, row.chunks_done) == ("running", 0, number + 1)
        assert row.leased_until < worker.now
    assert worker.work() == 1
    assert batches(first)["large"].state == "done"
    assert reasons(first)["put down for another partner"] == TRIES_MAX + 2
    assert first.broken() == []


def test_a_partner_whose_batch_met_a_busy_database_goes_behind_the_others(
    first: Partner, second: Partner
) -> None:
    upload(first, "a", CHUNK)
    upload(second, "b", CHUNK)

    def busy() -> None:
        raise Busy("another request holds this row", retry_after_s=1)

    worker = Worker(first, before_chunk={1: busy})
    assert worker.work() == 1
    assert served(first) == ["b"]
    worker.now += BUSY_PAUSE
    assert worker.work() == 1
    assert served(first) == ["b", "a"]


def test_finding_the_place_in_a_file_is_paid_for_by_staying_there() -> None:
    now = time.monotonic()
    reading = Reading(_began=now - 100, _found=now - 70)
    assert [reading.is_worth(times) for times in (0, 3, 4)] == [True, True, False]
    assert not Reading(_began=now - 100).is_worth(PACE.readings), "the place is not found yet"


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_file_taken_in_many_turns_has_each_line_once(first: Partner, second: Partner, form: str) -> None:
    """With lines of nothing between them, which no row stands for."""
    lines = [f"e{number}" for number in range(4 * CHUNK)]
    if form == "ndjson":
        written = [ndjson({**RECORD, "source_event_id": event}) for event in lines]
        body = b"\n\n".join(written)
    else:
        cells = "card-017,metro_ride,2026-11-20T11:00:00+08:00,10000,m"
        written = [f"{event},{cells}\r\n".encode() for event in lines]
        header = b"\xef\xbb\xbfsource_event_id,subject,scenario,occurred_at,quantity,unit\r\n"
        body = header + b"\r\n".join(written)
    assert first.upload(first.open("gaps", form).json["id"], body).status_code == 200
    for number in range(2):
        upload(second, f"b{number}", 2 * CHUNK)
    assert Worker(first).work() == 3
    assert served(first)[:4] == ["gaps", "b0", "gaps", "b0"]
    assert batches(first)["gaps"].lines_done == len(lines)
    assert first.count("activity") == len(lines) + 4 * CHUNK
    assert first.broken() == []
