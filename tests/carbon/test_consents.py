"""A newer text is agreed to anew, on record and without a gap; who did not is not entered into a home."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from carbon.activities.intake import take_chunk
from carbon.households.errors import ConsentOutdated
from carbon.partners.bindings import (
    CitizenCard,
    bind_many,
    give_consent,
    hash_subject,
    is_in_force,
    withdraw_consent,
)
from carbon.partners.errors import TextOutdated
from carbon.partners.registry import find_partner, register_partner
from carbon.partners.tables import Consent
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from tests.carbon.city import SECRET, City, lines, plant_city, ride
from tests.carbon.households.street import REGISTERED, Street, home_order, member_order, plant_street
from tests.conftest import NOW, REGION, at

DAY = timedelta(days=1)
GIVEN, RENEWED = NOW - 10 * DAY, NOW - 5 * DAY


def sells_power(call: Call, city: City) -> City:
    """The same city with a partner whose consent has a second text."""
    made = register_partner(call, name="a grid", region_id=REGION, data_source="electricity")
    return replace(city, partner_id=made.partner.id, api_key=made.api_key)


class Person:
    """A citizen with a card who agreed to the first text."""

    def __init__(self, call: Call, city: City, card: str = "card-1") -> None:
        self.call, self.city, self.id = call, city, new_id()
        hashed = hash_subject(SECRET, partner_id=city.partner_id, subject=card)
        partner = find_partner(call, city.partner_id)
        bind_many(at(call, GIVEN), partner, [CitizenCard(self.id, hashed)], text_version="v1")

    def agree(self, version: str = "v2", *, now: datetime = RENEWED) -> Consent:
        """Agree to a text."""
        actor = Actor(kind=ActorKind.CITIZEN, id=self.id, region_id=REGION)
        call = replace(self.call, now=now, actor=actor)
        return give_consent(call, self.city.partner_id, text_version=version)

    def stands(self) -> list[tuple[str, datetime, datetime | None]]:
        """The consents, first to last."""
        self.call.db.expire_all()
        found = self.call.db.query(Consent).filter_by(citizen_id=self.id).order_by(Consent.id)
        return [(each.text_version, each.given_at, each.withdrawn_at) for each in found]


@pytest.fixture
def person(call: Call) -> Person:
    return Person(call, sells_power(call, plant_city(call)))


def audited(call: Call, citizen: UUID) -> list[tuple[str, str | None]]:
    call.db.flush()
    found = call.db.execute(
        text(
            "SELECT facts ->> 'text_version', facts ->> 'in_place_of' FROM audit_entry"
            " WHERE action = 'consent.give' AND principal = :citizen"
        ),
        {"citizen": f"citizen:{citizen}"},
    )
    return [(row[0], row[1]) for row in found]


def test_a_newer_text_ends_the_consent_to_the_former_one_at_the_same_instant(
    call: Call, person: Person
) -> None:
    given = person.agree()
    assert given.text_version == "v2"
    assert person.agree(now=NOW).id == given.id
    assert person.stands() == [("v1", GIVEN, RENEWED), ("v2", RENEWED, None)]
    assert audited(call, person.id) == [("v2", "v1")]
    for version in ("v1", "v3"):
        with pytest.raises(TextOutdated):
            person.agree(version)


def test_nothing_that_happened_around_it_is_refused(call: Call, person: Person) -> None:
    person.agree()
    moment = timedelta(microseconds=1)
    rides = [
        ride(f"e{place}", "card-1", metres=100, occurred_at=when)
        for place, when in enumerate((RENEWED - moment, RENEWED, RENEWED + moment, GIVEN - DAY, NOW))
    ]
    assert set(take_chunk(call, person.city.intake(), lines(*rides))["outcome"]) == {"credited"}


def test_a_clock_that_is_behind_does_not_end_a_consent_before_it_began(person: Person) -> None:
    person.agree(now=GIVEN - DAY)
    assert person.stands() == [("v1", GIVEN, GIVEN), ("v2", GIVEN, None)]


def test_the_consent_to_a_former_text_is_withdrawn_with_the_newer(call: Call, person: Person) -> None:
    former = call.db.query(Consent).filter_by(citizen_id=person.id).one()
    assert is_in_force(call, former)
    person.agree()
    call.db.expire_all()
    assert is_in_force(call, former)
    withdraw_consent(at(call, NOW - DAY), person.id, person.city.partner_id)
    call.db.expire_all()
    assert not is_in_force(call, former)
    person.agree(now=NOW)
    call.db.expire_all()
    assert not is_in_force(call, former)  # what was given anew is not that one


def test_who_agreed_to_the_former_text_is_not_entered_into_a_home(call: Call) -> None:
    street = Street(call, sells_power(call, plant_street(call)))
    person = Person(call, street.city, "acc-91")
    order = home_order(members=[member_order("acc-91")])
    with pytest.raises(ConsentOutdated) as refused, call.db.begin_nested():
        street.register(order)
    assert (refused.value.pointer, refused.value.facts) == ("/body/members/0/subject", {"current": "v2"})
    person.agree(now=REGISTERED)
    assert len(street.register(order).members) == 1
