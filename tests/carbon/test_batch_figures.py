"""A batch says how many lines it has, how fast they go and how long the rest takes, as the bar does."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from app.factory import Product
from carbon.activities.adapters.utility_bills import COLUMNS as BILL_COLUMNS
from carbon.activities.batch_records import find_batch
from carbon.activities.batch_results import BatchShown, in_brief, shown
from carbon.activities.batch_states import State
from carbon.activities.imports import ImportOrder, import_file
from carbon.activities.patient_stream import BLOCK_BYTES
from carbon.activities.progress import begin_work, count_work, lines_per_second, seconds_left
from carbon.activities.tables import ActivityBatch
from carbon.activities.turns import LEASE, Taken
from kernel.call import Call
from kernel.clock import FixedClock
from tests.carbon.adapters.workbook_files import COLUMNS, saved, table
from tests.carbon.city import SECRET
from tests.carbon.partner_client import BATCHES, RECORD, Partner, make_partner, ndjson, rides
from tests.carbon.test_batches import Killed
from tests.carbon.test_lanes import BODY, CARDS, LINES, takes_a_chunk
from tests.conftest import NOW, Database, at, migrate

CHUNK = 10
CHUNK_TAKES = timedelta(seconds=2)
HOUR = timedelta(hours=1)
BEGUN = "2026-11-20T04:00:00Z"
HEADER = ",".join(COLUMNS).encode()
CELLS = b",card-017,metro_ride,2026-11-20T11:00:00+08:00,10000,m"


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    return make_partner(product, database, tmp_path / "uploads", "card-017", *CARDS)


@dataclass
class Worker:
    """Units of work by the clock that the product has too; a chunk takes two seconds."""

    partner: Partner
    clock: FixedClock
    after_chunk: Callable[[], Any] = lambda: None
    killed_in: int | None = None
    chunks: int = 0

    def __call__(self, work: Callable[[Call], Any]) -> Any:
        if not takes_a_chunk(work):
            return self.partner.database.run(work, now=self.clock.now())
        self.chunks += 1
        if self.chunks == self.killed_in:
            raise Killed
        done = self.partner.database.run(work, now=self.clock.now())
        self.clock.advance(CHUNK_TAKES)
        self.after_chunk()
        return done


def put_down_after_two_chunks(partner: Partner, clock: FixedClock) -> None:
    answers = iter([True, True, False])
    worker = Worker(partner, clock)
    assert partner.work(worker, keep_on=lambda: next(answers, False), chunk_lines=CHUNK) == 0


def own(name: str, count: int) -> bytes:
    """Rides under a name of their own."""
    return ndjson(*({**RECORD, "source_event_id": f"{name}-{number}"} for number in range(count)))


def uploaded(partner: Partner, body: bytes, adapter: str = "ndjson", *, zipped: bool = False) -> str:
    batch = str(partner.open(adapter=adapter).json["id"])
    answer = partner.upload(batch, body, zipped=zipped)
    assert answer.status_code == 200, answer.json
    return batch


def pace(batch: Any) -> tuple[Any, ...]:
    return tuple(batch[name] for name in ("state", "lines_done", "lines_per_second", "seconds_left"))


def sums(batch: Any) -> dict[str, int]:
    return {name: batch[name] for name in ("accepted", "duplicate", "rejected")}


def order(partner: Partner, **more: Any) -> ImportOrder:
    given = {"adapter": "ndjson", "reference": "shell", "card_secret": SECRET, "chunk_lines": CHUNK, **more}
    return ImportOrder(partner_id=partner.city.partner_id, **given)


def test_a_batch_half_done_says_how_far_how_fast_and_how_long(partner: Partner, clock: FixedClock) -> None:
    opened = partner.open().json
    assert (opened["content_lines"], opened["started_at"]) == (None, None)
    body = rides(14) + rides(9, subject="card-x") + rides(2)
    batch = uploaded(partner, body)
    waiting = partner.get(f"/{batch}").json
    assert (waiting["content_lines"], waiting["started_at"]) == (25, None)
    assert pace(waiting) == ("uploaded", 0, None, None)
    clock.advance(HOUR)
    seen: list[Any] = []
    worker = Worker(partner, clock, lambda: seen.append(partner.get(f"/{batch}").json))
    assert partner.work(worker, chunk_lines=CHUNK) == 1
    seen.append(partner.get(f"/{batch}").json)
    assert [pace(each) for each in seen] == [
        ("running", 10, 5, 3),
        ("running", 20, 5, 1),
        ("running", 25, 4, 0),
        ("done", 25, 4, None),
    ]
    assert [sums(each) for each in seen] == [
        {"accepted": 10, "duplicate": 0, "rejected": 0},
        {"accepted": 14, "duplicate": 0, "rejected": 6},
        {"accepted": 14, "duplicate": 2, "rejected": 9},
        {"accepted": 14, "duplicate": 2, "rejected": 9},
    ]
    assert {(each["content_lines"], each["started_at"]) for each in seen} == {(25, "2026-11-20T05:00:00Z")}
    clock.advance(HOUR)
    assert pace(partner.get(f"/{batch}").json) == ("done", 25, 4, None)


def test_nothing_is_said_of_pace_before_lines_are_done(partner: Partner, clock: FixedClock) -> None:
    batch = uploaded(partner, rides(25))
    with pytest.raises(Killed):
        partner.work(Worker(partner, clock, killed_in=1), chunk_lines=CHUNK)
    clock.advance(CHUNK_TAKES)
    told = partner.get(f"/{batch}").json
    assert (pace(told), told["started_at"]) == (("running", 0, None, None), BEGUN)


def test_time_in_which_a_batch_was_put_down_is_not_in_its_pace(partner: Partner, clock: FixedClock) -> None:
    batch = uploaded(partner, rides(45))
    for done, left_s in ((20, 5), (40, 1)):
        put_down_after_two_chunks(partner, clock)
        for _ in range(3):
            told = partner.get(f"/{batch}").json
            assert (pace(told), told["started_at"]) == (("running", done, 5, left_s), BEGUN)
            clock.advance(HOUR)
    assert partner.work(Worker(partner, clock), chunk_lines=CHUNK) == 1
    assert pace(partner.get(f"/{batch}").json) == ("done", 45, 4, None), "45 lines in five times two seconds"


def test_a_worker_that_died_slows_its_batch_until_its_lease_is_over(
    partner: Partner, clock: FixedClock
) -> None:
    batch = uploaded(partner, rides(25))
    with pytest.raises(Killed):
        partner.work(Worker(partner, clock, killed_in=3), chunk_lines=CHUNK)
    assert pace(partner.get(f"/{batch}").json) == ("running", 20, 5, 1)
    clock.advance(timedelta(seconds=16))
    assert pace(partner.get(f"/{batch}").json) == ("running", 20, 1, 5), "nobody knows that it died"
    clock.advance(LEASE)
    assert pace(partner.get(f"/{batch}").json) == ("running", 20, 10, 1), "what it did not count is lost"
    clock.advance(HOUR)
    assert partner.work(Worker(partner, clock), chunk_lines=CHUNK) == 1
    told = partner.get(f"/{batch}").json
    assert (pace(told), told["started_at"]) == (("done", 25, 6, None), BEGUN)


def test_lanes_that_commit_side_by_side_count_their_time_once(partner: Partner) -> None:
    gate, lock, seconds = threading.Barrier(2), threading.Lock(), iter((1, 3))
    others = NOW

    def run(work: Callable[[Call], Any]) -> Any:
        nonlocal others
        if not takes_a_chunk(work):
            return partner.database.run(work, now=others)
        with lock:
            now = NOW + timedelta(seconds=next(seconds))
        gate.wait(timeout=30)
        done = partner.database.run(work, now=now)
        others = NOW + timedelta(seconds=5)
        return done

    import_file(run, BytesIO(BODY), order(partner, chunk_lines=LINES))
    (batch,) = partner.database.rows("SELECT worked_ms, chunks_done, working_since FROM activity_batch")
    assert batch == (5_000, 2, None)
    assert partner.get().json["items"][0]["lines_per_second"] == LINES // 5


def test_a_running_batch_has_the_pace_of_late_and_a_done_one_that_of_the_whole(call: Call) -> None:
    """As with a file whose first lines were sent before: those go ten times as fast."""
    batch = ActivityBatch(
        state=State.RUNNING, content_lines=4_000_000, lines_done=0, recent_lines=0, recent_ms=0
    )
    begin_work(call, batch)
    moment = call
    for second in range(180):
        moment = at(call, call.now + timedelta(seconds=second))
        lines = 50_000 if second < 60 else 1_000
        count_work(moment, batch, lines=lines)
        batch.lines_done += lines
    assert batch.lines_done == 3_120_000
    late = lines_per_second(moment, batch)
    assert late is not None
    assert 1_000 <= late < 1_500
    left_s = seconds_left(moment, batch)
    assert left_s is not None
    assert 880_000 // 1_500 <= left_s <= 880
    batch.state = State.DONE
    assert lines_per_second(moment, batch) == 3_120_000 // 179


def test_chunks_that_take_all_of_the_time_of_late_are_not_told_as_slower(call: Call) -> None:
    """Lines come out of time that is counted after them: what fades must fade together."""
    batch = ActivityBatch(state=State.RUNNING, content_lines=None, lines_done=0, recent_lines=0, recent_ms=0)
    begin_work(call, batch)
    for number in range(20):
        count_work(at(call, call.now + timedelta(seconds=25 * number)), batch, lines=100_000)
        batch.lines_done += 100_000
        batch.leased_until = call.now + timedelta(days=1)
        asked = at(call, call.now + timedelta(seconds=25 * (number + 1)))
        assert lines_per_second(asked, batch) == 4_000


def test_a_clock_that_goes_back_takes_no_time_away(call: Call) -> None:
    batch = ActivityBatch(state=State.RUNNING, content_lines=30, lines_done=0, recent_lines=0, recent_ms=0)
    begin_work(call, batch)
    worked_ms = []
    for seconds in (-5, 2, -1, 4):
        count_work(at(call, call.now + timedelta(seconds=seconds)), batch, lines=5)
        worked_ms.append(batch.worked_ms)
    assert worked_ms == [0, 2_000, 2_000, 4_000]
    assert (batch.recent_ms, batch.recent_lines) == (4_000, 20)


def test_what_is_less_than_a_millisecond_adds_up(call: Call) -> None:
    batch = ActivityBatch(state=State.RUNNING, content_lines=30, lines_done=0, recent_lines=0, recent_ms=0)
    begin_work(call, batch)
    for number in range(1, 5_001):
        count_work(at(call, call.now + timedelta(microseconds=300 * number)), batch, lines=1)
    assert batch.worked_ms == 1_500


def test_a_list_says_the_same_of_each_batch_and_asks_no_more_for_many(
    partner: Partner, clock: FixedClock
) -> None:
    for number in range(3):
        batch = partner.open(f"r{number}").json["id"]
        partner.upload(batch, own(f"r{number}", 25))
    lists: list[Any] = []
    worker = Worker(partner, clock, lambda: lists.append(partner.get().json["items"]))
    partner.work(worker, keep_on=lambda: worker.chunks < 4, chunk_lines=CHUNK)
    items = partner.get().json["items"]
    assert [pace(each)[:3] for each in items] == [
        ("uploaded", 0, None),
        ("running", 10, 5),
        ("done", 25, 4),
    ]
    assert items == [partner.get(f"/{each['id']}").json for each in items]
    assert len(lists) == 4
    with statements() as few:
        partner.get(limit=1)
    with statements() as many:
        partner.get(limit=3)
    assert len(many) == len(few)


@contextmanager
def statements() -> Iterator[list[str]]:
    """What the product asks of its database meanwhile."""
    heard: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        heard.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert heard


LONG = b" " * (BLOCK_BYTES - len(ndjson(RECORD)))
"""Before a record it makes a line that ends where a block ends."""


@pytest.mark.parametrize(
    ("adapter", "body", "lines", "taken"),
    [
        ("ndjson", rides(3), 3, 3),
        ("ndjson", rides(3)[:-1], 3, 3),
        ("ndjson", rides(3).replace(b"\n", b"\r\n"), 3, 3),
        ("ndjson", rides(3).replace(b"\n", b"\r\n")[:-2], 3, 3),
        ("ndjson", b"\n \r\n" + rides(2) + b"\t\n\n" + rides(1), 7, 3),
        ("ndjson", LONG + ndjson(RECORD), 1, 1),
        ("ndjson", LONG + ndjson(RECORD) + b"{", 2, 2),
        ("ndjson", LONG + b" " + ndjson(RECORD) + b"{", 2, 2),
        ("ndjson", LONG[1:] + ndjson(RECORD) + b"{", 2, 2),
        ("ndjson", LONG + b" " + ndjson(RECORD), 1, 1),
        ("csv", HEADER + b"\ne1" + CELLS, 2, 1),
        ("csv", b"\xef\xbb\xbf" + HEADER + b"\r\n\r\ne1" + CELLS + b"\r\ne2" + CELLS + b"\r\n", 4, 2),
        ("utility_bills", ",".join(BILL_COLUMNS).encode() + b"\nx\n", 2, 1),
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_lines_of_a_content_are_numbered_up_to_their_count(
    partner: Partner, adapter: str, body: bytes, lines: int, taken: int, *, zipped: bool
) -> None:
    batch = uploaded(partner, body, adapter, zipped=zipped)
    assert partner.get(f"/{batch}").json["content_lines"] == lines
    partner.work()
    told = partner.get(f"/{batch}").json
    assert (told["state"], told["lines_done"], told["content_lines"]) == ("done", taken, lines)
    numbers = [line["line"] for line in partner.get(f"/{batch}/lines").json["items"]]
    assert len(numbers) == taken
    assert numbers[-1] == lines, "none of these ends in a blank line"


def test_lines_that_go_on_from_one_part_of_a_gzip_to_the_next_are_counted_once(partner: Partner) -> None:
    batch = partner.open().json["id"]
    body = rides(5)
    sent = b"".join(gzip.compress(body[start : start + 50]) for start in range(0, len(body), 50))
    answer = partner.put(f"{BATCHES}/{batch}/content", sent, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["content_lines"]) == (200, 5)
    assert partner.upload(batch, body).json == answer.json, "the same content again"


def test_nobody_knows_how_many_rows_a_workbook_has(partner: Partner, clock: FixedClock) -> None:
    row = ["card-017", "metro_ride", "2026-11-20T11:00:00+08:00", 10_000, "m"]
    data = saved(table(*([f"e{number}", *row] for number in range(25))))
    assert b"\n" in data
    batch = uploaded(partner, data, "xlsx")
    seen: list[Any] = []
    partner.work(
        Worker(partner, clock, lambda: seen.append(partner.get(f"/{batch}").json)), chunk_lines=CHUNK
    )
    seen.append(partner.get(f"/{batch}").json)
    assert [pace(each) for each in (seen[0], seen[-1])] == [("running", 10, 5, None), ("done", 25, 4, None)]
    assert {each["content_lines"] for each in seen} == {None}
    heard: list[int | None] = []
    import_file(
        partner.database.run,
        BytesIO(data),
        order(partner, adapter="xlsx"),
        progress=lambda _, lines: heard.append(lines),
    )
    assert set(heard) == {None}
    assert partner.get().json["items"][0]["content_lines"] is None


def test_an_import_of_the_command_line_is_shown_with_the_figures_of_its_bar(
    partner: Partner, clock: FixedClock
) -> None:
    body = (rides(14) + rides(2) + rides(9, subject="card-x")).removesuffix(b"\n")
    seen: list[Any] = []

    def tell(taken: Taken, lines: int | None) -> None:
        (batch,) = partner.get().json["items"]
        assert (batch["lines_done"], batch["content_lines"]) == (taken.lines, lines)
        assert sums(batch) == in_brief(taken.outcomes)
        seen.append(batch)

    with pytest.raises(Killed):
        import_file(Worker(partner, clock, killed_in=3), BytesIO(body), order(partner), progress=tell)
    clock.advance(HOUR)
    import_file(Worker(partner, clock), BytesIO(body), order(partner), progress=tell)
    seen += partner.get().json["items"]
    assert [pace(each) for each in seen] == [
        ("running", 10, 5, 3),
        ("running", 20, 5, 1),
        ("running", 25, 6, 0),
        ("done", 25, 6, None),
    ]
    assert {(each["content_lines"], each["started_at"]) for each in seen} == {(25, BEGUN)}
    assert sums(seen[-1]) == {"accepted": 14, "duplicate": 2, "rejected": 9}


def test_a_failed_batch_says_when_it_began_and_no_pace_without_lines(partner: Partner) -> None:
    failed = partner.send(b"who,what\na,b\n", "csv")
    assert pace(failed) == ("failed", 0, None, None)
    assert (failed["started_at"], failed["content_lines"]) == (BEGUN, 2)


def test_a_batch_cancelled_before_anybody_began_was_never_begun(partner: Partner) -> None:
    batch = uploaded(partner, rides(2))
    cancelled = partner.cancel(batch).json
    assert pace(cancelled) == ("cancelled", 0, None, None)
    assert (cancelled["started_at"], cancelled["content_lines"]) == (None, 2)


@pytest.mark.parametrize(
    ("change", "refused_by"),
    [
        ("content_lines = 0", "content_has_lines"),
        ("started_at = NULL", "what_was_taken_was_begun"),
        ("working_since = now()", "who_works_has_a_lease"),
        ("worked_ms = -1", "work_is_not_negative"),
        ("recent_ms = -1", "work_is_not_negative"),
        ("recent_lines = -1", "work_is_not_negative"),
    ],
)
def test_the_database_itself_refuses_figures_that_cannot_be(
    partner: Partner, change: str, refused_by: str
) -> None:
    partner.send(rides(2))
    statement = text(f"UPDATE activity_batch SET {change}")  # noqa: S608 - the test's own text
    with pytest.raises(IntegrityError, match=refused_by):
        partner.database.run(lambda call: call.db.execute(statement))


def test_batches_begun_before_time_was_counted_keep_their_beginning(
    partner: Partner, clock: FixedClock
) -> None:
    partner.send(rides(5), reference="done")
    clock.advance(HOUR)
    uploaded(partner, own("half", 25))
    put_down_after_two_chunks(partner, clock)
    partner.open("never begun")
    partner.database.engine.dispose()
    partner.product.close()
    migrate(partner.database.url, "0025", down=True)
    migrate(partner.database.url, "head")
    rows = partner.database.rows(
        "SELECT started_at, content_lines, worked_ms, recent_lines FROM activity_batch ORDER BY id"
    )
    assert rows == [(NOW, None, None, 0), (NOW + HOUR, None, None, 0), (None, None, None, 0)]

    def look() -> BatchShown:
        def looked(call: Call) -> BatchShown:
            (batch,) = call.db.query(ActivityBatch).filter_by(reference="2026-11-20").all()
            return shown(call, find_batch(call, batch.id))

        return partner.database.run(looked, now=clock.now())

    assert look().lines_per_second is None
    seen: list[BatchShown] = []
    assert partner.work(Worker(partner, clock, lambda: seen.append(look())), chunk_lines=CHUNK) == 1
    assert [(each.lines_done, each.lines_per_second) for each in (*seen, look())] == [(25, 2), (25, None)]
