"""Whose ride it is: the card's owner of today, but never of a day that was another's or not agreed to."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from carbon.activities.errors import CardWasAnothers, ConsentWasWithdrawn
from carbon.activities.intake import take_activity
from carbon.partners.bindings import bind, give_consent, unbind, withdraw_consent
from carbon.partners.consent_texts import CONSENT_TEXTS, GENERAL
from carbon.partners.tables import Binding
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from tests.carbon.city import SECRET, City, lines, plant_city, ride
from tests.carbon.test_intake import activities
from tests.conftest import NOW, REGION

DAY = timedelta(days=1)


@pytest.fixture
def city(call: Call) -> City:
    return plant_city(call)


class Person:
    """A citizen who consents and binds at times of the past."""

    def __init__(self, call: Call, city: City) -> None:
        self.call, self.city, self.id = call, city, new_id()

    def at(self, now: datetime) -> Call:
        """A call of this citizen at that time."""
        return replace(self.call, now=now, actor=Actor(kind=ActorKind.CITIZEN, id=self.id, region_id=REGION))

    def consent(self, now: datetime) -> None:
        """Agree."""
        version = CONSENT_TEXTS[GENERAL].version
        give_consent(self.at(now), self.city.partner_id, text_version=version)

    def bind(self, now: datetime) -> UUID:
        """Bind the card."""
        self.consent(now)
        call = self.at(now)
        bound = bind(call, self.city.partner_id, card_secret=SECRET, subject_number="card-1")
        assert isinstance(bound, Binding)
        return bound.id


def send(call: Call, city: City, event: str, occurred_at: datetime) -> None:
    line = lines(ride(event, "card-1", metres=4_000, occurred_at=occurred_at))
    take_activity(call, city.intake(), line)


def test_a_former_owners_rides_never_go_to_the_new_one(call: Call, city: City) -> None:
    former, owner = Person(call, city), Person(call, city)
    unbind(former.at(NOW - 2 * DAY), former.bind(NOW - 10 * DAY))
    owner.bind(NOW - DAY)
    for days in (3, 20):  # while it was the former's, and before: it may have been theirs already
        with pytest.raises(CardWasAnothers):
            send(call, city, f"e{days}", NOW - days * DAY)
    assert activities(call) == []
    send(call, city, "between", NOW - 2 * DAY)
    send(call, city, "now", NOW)
    assert {each.citizen_id for each in activities(call)} == {owner.id}


def test_a_card_bound_again_by_the_same_citizen_keeps_its_rides(call: Call, city: City) -> None:
    owner = Person(call, city)
    unbind(owner.at(NOW - 2 * DAY), owner.bind(NOW - 10 * DAY))
    owner.bind(NOW - DAY)
    send(call, city, "e1", NOW - 3 * DAY)
    send(call, city, "e2", NOW - 800 * DAY)
    assert len(activities(call)) == 2


def test_what_happened_while_the_consent_was_withdrawn_is_never_credited(call: Call, city: City) -> None:
    owner = Person(call, city)
    owner.bind(NOW - 20 * DAY)
    withdraw_consent(owner.at(NOW - 10 * DAY), owner.id, city.partner_id)
    owner.consent(NOW - 8 * DAY)
    withdraw_consent(owner.at(NOW - 6 * DAY), owner.id, city.partner_id)
    owner.consent(NOW - 4 * DAY)
    for hours in (24 * 10, 24 * 9, 24 * 8 + 1, 24 * 5):
        with pytest.raises(ConsentWasWithdrawn):
            send(call, city, f"e{hours}", NOW - timedelta(hours=hours))
    for days in (30, 15, 8, 7, 4, 0):  # before the first consent, and in each of the three
        send(call, city, f"e{days}", NOW - days * DAY)
    assert len(activities(call)) == 6
