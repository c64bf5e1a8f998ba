"""A run that is cut off, put down or refused, while comparisons of standing lines run ahead of its chunks.

Files are read in pieces of a few lines here, so that a run has all the parts that a long one has.
"""

import gc
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.factory import Product
from carbon.activities import chunks, duplicates, imports, turns
from carbon.activities.adapters.text_lines import Reading
from carbon.activities.turns import LEASE
from kernel.call import Call
from kernel.errors import Busy
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson
from tests.carbon.test_batches import Killed
from tests.conftest import NOW, Database

CARDS = [f"card-{number:03}" for number in range(20)]
PATIENCE = 20


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Partner:
    small = partial(Reading, chunk_bytes=4_000)
    monkeypatch.setattr(imports, "Reading", small)
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", 70)
    monkeypatch.setattr(chunks, "PART_LINES_LEAST", 10)
    monkeypatch.setattr(chunks, "LONG_CHUNK_LINES", 10)
    return make_partner(product, database, tmp_path / "uploads", *CARDS)


def rides_of(*numbers: int, prefix: str = "e") -> bytes:
    return ndjson(
        *(
            {**RECORD, "source_event_id": f"{prefix}{number:05}", "subject": CARDS[number % len(CARDS)]}
            for number in numbers
        )
    )


def is_comparison(work: Callable[[Call], Any]) -> bool:
    return "_leaving_out" in work.__qualname__


def is_chunk(work: Callable[[Call], Any]) -> bool:
    return "_piece_work" in work.__qualname__


def batch_row(partner: Partner, reference: str) -> Any:
    query = "SELECT * FROM activity_batch WHERE reference = :reference"
    return partner.database.rows(query, reference=reference)[0]


def lines_kept(partner: Partner, batch_id: Any) -> list[int]:
    rows = partner.database.rows(
        "SELECT line_no AS n FROM activity WHERE batch_id = :batch UNION ALL"
        " SELECT generate_series(line_no - lines + 1, line_no) FROM activity_batch_line"
        " WHERE batch_id = :batch ORDER BY n",
        batch=batch_id,
    )
    return [row.n for row in rows]


def test_who_goes_on_with_a_file_of_duplicates_reads_on_where_it_was_cut_off(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner.send(rides_of(*range(1000)), reference="first")
    batch = partner.open("again").json["id"]
    partner.upload(batch, rides_of(*range(1000)))
    left = iter(range(8))

    def run(work: Callable[[Call], Any]) -> Any:
        if is_comparison(work) and next(left, None) is None:
            raise Killed
        return partner.database.run(work)

    with pytest.raises(Killed):
        partner.work(run)
    row = batch_row(partner, "again")
    assert row.settled_line == row.lines_done > 500
    looked_for: list[int] = []
    look = turns._lines_behind

    def behind(call: Call, turn: turns.Turn) -> Any:
        found = look(call, turn)
        looked_for.append(found.height)
        return found

    monkeypatch.setattr(turns, "_lines_behind", behind)
    assert partner.work(lambda work: partner.database.run(work, now=NOW + LEASE + timedelta(seconds=1))) == 1
    assert looked_for == [0]
    assert batch_row(partner, "again").outcomes == {"duplicate/duplicate": 1000}


@contextmanager
def uncollected() -> Iterator[None]:
    """No help from the collector of cycles."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_refused_lane_leaves_no_thread_behind(partner: Partner) -> None:
    partner.send(rides_of(*range(300)), reference="first")
    batch = partner.open("mixed").json["id"]
    partner.upload(batch, rides_of(*range(300, 900)) + rides_of(*range(300)))

    def run(work: Callable[[Call], Any]) -> Any:
        if is_chunk(work):
            raise Busy("rows are held", retry_after_s=1)
        return partner.database.run(work)

    before = set(threading.enumerate())
    with uncollected():
        assert partner.work(run, chunk_lines=100) == 0
        assert {thread.name for thread in set(threading.enumerate()) - before} == set()


def test_who_put_a_batch_down_does_not_hold_it(partner: Partner) -> None:
    """A comparison is under way while the batch is put down: it is over before, or finds the lease gone."""
    partner.send(rides_of(*range(200)), reference="first")
    batch = partner.open("again").json["id"]
    mixed = [
        rides_of(*range(n * 14, n * 14 + 14)) + rides_of(*range(n * 10, n * 10 + 10), prefix="n")
        for n in range(10)
    ]
    partner.upload(batch, b"".join(mixed) + rides_of(*range(100, 200)))
    chunk_done, ahead, put_down = threading.Event(), threading.Event(), threading.Event()

    def run(work: Callable[[Call], Any]) -> Any:
        if is_comparison(work) and chunk_done.is_set():
            ahead.set()
            put_down.wait(0.5)
        done = partner.database.run(work)
        if is_chunk(work):
            chunk_done.set()
        if "_put_down" in work.__code__.co_names:
            put_down.set()
        return done

    def keep_on() -> bool:
        return not chunk_done.is_set() or not ahead.wait(PATIENCE)

    assert partner.work(run, chunk_lines=10, keep_on=keep_on) == 0
    assert ahead.is_set()
    assert put_down.is_set()
    for thread in threading.enumerate():
        if thread.name.startswith("duplicates"):
            thread.join(PATIENCE)
    row = batch_row(partner, "again")
    assert (row.state, row.leased_until < NOW) == ("running", True)
    assert partner.work() == 1
    assert batch_row(partner, "again").outcomes == {"duplicate/duplicate": 240, "credited": 100}


def killer(partner: Partner, *, left: int, before: bool, now: datetime) -> Callable[..., Any]:
    """A `run` whose process ends before or after the commit of so many units of work, in whatever thread."""
    units, lock = iter(range(left)), threading.Lock()

    def run(work: Callable[[Call], Any]) -> Any:
        with lock:
            is_dead = next(units, None) is None
        if is_dead and before:
            raise Killed
        done = partner.database.run(work, now=now)
        if is_dead:
            raise Killed
        return done

    return run


@pytest.mark.parametrize("seed", range(8))
def test_wherever_runs_are_cut_off_each_line_is_taken_once(
    partner: Partner, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - a course of events, not a secret
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", draw.choice([30, 80, 200]))
    monkeypatch.setattr(chunks, "LONG_CHUNK_LINES", draw.choice([10, 60, 150]))
    partner.send(rides_of(*range(400)), reference="first")
    numbers: list[int] = []
    while len(numbers) < 600:
        first = draw.randrange(800)
        numbers += range(first, first + draw.choice([1, 3, 20, 60]))
    lines = [rides_of(number) for number in numbers]
    for place in range(0, len(lines), 37):
        odd = ndjson({**RECORD, "subject": "nobodys", "source_event_id": f"x{place}"})
        lines[place] = draw.choice([b"\n", b"{\n", odd, lines[place]])
    batch = partner.open("again").json["id"]
    partner.upload(batch, b"".join(lines))
    with_content = [number for number, line in enumerate(lines, start=1) if line.strip()]
    now = NOW
    while batch_row(partner, "again").state != "done":
        now += LEASE + timedelta(seconds=1)
        run = killer(partner, left=draw.randrange(2, 30), before=draw.random() < 0.5, now=now)
        asked = iter(range(draw.randrange(1, 8)))
        stops = draw.random() < 0.4
        with suppress(Killed):
            partner.work(
                run,
                chunk_lines=draw.choice([40, 100, 333]),
                keep_on=lambda stops=stops, asked=asked: not stops or next(asked, None) is not None,
            )
        row = batch_row(partner, "again")
        kept = lines_kept(partner, row.id)
        assert len(set(kept)) == len(kept) == row.lines_done
        assert {number for number in with_content if number <= (row.settled_line or 0)} <= set(kept)
        partner.database.run(lambda call: call.db.execute(text("UPDATE activity_batch SET tries = 0")))
    assert kept == with_content
    assert partner.broken() == []
