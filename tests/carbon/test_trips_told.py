"""What a partner reads of the trip that was first: never that two of its cards are one person's."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.factory import Product
from carbon.activities.intake import take_chunk
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner
from kernel.call import Call
from kernel.identifiers import new_id
from tests.carbon.city import SECRET, City, lines, publish_rule
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson
from tests.carbon.test_trips import CARD, RAIL, plant_two, trip
from tests.conftest import Database

OTHER = "card-other"
FIRST = "first: 2026-11-19 08:02 until 2026-11-19 08:31, file 1 line 2"
SLOT = "first: 2026-11-19 08:20, by an earlier record"
Told = tuple[str, str | None, str | None, str | None]


def refused(detail: str) -> Told:
    return "rejected", "trip_claimed", "/occurred_at", detail


def bind_to(call: Call, city: City, citizen: UUID, card: str) -> None:
    hashed = CitizenCard(citizen, hash_subject(SECRET, partner_id=city.partner_id, subject=card))
    bind_many(call, find_partner(call, city.partner_id), [hashed], text_version="v1")


class Town:
    """A metro and an app; one citizen has two cards of the metro, and one of the app."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.metro, self.app, citizen = plant_two(call)
        publish_rule(call, "trip_claims", "rail", RAIL)
        bind_to(call, self.metro, citizen, OTHER)

    def chunk(self, city: City, *rows: dict[str, Any], batch_id: UUID | None = None) -> list[Told]:
        """Outcome, code, pointer and detail of lines that come together."""
        taken = take_chunk(self.call, city.intake(batch_id=batch_id), lines(*rows))
        return taken.select("outcome", "code", "pointer", "detail").rows()


@pytest.fixture
def town(call: Call) -> Town:
    return Town(call)


def first(card: str = CARD, event: str = "e1") -> dict[str, Any]:
    return trip(event, "08:02", "08:31", card)


def second(card: str, event: str = "e2") -> dict[str, Any]:
    return trip(event, "08:20", "08:40", card)


@pytest.mark.parametrize("batch_id", [None, UUID(int=1)])
def test_in_one_chunk_the_first_is_named_to_its_own_card_alone(town: Town, batch_id: UUID | None) -> None:
    told = town.chunk(town.metro, first(), second(OTHER), second(CARD, "e3"), batch_id=batch_id)
    assert told[1:] == [refused(SLOT), refused(FIRST)]


def test_another_card_is_told_what_another_partner_is_in_chunks_of_their_own(town: Town) -> None:
    batch_id = new_id()
    assert town.chunk(town.metro, first(), batch_id=batch_id)[0][0] == "credited"
    asked = [
        town.chunk(town.app, second(CARD, "a1"))[0],
        town.chunk(town.metro, second(OTHER))[0],
        town.chunk(town.metro, second(OTHER), batch_id=new_id())[0],
        # Of a record that stands its card is not kept: who asked with it would tell by the words.
        town.chunk(town.metro, second(CARD))[0],
        town.chunk(town.metro, second(CARD), batch_id=new_id())[0],
    ]
    assert asked == [refused(SLOT)] * 5


def corrected_between(card: str) -> list[dict[str, Any]]:
    """A correction of this card between two lines of another: a chunk of more than one step."""
    before = trip("x1", "11:00", "11:10", card)
    return [first(), {**before, "corrects_revision": 1}, second(CARD, "e3"), second(OTHER)]


@pytest.mark.parametrize("card", [OTHER, "card-stranger"])
def test_what_a_card_is_told_does_not_hang_on_corrections_of_another(town: Town, card: str) -> None:
    town.metro.bind(town.call, ["card-stranger"])
    assert town.chunk(town.metro, trip("x1", "10:00", "10:10", card))[0][0] == "credited"
    told = town.chunk(town.metro, *corrected_between(card), batch_id=new_id())
    assert [each[0] for each in told] == ["credited", "credited", "rejected", "rejected"]
    assert told[2:] == [refused(FIRST), refused(SLOT)]


def test_a_line_of_the_same_number_in_another_batch_is_not_taken_for_the_first(town: Town) -> None:
    """Places repeat from batch to batch, and those of single records always."""
    assert town.chunk(town.metro, first(), batch_id=new_id())[0][0] == "credited"
    assert town.chunk(town.metro, second(CARD), batch_id=new_id()) == [refused(SLOT)]
    town.chunk(town.metro, trip("f1", "12:02", "12:31"))
    told = town.chunk(town.metro, trip("f2", "12:20", "12:40"), trip("f3", "13:00", "13:10"))
    assert told[0] == refused("first: 2026-11-19 12:20, by an earlier record")


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    made = make_partner(product, database, tmp_path / "uploads", CARD)
    database.run(lambda call: bind_to(call, made.city, made.owners[CARD], OTHER))
    database.run(lambda call: publish_rule(call, "trip_claims", "rail", RAIL))
    return made


def record(event: str, start: str, end: str, card: str) -> dict[str, Any]:
    times = {"started_at": f"2026-11-19T{start}:00+08:00", "occurred_at": f"2026-11-19T{end}:00+08:00"}
    return {**RECORD, "source_event_id": event, "subject": card, **times}


FIRST_RECORD = record("e1", "08:02", "08:31", CARD)
SECOND = {card: record(f"of-{card}", "08:20", "08:40", card) for card in (CARD, OTHER)}


def details(partner: Partner, reference: str, *records: dict[str, Any]) -> list[tuple[Any, ...]]:
    batch = partner.send(ndjson(*records), reference=reference)
    listed = partner.get(f"/{batch['id']}/lines").json["items"]
    return [(each["code"], each["pointer"], each["detail"]) for each in listed]


def test_two_cards_in_one_file_in_two_and_in_records_of_their_own(partner: Partner) -> None:
    one_file = details(partner, "one", FIRST_RECORD, SECOND[OTHER], SECOND[CARD])
    claimed = ("trip_claimed", "/occurred_at", SLOT)
    assert one_file[1:] == [claimed, (*claimed[:2], FIRST.replace("line 2", "line 1"))]
    assert details(partner, "two", SECOND[OTHER]) == details(partner, "three", SECOND[CARD]) == [claimed]
    for card in (OTHER, CARD):
        answer = partner.push(SECOND[card])
        assert (answer.status_code, answer.json["code"], answer.json["detail"]) == (409, "trip_claimed", SLOT)
    assert partner.broken() == []
