"""A publication is proposed by one person, published by another, and never edited."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import new_id
from kernel.publications.errors import (
    AuthorCannotPublish,
    NoRuleInForce,
    NotADraft,
    PublicationsOverlap,
    RuleContentWrong,
)
from kernel.publications.publishing import Draft, draft, in_force, maybe_in_force, publish, signature_holds
from kernel.publications.tables import Publication
from tests.conftest import REGION, Database

RATE = Draft(
    region_id=REGION,
    kind="coin_rate",
    subject="activity",
    title="1 coin for 10 g",
    content={"coins_milli": 1000, "per_mg": 10_000},
    source="a test's own rule",
    effective_from=date(2026, 1, 1),
)


def person(call: Call) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))


def published(call: Call, proposal: Draft) -> Publication:
    return publish(person(call), draft(person(call), proposal).id, reason="reviewed")


def on(call: Call, day: date) -> Any:
    return in_force(call, region_id=REGION, kind="coin_rate", subject="activity", day=day).content


def test_another_person_puts_it_in_force_signed(call: Call) -> None:
    made = published(call, RATE)
    assert on(call, date(2026, 1, 1)) == {"coins_milli": 1000, "per_mg": 10_000}
    assert signature_holds(call, made)


def test_before_its_day_and_as_a_draft_it_rules_nothing(call: Call) -> None:
    draft(person(call), RATE)
    with pytest.raises(NoRuleInForce):
        on(call, date(2026, 5, 1))
    published(call, RATE)
    with pytest.raises(NoRuleInForce):
        on(call, date(2025, 12, 31))
    assert (
        maybe_in_force(call, region_id="CN-GD", kind="coin_rate", subject="activity", day=date(2026, 5, 1))
        is None
    )


def test_its_author_cannot_publish_it(call: Call) -> None:
    author = person(call)
    made = draft(author, RATE)
    with pytest.raises(AuthorCannotPublish):
        publish(author, made.id, reason="mine")


def test_it_is_published_once(call: Call) -> None:
    made = published(call, RATE)
    with pytest.raises(NotADraft):
        publish(person(call), made.id, reason="again")


def test_a_successor_takes_over_on_its_first_day(call: Call) -> None:
    published(call, RATE)
    published(
        call, replace(RATE, content={"coins_milli": 500, "per_mg": 10_000}, effective_from=date(2026, 7, 1))
    )
    assert on(call, date(2026, 6, 30))["coins_milli"] == 1000
    assert on(call, date(2026, 7, 1))["coins_milli"] == 500


def test_what_would_start_before_a_standing_one_is_refused(call: Call) -> None:
    published(call, RATE)
    with pytest.raises(PublicationsOverlap), call.db.begin_nested():
        published(call, replace(RATE, effective_from=date(2025, 7, 1)))
    assert on(call, date(2026, 6, 30))["coins_milli"] == 1000


def test_any_changed_letter_breaks_the_signature(call: Call) -> None:
    made = published(call, RATE)
    call.db.flush()
    call.db.expunge(made)  # what is changed below must not be written
    for change in (
        {"title": "2 coins for 10 g"},
        {"content": {"coins_milli": 1001, "per_mg": 10_000}},
        {"source": "nobody"},
        {"effective_from": date(2026, 1, 2)},
    ):
        for name, value in change.items():
            before = getattr(made, name)
            setattr(made, name, value)
            broken = not signature_holds(call, made)
            setattr(made, name, before)
            assert broken, name
    assert signature_holds(call, made)


def test_a_float_cannot_be_proposed(call: Call) -> None:
    with pytest.raises(RuleContentWrong):
        draft(person(call), replace(RATE, content={"coins_milli": 0.1, "per_mg": 10_000}))


@pytest.mark.parametrize(
    "column", ["content", "title", "source", "effective_from", "author_id", "assumption"]
)
def test_the_application_cannot_edit_what_was_drafted(database: Database, column: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), database.sessions() as session:
        session.execute(text(f"UPDATE publication SET {column} = {column}"))  # noqa: S608 - a column of the list


def test_of_many_publishers_at_once_one_succeeds(database: Database) -> None:
    ids: list[UUID] = [database.run(lambda call: draft(person(call), RATE).id) for _ in range(8)]

    def attempt(publication_id: UUID) -> str:
        try:
            return database.run(lambda call: publish(person(call), publication_id, reason="race").state)
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(attempt, ids))
    assert outcomes == ["publications_overlap"] * 7 + ["published"]
