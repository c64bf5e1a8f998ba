"""Verified kilograms are given once, explained, and never more than there are."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from carbon.donations.allocation import allocate, explain_share
from carbon.donations.errors import (
    DeclarerCannotApprove,
    MoreThanVerified,
    NothingForCoins,
    PeriodNotOver,
    ProjectNotApproved,
    ProjectNotWaiting,
    ProjectPeriodClaimed,
)
from carbon.donations.giving import Declaration, approve, declare, donate, fill_pool, find_certificate, reject
from carbon.donations.tables import Donation, DonationProject
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.errors import NotFound, Refusal
from kernel.identifiers import new_id
from kernel.publications.publishing import Draft, draft, publish
from ledger.chart import Unit
from ledger.errors import NotEnough
from ledger.reconciliation import CHECKS, reconcile
from ledger.statements import balances
from tests.conftest import REGION, Database

KILOGRAM = 1_000_000
ENTERPRISE = new_id()
LED = Declaration(
    enterprise_id=ENTERPRISE,
    enterprise_name="示例企业 A",
    project_key="demo-led-retrofit-01",
    title="LED retrofit of a demo plant",
    dossier="Baseline 2024 metered, lamps replaced in January 2025.",
    period_start=date(2025, 1, 1),
    period_end=date(2026, 1, 1),
    carbon_mg=100 * KILOGRAM,
    verifier="示例核查机构",
    verification_document="DEMO-V-2026-01",
    exclusivity_statement="Not sold, not claimed elsewhere.",
)


def person(call: Call) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))


def plant_rules(call: Call) -> None:
    for kind, subject, content in (
        ("coin_rate", "standard", {"coins_milli": 1000, "per_mg": 10_000}),
        ("validity", "promotional", {"months": 3}),
    ):
        proposal = Draft(
            region_id=REGION,
            kind=kind,
            subject=subject,
            title=kind,
            content=content,
            source="a test's own rule",
            effective_from=date(2026, 1, 1),
        )
        publish(person(call), draft(person(call), proposal).id, reason="test")


def approved(call: Call, declaration: Declaration = LED) -> DonationProject:
    return approve(person(call), declare(person(call), declaration).id, reason="dossier complete")


def given(call: Call, carbon_mg: int = 100 * KILOGRAM) -> Donation:
    donation = donate(person(call), approved(call).id, carbon_mg=carbon_mg)
    fill_pool(call, REGION)
    return donation


def sound(call: Call) -> None:
    assert {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds} == {}


def test_a_donated_kilogram_becomes_coins_that_explain_themselves(call: Call) -> None:
    plant_rules(call)
    given(call)
    citizen = new_id()
    share = allocate(person(call), [citizen], carbon_mg_each=KILOGRAM, reason="public welfare day").shares[0]
    assert (share.carbon_mg, share.coin_milli) == (KILOGRAM, 100_000)
    found = {(b.unit, b.validity_class): b.available for b in balances(call, citizen)}
    assert found[Unit.CARBON, "-"] == KILOGRAM
    assert found[Unit.COIN, "promotional"] == 100_000
    told = explain_share(call, citizen, coin_transfer_id=share.coin_transfer_id)
    assert told["replays"]
    assert told["coin_rate"]["signature_holds"]
    (giver,) = told["given_by"]
    assert giver["project"] == LED.title
    assert (giver["verifier"], giver["document"]) == (LED.verifier, LED.verification_document)
    assert giver["signature_holds"]
    sound(call)


def test_coins_of_the_pool_end_after_three_months(call: Call) -> None:
    plant_rules(call)
    given(call)
    citizen = new_id()
    allocate(person(call), [citizen], carbon_mg_each=KILOGRAM, reason="day")
    promotional = next(b for b in balances(call, citizen) if b.validity_class == "promotional")
    assert [ending.expires_on for ending in promotional.schedule] == [date(2027, 3, 1)]


def test_a_changed_share_does_not_replay(database: Database) -> None:
    def make(call: Call) -> tuple[UUID, int]:
        plant_rules(call)
        given(call)
        share = allocate(person(call), [new_id()], carbon_mg_each=KILOGRAM, reason="day").shares[0]
        return share.citizen_id, share.coin_transfer_id

    from kernel.database import create_engine  # noqa: PLC0415 - this test alone acts as the owner

    citizen, transfer = database.run(make)
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE pool_share SET coin_milli = coin_milli + 1"))
    owner.dispose()
    assert not database.run(lambda call: explain_share(call, citizen, coin_transfer_id=transfer))["replays"]


def test_another_citizens_share_is_not_found(call: Call) -> None:
    plant_rules(call)
    given(call)
    share = allocate(person(call), [new_id()], carbon_mg_each=KILOGRAM, reason="day").shares[0]
    with pytest.raises(NotFound):
        explain_share(call, new_id(), coin_transfer_id=share.coin_transfer_id)


def test_the_declarer_cannot_approve(call: Call) -> None:
    declarer = person(call)
    project = declare(declarer, LED)
    with pytest.raises(DeclarerCannotApprove):
        approve(declarer, project.id, reason="mine")


def test_a_project_is_decided_once(call: Call) -> None:
    project = approved(call)
    for decide in (approve, reject):
        with pytest.raises(ProjectNotWaiting):
            decide(person(call), project.id, reason="again")


def test_the_same_project_period_is_refused_naming_the_first(call: Call) -> None:
    first = declare(person(call), LED)
    overlapping = replace(LED, period_start=date(2025, 12, 31), period_end=date(2026, 6, 1))
    with pytest.raises(ProjectPeriodClaimed) as refused:
        declare(person(call), overlapping)
    assert str(refused.value.facts["first"]).startswith("prj_")
    declare(person(call), replace(LED, period_start=date(2026, 1, 1), period_end=date(2026, 6, 1)))
    reject(person(call), first.id, reason="no meter readings")
    declare(person(call), replace(LED, period_end=date(2025, 12, 1)))


def test_what_is_not_approved_cannot_be_given(call: Call) -> None:
    project = declare(person(call), LED)
    with pytest.raises(ProjectNotApproved):
        donate(person(call), project.id, carbon_mg=1)


def test_no_more_is_given_than_was_verified(call: Call) -> None:
    project = approved(call)
    donate(person(call), project.id, carbon_mg=60 * KILOGRAM)
    with pytest.raises(NotEnough), call.db.begin_nested():
        donate(person(call), project.id, carbon_mg=41 * KILOGRAM)
    sound(call)


def test_no_more_is_given_of_a_project_than_was_verified_of_it(call: Call) -> None:
    first = approved(call)
    later = replace(LED, period_start=date(2026, 1, 1), period_end=date(2026, 6, 1), carbon_mg=50 * KILOGRAM)
    approved(call, later)
    with pytest.raises(MoreThanVerified) as refused, call.db.begin_nested():
        donate(person(call), first.id, carbon_mg=101 * KILOGRAM)
    assert refused.value.facts == {"left_mg": 100 * KILOGRAM}
    donate(person(call), first.id, carbon_mg=100 * KILOGRAM)
    sound(call)


def test_a_period_that_is_not_over_cannot_be_declared(call: Call) -> None:
    last_day_is_today = call.today + timedelta(days=1)
    with pytest.raises(PeriodNotOver):
        declare(person(call), replace(LED, period_end=last_day_is_today))
    declare(person(call), replace(LED, period_end=call.today))


def test_a_share_too_small_for_a_coin_is_refused(call: Call) -> None:
    plant_rules(call)
    given(call)
    with pytest.raises(NothingForCoins):
        allocate(person(call), [new_id()], carbon_mg_each=9, reason="crumbs")


def change_a_letter(call: Call) -> None:
    call.db.execute(text("SET LOCAL ROLE NONE"))  # the application itself may not
    call.db.execute(text("UPDATE donation_project SET verifier = 'another'"))


def test_a_certificate_holds_until_a_letter_changes(database: Database) -> None:
    donation = database.run(lambda call: given(call).id)
    found = database.run(lambda call: find_certificate(call, donation))
    assert found["holds"]
    assert found["certificate"]["carbon_shown"] == "100 kg"
    database.run(change_a_letter)
    assert not database.run(lambda call: find_certificate(call, donation))["holds"]


def test_an_unknown_certificate_is_not_found(call: Call) -> None:
    with pytest.raises(NotFound):
        find_certificate(call, new_id())


@pytest.mark.parametrize("table", ["donation", "pool_allocation", "pool_share"])
def test_the_application_cannot_edit_what_was_given(database: Database, table: str) -> None:
    column = {"donation": "id", "pool_allocation": "id", "pool_share": "citizen_id"}[table]
    with pytest.raises(DBAPIError, match="permission denied"), database.sessions() as session:
        session.execute(text(f"UPDATE {table} SET {column} = {column}"))  # noqa: S608 - names of the list


def _at_once(database: Database, works: list[Callable[[Call], Any]]) -> list[Any]:
    def one(work: Callable[[Call], Any]) -> Any:
        try:
            return database.run(work)
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def _give_out(citizens: list[UUID], call: Call) -> int:
    return len(allocate(person(call), citizens, carbon_mg_each=20 * KILOGRAM, reason="race").shares)


def test_allocations_at_once_never_give_more_than_the_pool_holds(database: Database) -> None:
    database.run(plant_rules)
    database.run(lambda call: given(call).id)
    works = [partial(_give_out, [new_id() for _ in range(3)]) for _ in range(4)]
    results = sorted(_at_once(database, list(works)), key=str)
    assert results == [3, "balance_insufficient", "balance_insufficient", "balance_insufficient"]
    assert database.rows("SELECT count(*) AS n FROM pool_share")[0].n == 3
    database.run(sound)


def test_a_project_approved_by_many_at_once_is_admitted_once(database: Database) -> None:
    project = database.run(lambda call: declare(person(call), LED).id)
    results = _at_once(database, [lambda call: approve(person(call), project, reason="race").state] * 8)
    assert sorted(results) == ["approved"] + ["project_not_waiting"] * 7
    admitted = database.rows("SELECT sum(amount) AS n FROM ledger_transfer WHERE code = 'CREDIT_CARBON'")[0].n
    assert admitted == LED.carbon_mg


def test_of_equal_declarations_at_once_one_stands(database: Database) -> None:
    results = _at_once(database, [lambda call: declare(person(call), LED).state] * 8)
    assert sorted(results) == ["declared"] + ["project_period_claimed"] * 7
