"""A chunk in two lanes ends as it would in one; a batch cut off between them loses and doubles nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from sqlalchemy import text

from app.factory import Product
from carbon.activities import batch_results, chunks, turns
from carbon.activities.batch_results import every_line
from carbon.activities.chunks import PART_LINES_LEAST, cut
from carbon.activities.errors import BatchTaken
from carbon.activities.imports import ImportOrder, import_file, read_frame
from carbon.activities.intake import Intake, take_chunk
from carbon.activities.neighbours import Neighbours
from carbon.activities.turns import CHUNK_LINES, LEASE
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner
from kernel.call import Call
from tests.carbon.city import SECRET
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson, rides
from tests.conftest import NOW, Database

CARDS = [f"card-{number:03}" for number in range(60)]
OTHERS = [f"other-{number:03}" for number in range(60)]
LINES = 2 * PART_LINES_LEAST + 200


def body(cards: list[str], prefix: str = "e") -> bytes:
    """Rides of these cards, each of them several on some days; every fiftieth is of a card nobody has."""
    return ndjson(
        *(
            {
                **RECORD,
                "source_event_id": f"{prefix}{number}",
                "subject": "card-x" if number % 50 == 0 else cards[number % len(cards)],
                "occurred_at": f"2026-11-{number % 6 + 1:02}T11:00:00+08:00",
                "quantity": 4_000 + number % 7,
            }
            for number in range(LINES)
        )
    )


BODY = body(CARDS)
OUTCOMES = {"credited": LINES - LINES // 50, "rejected/unbound_card": LINES // 50}


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    return make_partner(product, database, tmp_path / "uploads", *CARDS, *OTHERS)


def order(partner: Partner, **more: Any) -> ImportOrder:
    given = {"adapter": "ndjson", "reference": "two", "card_secret": SECRET, **more}
    return ImportOrder(partner_id=partner.city.partner_id, **given)


def outcomes(partner: Partner) -> dict[str, int]:
    found: dict[str, int] = partner.database.rows("SELECT outcomes FROM activity_batch")[0].outcomes
    return found


def lines_kept(partner: Partner) -> int:
    """Lines of the batch that became no activity; neighbours share a row."""
    kept = partner.database.rows("SELECT coalesce(sum(lines), 0) AS n FROM activity_batch_line")
    return int(kept[0].n)


def takes_a_chunk(work: Callable[[Call], Any]) -> bool:
    """Whether this unit of work is a lane's; the others open and close the batch."""
    return "_piece_work" in work.__qualname__


class Meeting:
    """Holds the units of work of lanes back until so many are there, which proves that they run at once."""

    def __init__(self, database: Database, lanes: int) -> None:
        self.database = database
        self.gate = threading.Barrier(lanes)

    def __call__(self, work: Callable[[Call], Any]) -> Any:
        if takes_a_chunk(work):
            self.gate.wait(timeout=30)
        return self.database.run(work)


def left(partner: Partner, prefix: str) -> list[tuple[Any, ...]]:
    """What each line of a body came to."""
    rows = partner.database.rows(
        "SELECT source_event_id, line_no, revision, carbon_mg, coin_milli, coin_cut_milli, digest"
        " FROM activity ORDER BY line_no"
    )
    return [tuple(row)[1:] for row in rows if row.source_event_id.startswith(prefix)]


def test_two_lanes_run_at_once_and_leave_what_one_would(partner: Partner) -> None:
    """Coins are cut in the order of the lines: a day's 30 coins hold one ride and a part of the next."""
    two = import_file(Meeting(partner.database, 2), BytesIO(BODY), order(partner))
    one = import_file(
        partner.database.run, BytesIO(body(OTHERS, "o")), order(partner, reference="one", lanes=1)
    )
    assert two.outcomes == one.outcomes == OUTCOMES
    chunks = partner.database.rows("SELECT chunks_done, lease FROM activity_batch ORDER BY reference DESC")
    assert chunks == [(2, None), (1, None)]
    rows = left(partner, "e")
    assert rows == left(partner, "o")
    assert len(rows) == OUTCOMES["credited"]
    assert any(row[-2] for row in rows)
    assert partner.broken() == []


def test_lines_that_nobody_looked_for_before_are_duplicates_in_both_lanes(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "sifted", lambda frames, **_: frames)
    import_file(partner.database.run, BytesIO(BODY), order(partner))
    again = import_file(Meeting(partner.database, 2), BytesIO(BODY), order(partner, reference="again"))
    assert again.outcomes == {
        "duplicate/duplicate": OUTCOMES["credited"],
        "rejected/unbound_card": OUTCOMES["rejected/unbound_card"],
    }
    assert partner.broken() == []


@pytest.mark.parametrize("lost", [0, 1])
def test_a_batch_that_lost_one_lane_goes_on_with_the_lines_of_that_lane(partner: Partner, lost: int) -> None:
    """Whatever the sizes of the next turn are; the lines of the lane that was committed are not looked at."""
    chunk = read_frame(BODY, order(partner))
    parts = [piece.height for (piece,) in cut(chunk, at_once=CHUNK_LINES, lanes=2).parts]
    seen = iter(range(2))
    lock = threading.Lock()

    def run(work: Callable[[Call], Any]) -> Any:
        if not takes_a_chunk(work):
            return partner.database.run(work)
        with lock:
            if next(seen) == lost:
                raise ConnectionError("the database was lost")
            return partner.database.run(work)

    with pytest.raises(ConnectionError):
        import_file(run, BytesIO(BODY), order(partner))
    counted = outcomes(partner)
    assert sum(counted.values()) in parts
    done = partner.database.rows("SELECT lines_done, chunks_done, state FROM activity_batch")[0]
    assert tuple(done) == (sum(counted.values()), 1, "running")
    finished = import_file(partner.database.run, BytesIO(BODY), order(partner, chunk_lines=333))
    assert finished.outcomes == OUTCOMES
    assert finished.lines == LINES
    assert partner.count("activity") == OUTCOMES["credited"]
    assert lines_kept(partner) == OUTCOMES["rejected/unbound_card"]
    assert partner.broken() == []


def test_an_upload_whose_worker_died_between_two_lanes_is_finished_by_the_next(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, BODY)
    committed: list[int] = []

    def run(work: Callable[[Call], Any]) -> Any:
        if committed and takes_a_chunk(work):
            raise ConnectionError("the worker was killed")
        done = partner.database.run(work)
        committed.extend([1] if takes_a_chunk(work) else [])
        return done

    with pytest.raises(ConnectionError):
        partner.work(run, chunk_lines=LINES // 2, lanes=1)
    later = NOW + LEASE + timedelta(seconds=1)
    assert partner.work(lambda work: partner.database.run(work, now=later)) == 1
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], shown["lines_done"]) == ("done", LINES)
    assert outcomes(partner) == OUTCOMES
    assert partner.broken() == []


def test_a_citizen_with_cards_in_both_lanes_gets_the_days_coins_once(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lane waits for the other at the cap of their common citizen; nothing above 30 coins a day.

    As where the cards became the citizen's after the chunk was cut.
    """
    monkeypatch.setattr(Neighbours, "order", lambda _self, numbers: numbers)
    owner = UUID(str(partner.owners[CARDS[0]]))

    def bind(call: Call) -> None:
        cards = [
            CitizenCard(owner, hash_subject(SECRET, partner_id=partner.city.partner_id, subject=f"own-{n}"))
            for n in range(20)
        ]
        bind_many(call, find_partner(call, partner.city.partner_id), cards, text_version="v1")

    partner.database.run(bind)
    own = ndjson(*({**RECORD, "source_event_id": f"o{n}", "subject": f"own-{n % 20}"} for n in range(LINES)))
    assert len(cut(read_frame(own, order(partner)), at_once=CHUNK_LINES, lanes=2).parts) == 2
    done = import_file(Meeting(partner.database, 2), BytesIO(own), order(partner))
    assert done.outcomes == {"credited": LINES}
    given = partner.database.rows("SELECT sum(coin_milli) AS coins, count(*) AS n FROM activity")[0]
    assert (given.coins, given.n) == (30_000, LINES)
    assert partner.broken() == []


def test_who_takes_a_batch_over_from_the_command_line_ends_the_former_run(partner: Partner) -> None:
    taken_over: list[dict[str, int]] = []

    def run(work: Callable[[Call], Any]) -> Any:
        if takes_a_chunk(work) and not taken_over:
            taken_over.append(import_file(partner.database.run, BytesIO(BODY), order(partner)).outcomes)
        return partner.database.run(work)

    with pytest.raises(BatchTaken):
        import_file(run, BytesIO(BODY), order(partner, lanes=1))
    assert taken_over == [OUTCOMES]
    assert outcomes(partner) == OUTCOMES
    assert partner.broken() == []


def test_a_turn_that_ends_while_a_chunk_is_taken_commits_nothing_of_it(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(call: Call, intake: Intake, chunk: pl.DataFrame) -> pl.DataFrame:
        done = take_chunk(call, intake, chunk)
        partner.database.run(lambda other: other.db.execute(text("UPDATE activity_batch SET lease = id")))
        return done

    monkeypatch.setattr(turns, "take_chunk", slow)
    with pytest.raises(BatchTaken):
        import_file(partner.database.run, BytesIO(BODY), order(partner, lanes=1))
    assert partner.count("activity") == partner.count("activity_batch_line") == 0
    assert outcomes(partner) == {}


def test_who_is_overtaken_within_a_chunk_is_told_so_and_not_that_its_lines_stand(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor took the same refused lines meanwhile: their rows stand, and are nobody's mistake."""
    taken_over: list[int] = []

    def overtaken(call: Call, intake: Intake, chunk: pl.DataFrame) -> pl.DataFrame:
        if not taken_over:
            taken_over.append(0)
            later = NOW + LEASE + timedelta(seconds=1)
            with ThreadPoolExecutor(1) as other:
                turn = other.submit(partner.work, lambda work: partner.database.run(work, now=later))
                taken_over[0] = turn.result()
        return take_chunk(call, intake, chunk)

    monkeypatch.setattr(turns, "take_chunk", overtaken)
    batch = partner.open().json["id"]
    partner.upload(batch, rides(3, subject="card-x"))
    assert partner.work() == 0
    assert taken_over == [1]
    assert partner.get(f"/{batch}").json["lines_done"] == lines_kept(partner) == 3


def test_who_reads_while_lanes_work_misses_no_line(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_results, "PAGE_LINES", 300)
    monkeypatch.setattr(chunks, "LONG_CHUNK_LINES", LINES)
    first_is_in, go_on = threading.Event(), threading.Event()
    lanes = iter(range(4))
    lock = threading.Lock()

    def run(work: Callable[[Call], Any]) -> Any:
        if not takes_a_chunk(work):
            return partner.database.run(work)
        with lock:
            number = next(lanes)
        if number == 3:
            assert go_on.wait(30)
        done = partner.database.run(work)
        if number == 2:
            first_is_in.set()
        return done

    def seen() -> list[int]:
        (batch,) = partner.database.rows("SELECT id FROM activity_batch")
        return [row.line for page in every_line(partner.database.run, batch.id) for row in page]

    two_chunks = BODY + body(OTHERS, "o")
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(import_file, run, BytesIO(two_chunks), order(partner, chunk_lines=LINES))
        assert first_is_in.wait(30)
        meanwhile = seen()
        lines_done = partner.database.rows("SELECT lines_done FROM activity_batch")[0].lines_done
        go_on.set()
        whole.result()
    assert lines_done > LINES
    assert meanwhile == list(range(1, LINES + 1))
    assert seen() == list(range(1, 2 * LINES + 1))


def test_ids_of_one_intake_lie_together_so_a_posting_finds_its_activities(partner: Partner) -> None:
    import_file(partner.database.run, BytesIO(BODY), order(partner))
    grouped = partner.database.rows(
        "SELECT coin_transfer_id, count(*) AS n, count(DISTINCT left(CAST(id AS text), 13)) AS moments"
        " FROM activity WHERE coin_transfer_id IS NOT NULL GROUP BY 1"
    )
    assert max(row.n for row in grouped) > 1
    assert {row.moments for row in grouped} == {1}
