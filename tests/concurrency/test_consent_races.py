"""Threads on real PostgreSQL: one consent is open, whatever is agreed to and withdrawn at once."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from carbon.partners.bindings import (
    CitizenCard,
    bind,
    bind_many,
    give_consent,
    hash_subject,
    withdraw_consent,
)
from carbon.partners.registry import find_partner
from carbon.partners.tables import Binding
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from tests.carbon.city import SECRET, City, plant_city
from tests.carbon.test_consents import sells_power
from tests.concurrency.test_household_races import at_once
from tests.conftest import REGION, Database

THREADS = 8


@pytest.fixture
def city(database: Database) -> City:
    return database.run(lambda call: sells_power(call, plant_city(call)))


def who_agreed_to_the_former(database: Database, city: City) -> UUID:
    citizen = new_id()
    hashed = hash_subject(SECRET, partner_id=city.partner_id, subject=f"card-{citizen}")
    cards = [CitizenCard(citizen, hashed)]
    database.run(lambda call: bind_many(call, find_partner(call, city.partner_id), cards, text_version="v1"))
    return citizen


def agreeing(database: Database, city: City, citizen: UUID) -> Callable[[], object]:
    def work(call: Call) -> object:
        return give_consent(own(call, citizen), city.partner_id, text_version="v2").id

    return lambda: database.run(work)


def own(call: Call, citizen: UUID) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.CITIZEN, id=citizen, region_id=REGION))


def versions(database: Database, citizen: UUID, *, where: str = "true") -> list[str]:
    rows = database.rows(
        f"SELECT text_version FROM consent WHERE citizen_id = '{citizen}' AND {where} ORDER BY id"  # noqa: S608 - ours
    )
    return [row[0] for row in rows]


def test_eight_that_agree_to_a_newer_text_at_once_agree_once(database: Database, city: City) -> None:
    citizen = who_agreed_to_the_former(database, city)
    told = at_once([agreeing(database, city, citizen)] * THREADS)
    assert len(set(map(str, told))) == 1
    assert versions(database, citizen) == ["v1", "v2"]
    assert versions(database, citizen, where="withdrawn_at IS NULL") == ["v2"]
    assert database.rows(
        f"SELECT count(*) FROM audit_entry WHERE action = 'consent.give' AND principal = 'citizen:{citizen}'"  # noqa: S608 - ours
    )[0] == (1,)


def test_a_withdrawal_beside_it_ends_what_is_open(database: Database, city: City) -> None:
    """Whichever is first: one consent at most is open, and who withdrew and was told so has withdrawn."""
    for _ in range(6):
        citizen = who_agreed_to_the_former(database, city)
        withdrawing: Callable[[], object] = lambda who=citizen: database.run(  # type: ignore[misc]  # noqa: E731
            lambda call: withdraw_consent(own(call, who), who, city.partner_id)
        )
        agreed, withdrew = at_once([agreeing(database, city, citizen), withdrawing])
        assert withdrew is True
        left = versions(database, citizen, where="withdrawn_at IS NULL")
        # Withdrawn first, the newer text is a consent of its own; after it, nothing is open.
        assert left in ([], ["v2"]) or agreed == "busy"
        ended = versions(database, citizen, where="withdrawn_at IS NOT NULL")
        assert ended == (["v1"] if left else ["v1", "v2"][: len(ended)])


def test_a_card_is_bound_beside_it(database: Database, city: City) -> None:
    for number in range(6):
        citizen = who_agreed_to_the_former(database, city)

        def binding(call: Call, citizen: UUID = citizen, number: int = number) -> object:
            return isinstance(
                bind(
                    own(call, citizen),
                    city.partner_id,
                    card_secret=SECRET,
                    subject_number=f"second-{number}",
                ),
                Binding,
            )

        _, bound = at_once([agreeing(database, city, citizen), lambda work=binding: database.run(work)])  # type: ignore[misc]
        assert bound is True
        assert versions(database, citizen, where="withdrawn_at IS NULL") == ["v2"]
