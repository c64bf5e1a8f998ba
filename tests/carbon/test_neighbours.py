"""Numbers are ordered by whose they are, and the parts of a chunk are of neighbours."""

import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.factory import Product
from carbon.activities import neighbours, turns
from carbon.activities.chunks import PART_LINES_LEAST
from carbon.activities.imports import ImportOrder, import_file
from carbon.activities.intake import Intake, take_chunk
from carbon.activities.neighbours import Neighbours
from carbon.activities.subjects import SubjectHashes
from kernel.call import Call
from tests.carbon.city import SECRET
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson
from tests.conftest import Database

CARDS = [f"card-{number:03}" for number in range(40)]
LINES = 6 * PART_LINES_LEAST
SHORT = {**RECORD, "quantity": 600}
"""A day's coins hold several of these."""


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    # Bound in another order than that of their numbers: the first card's owner came in the middle.
    return make_partner(product, database, tmp_path / "uploads", *CARDS[1::2], *CARDS[::2])


class Looks:
    """Counts the units of work that look for owners."""

    def __init__(self, database: Database) -> None:
        self.database, self.count = database, 0

    def __call__(self, look: Callable[[Call], pl.DataFrame]) -> pl.DataFrame:
        self.count += 1
        return self.database.run(look)


def neighbours_of(partner: Partner) -> tuple[Neighbours, Looks]:
    looks = Looks(partner.database)
    return Neighbours(looks, SubjectHashes(SECRET, partner_id=partner.city.partner_id)), looks


def test_a_number_is_ordered_by_its_owner_and_nobodys_by_its_hash(partner: Partner) -> None:
    found, looks = neighbours_of(partner)
    asked = pl.Series([CARDS[3], None, "card-x", CARDS[0], CARDS[3]])
    order = found.order(asked)
    own = [str(partner.owners[card]) for card in (CARDS[3], CARDS[0], CARDS[3])]
    assert [order[0], order[3], order[4]] == own
    assert order[1] is None
    assert len(order[2]) == 64
    assert found.order(asked).equals(order, null_equal=True)
    assert looks.count == 1
    assert found.order(pl.Series([CARDS[5], CARDS[3]])).to_list()[1] == own[0]
    assert looks.count == 2


def test_what_is_forgotten_is_looked_for_again(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST", 10)
    found, looks = neighbours_of(partner)
    whole = found.order(pl.Series(CARDS))
    again = found.order(pl.Series(CARDS[:20]))
    assert again.equals(whole[:20])
    assert looks.count == 2
    assert None not in whole.to_list()


def test_a_long_file_is_taken_in_parts_of_neighbours(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[set[str]] = []
    lock = threading.Lock()

    def noted(call: Call, intake: Intake, lines: pl.DataFrame) -> pl.DataFrame:
        with lock:
            taken.append({str(partner.owners[card]) for card in lines["subject"].unique()})
        return take_chunk(call, intake, lines)

    monkeypatch.setattr(turns, "take_chunk", noted)
    body = ndjson(
        *(
            {
                **RECORD,
                "source_event_id": f"e{number}",
                "subject": CARDS[number % 40],
                "occurred_at": f"2026-11-{number % 19 + 1:02}T11:00:00+08:00",
            }
            for number in range(LINES)
        )
    )
    done = import_file(partner.database.run, BytesIO(body), order(partner, chunk_lines=2 * PART_LINES_LEAST))
    assert done.outcomes == {"credited": LINES}
    people = sorted(str(owner) for owner in partner.owners.values())
    places = sorted(sorted(people.index(who) for who in part) for part in taken)
    assert len(places) == 6
    assert [place for part in places for place in part] == list(range(40))
    assert partner.broken() == []


def test_who_has_most_of_a_file_gets_the_days_coins_in_the_order_of_the_lines(partner: Partner) -> None:
    """In several pieces, one after another: the first lines bring coins, and all others are cut."""
    body = ndjson(
        *(
            {**SHORT, "source_event_id": f"e{number}", "subject": CARDS[7 if number % 10 else 9]}
            for number in range(LINES)
        )
    )
    done = import_file(partner.database.run, BytesIO(body), order(partner, chunk_lines=2 * PART_LINES_LEAST))
    assert done.outcomes == {"credited": LINES}
    rows = partner.database.rows(
        "SELECT coin_milli, coin_cut_milli FROM activity WHERE citizen_id = :who ORDER BY line_no",
        who=partner.owners[CARDS[7]],
    )
    given = [row.coin_milli for row in rows]
    first_cut = next(place for place, row in enumerate(rows) if row.coin_cut_milli)
    assert 0 < first_cut < 100
    assert all(given[:first_cut])
    assert not any(given[first_cut + 1 :])
    assert partner.broken() == []


def order(partner: Partner, **more: Any) -> ImportOrder:
    given = {"adapter": "ndjson", "reference": "long", "card_secret": SECRET, **more}
    return ImportOrder(partner_id=partner.city.partner_id, **given)
