"""What stands is a duplicate, whatever happened since, and in whichever order and form it comes again."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest

from app.factory import Product
from carbon.activities import duplicates
from carbon.activities.batch_results import every_line
from carbon.activities.duplicates import Segment, sifted
from carbon.activities.errors import BatchTaken
from carbon.activities.subjects import SubjectHashes
from carbon.activities.turns import LEASE
from carbon.partners.bindings import withdraw_consent
from kernel.call import Call
from kernel.identifiers import new_id, parse_public_id
from tests.carbon.city import SECRET, City, lines, plant_city, ride
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson, rides
from tests.carbon.test_batches import Killed, killed_after
from tests.conftest import NOW, Database

PATIENCE = 10


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    return make_partner(product, database, tmp_path / "uploads", "card-017", "card-018")


@pytest.fixture
def city(call: Call) -> City:
    planted = plant_city(call)
    planted.bind(call, ["card-017", "card-018"])
    return planted


def shuffled(body: bytes) -> bytes:
    rows = body.splitlines(keepends=True)
    random.Random(7).shuffle(rows)  # noqa: S311 - an order, not a secret
    return b"".join(rows)


def told(partner: Partner, batch: str) -> list[tuple[int, str, str | None]]:
    """Every line of a batch, as its partner downloads it."""
    batch_id = parse_public_id("bat", batch)
    return [
        (row.line, row.outcome, row.code)
        for page in every_line(partner.database.run, batch_id)
        for row in page
    ]


def test_a_file_again_in_another_order_and_form_is_duplicates_in_one_row(partner: Partner) -> None:
    first = partner.send(rides(300), reference="first")
    assert [(row["outcome"], row["lines"]) for row in first["outcomes"]] == [("credited", 300)]
    posted = partner.count("ledger_transfer")
    again = partner.send(shuffled(rides(300)), reference="again")
    assert [(row["code"], row["lines"]) for row in again["outcomes"]] == [("duplicate", 300)]
    rows = [{**RECORD, "source_event_id": f"e{number}"} for number in range(300)]
    sheet = pl.DataFrame(rows).write_csv().encode()
    third = partner.send(sheet, adapter="csv", reference="as csv")
    assert [(row["code"], row["lines"]) for row in third["outcomes"]] == [("duplicate", 300)]
    assert (partner.count("activity"), partner.count("ledger_transfer")) == (300, posted)
    kept = partner.database.rows("SELECT line_no, lines FROM activity_batch_line ORDER BY batch_id")
    assert kept == [(300, 300), (301, 300)]
    assert told(partner, again["id"]) == [(n, "duplicate", "duplicate") for n in range(1, 301)]
    assert partner.broken() == []


def test_lines_that_share_a_row_are_read_page_by_page_each_once(partner: Partner) -> None:
    partner.send(rides(60), reference="first")
    blank_between = rides(10) + b"\n\n" + rides(10)
    mixed = (
        blank_between + ndjson({**RECORD, "subject": "card-x", "source_event_id": "x"}) + rides(60) + b"{\n"
    )
    batch = partner.send(mixed, reference="again")
    standing = (*range(1, 11), *range(13, 23), *range(24, 84))
    expected = sorted(
        [
            *((number, "duplicate", "duplicate") for number in standing),
            (23, "rejected", "unbound_card"),
            (84, "rejected", "line_not_json"),
        ]
    )
    assert told(partner, batch["id"]) == expected
    assert [row["lines"] for row in batch["outcomes"]] == [80, 1, 1]
    paged, cursor = [], None
    while True:
        page = partner.get(f"/{batch['id']}/lines", limit=7, **({"after": cursor} if cursor else {})).json
        paged += [(row["line"], row["outcome"], row["code"]) for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert paged == expected
    rejected = partner.get(f"/{batch['id']}/lines", outcome="rejected").json["items"]
    assert [row["line"] for row in rejected] == [23, 84]
    rows = partner.database.rows(
        "SELECT line_no, lines FROM activity_batch_line WHERE batch_id ="
        " (SELECT id FROM activity_batch WHERE reference = 'again') ORDER BY line_no"
    )
    assert rows == [(10, 10), (22, 10), (23, 1), (83, 60), (84, 1)]


def test_new_lines_among_duplicates_are_credited_and_changed_ones_refused(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In segments of a few lines, so that some hold nothing new and some nothing that stands."""
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", 50)
    partner.send(rides(200), reference="first")
    changed = ndjson(*({**RECORD, "source_event_id": f"e{n}", "quantity": 9_000} for n in (3, 150)))
    others = ndjson({**RECORD, "source_event_id": "e4", "subject": "card-018"})
    corrected = ndjson({**RECORD, "source_event_id": "e5", "quantity": 8_000, "corrects_revision": 1})
    new = ndjson(*({**RECORD, "source_event_id": f"n{n}", "subject": "card-018"} for n in range(30)))
    batch = partner.send(
        rides(120) + changed + new + others + corrected + corrected + rides(200) + new, reference="mixed"
    )
    found = {(row["outcome"], row["code"]): row["lines"] for row in batch["outcomes"]}
    # Beside corrections a fact's lines are taken one after another: what repeats a line finds its record.
    assert found == {
        ("duplicate", "duplicate"): 120 + 200 + 1 + 30,
        ("rejected", "record_differs"): 3,
        ("credited", None): 30 + 1,
    }
    again = partner.send(shuffled(corrected + new + rides(200)), reference="again")
    assert [(row["code"], row["lines"]) for row in again["outcomes"]] == [("duplicate", 231)]
    assert partner.broken() == []


@pytest.mark.parametrize("rows", [1, 100])
def test_a_duplicate_stays_one_when_card_and_consent_are_gone(partner: Partner, rows: int) -> None:
    """One by one too: what was taken is not asked again whose it is."""
    partner.send(rides(rows), reference="first")
    citizen = partner.owners["card-017"]
    partner.database.run(lambda call: withdraw_consent(call, citizen, partner.city.partner_id))
    again = partner.send(rides(rows + 1), reference="again")
    assert {row["code"]: row["lines"] for row in again["outcomes"]} == {
        "duplicate": rows,
        "consent_withdrawn": 1,
    }
    assert partner.push({**RECORD, "source_event_id": "e0"}).json["outcome"] == "duplicate"
    assert partner.push({**RECORD, "source_event_id": "e0", "quantity": 7}).status_code == 422
    assert partner.push({**RECORD, "source_event_id": "unheard"}).json["code"] == "consent_withdrawn"


@pytest.mark.parametrize("commits", range(9))
def test_who_goes_on_after_a_kill_among_duplicates_leaves_the_same(partner: Partner, commits: int) -> None:
    partner.send(rides(30), reference="first")
    batch = partner.open("killed").json["id"]
    new = ndjson(*({**RECORD, "source_event_id": f"n{n}", "subject": "card-018"} for n in range(25)))
    partner.upload(batch, rides(20) + new + rides(30))
    with pytest.raises(Killed):
        partner.work(killed_after(partner.database, commits), chunk_lines=10)

    def later(work: Callable[[Call], Any]) -> Any:
        return partner.database.run(work, now=NOW + LEASE + timedelta(seconds=1))

    partner.work(later, chunk_lines=7)
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], shown["lines_done"]) == ("done", 75)
    assert Counter(outcome for _, outcome, _ in told(partner, batch)) == {"duplicate": 50, "credited": 25}
    assert partner.broken() == []


def test_frames_keep_their_order_and_segments_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", 5)
    every = lines(*(ride(f"e{number}") for number in range(20))).with_columns(pl.col("line_no") - 2)
    frames = every.iter_slices(2)
    gathered: list[tuple[int, int, int]] = []

    def leave_out(segment: Segment) -> pl.DataFrame:
        gathered.append((segment.lines_before, segment.lines, segment.last_line))
        return segment.claims.filter(pl.col("line_no") % 2 == 1).select("file_no", "line_no")

    left = sifted(
        frames,
        subjects=SubjectHashes(SECRET, partner_id=new_id()),
        stand=lambda claims: claims["line_no"][0] in {2, 4, 6, 8, 10, 14, 18},
        leave_out=leave_out,
    )
    assert [n for frame in left for n in frame["line_no"]] == [0, 1, 2, 4, 6, 8, 10, 12, 13, 14, 16, 17, 18]
    assert gathered == [(2, 6, 7), (8, 4, 11), (14, 2, 15), (18, 2, 19)]


def test_a_segment_is_compared_while_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", 5)
    every = lines(*(ride(f"e{number}") for number in range(10)))
    next_is_read, compared = Event(), []

    def frames() -> Iterator[pl.DataFrame]:
        yield every.head(5)
        next_is_read.set()
        yield every.tail(5)

    def leave_out(segment: Segment) -> pl.DataFrame:
        compared.append(next_is_read.wait(PATIENCE))
        return segment.claims.select("file_no", "line_no")

    subjects = SubjectHashes(SECRET, partner_id=new_id())
    left = sifted(frames(), subjects=subjects, stand=lambda _claims: True, leave_out=leave_out)
    assert [frame.height for frame in left] == []
    assert compared == [True, True]


def test_what_a_comparison_refuses_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", 5)
    every = lines(*(ride(f"e{number}") for number in range(10)))

    def leave_out(_segment: Segment) -> pl.DataFrame:
        raise BatchTaken

    subjects = SubjectHashes(SECRET, partner_id=new_id())
    left = sifted(every.iter_slices(2), subjects=subjects, stand=lambda _claims: True, leave_out=leave_out)
    with pytest.raises(BatchTaken):
        list(left)


def test_segments_that_wait_are_not_compared_after_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "SEGMENT_LINES", 5)
    every = lines(*(ride(f"e{number}") for number in range(40)))
    waiting, asked = Event(), []

    def frames() -> Iterator[pl.DataFrame]:
        yield from every.iter_slices(5)
        waiting.set()

    def leave_out(segment: Segment) -> pl.DataFrame:
        asked.append(segment.last_line)
        waiting.wait(0.5)
        raise BatchTaken

    subjects = SubjectHashes(SECRET, partner_id=new_id())
    left = sifted(frames(), subjects=subjects, stand=lambda _claims: True, leave_out=leave_out)
    with pytest.raises(BatchTaken):
        list(left)
    assert len(asked) < 8
