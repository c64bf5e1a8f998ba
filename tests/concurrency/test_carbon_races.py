"""Threads on real PostgreSQL: one ride, one person, one effect; a cap is a cap."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from carbon.activities.holds import HoldOrder, put_on_hold
from carbon.activities.intake import take_activity
from carbon.activities.references import claim_references
from carbon.reconciliation import CHECKS
from kernel.call import Call
from kernel.errors import Refusal
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from tests.carbon.city import City, lines, plant_city, publish_rule, ride
from tests.carbon.test_meters import plant_homes
from tests.conftest import NOW, Database


def send(database: Database, city: City, event: str, card: str, metres: int = 10_000) -> str:
    line = lines(ride(event, card, metres=metres, occurred_at=NOW - timedelta(hours=1)))
    try:
        return str(database.run(lambda call: take_activity(call, city.intake(), line))["outcome"])
    except Refusal as refusal:
        return refusal.code


def test_sixty_four_equal_records_are_one_credit(database: Database) -> None:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017"]))
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: send(database, city, "e1", "card-017"), range(64)))
    assert sorted(outcomes) == ["credited", *["duplicate"] * 63]


def test_one_ride_never_credits_two_people(database: Database) -> None:
    city = database.run(plant_city)
    cards = [f"card-{number:03d}" for number in range(16)]
    database.run(lambda call: city.bind(call, cards))
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda card: send(database, city, "e1", card), cards))
    assert sorted(outcomes) == ["credited", *["record_differs"] * 15]
    assert len(database.rows("SELECT DISTINCT citizen_id FROM activity")) == 1


def test_a_cap_holds_against_many_at_once(database: Database) -> None:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017"]))
    with ThreadPoolExecutor(8) as pool:
        events = [f"e{number}" for number in range(24)]
        outcomes = list(pool.map(lambda event: send(database, city, event, "card-017", 1_000), events))
    assert outcomes == ["credited"] * 24
    total = database.rows("SELECT sum(coin_milli), sum(coin_cut_milli), sum(carbon_mg) FROM activity")[0]
    assert tuple(total) == (30_000, 24 * 4_670 - 30_000, 24 * 46_700)
    assert [o.check.name for o in database.run(lambda call: reconcile(call, CHECKS)) if not o.holds] == []


def take(database: Database, city: City, row: dict[str, Any]) -> str:
    """The outcome of a record, or the code of what refused it."""
    try:
        return str(database.run(lambda call: take_activity(call, city.intake(), lines(row)))["outcome"])
    except Refusal as refusal:
        return refusal.code


def just_before_references(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let `work` happen, and be committed, once: when the next record is about to claim its reference."""
    waiting = [work]

    def claim_later(call: Call, frame: pl.DataFrame, *, partner_id: UUID) -> pl.DataFrame:
        if waiting:
            waiting.pop()()
        return claim_references(call, frame, partner_id=partner_id)

    monkeypatch.setattr("carbon.activities.intake.claim_references", claim_later)


def sound(database: Database) -> bool:
    outcomes = database.run(lambda call: reconcile(call, (*LEDGER_CHECKS, *CHECKS)))
    return all(outcome.holds for outcome in outcomes)


def test_what_is_put_on_hold_while_its_source_corrects_it_stays_held(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = database.run(plant_city)
    citizen = database.run(lambda call: city.bind(call, ["card-017"]))["card-017"]
    assert take(database, city, ride("e1")) == "credited"
    activity = database.rows("SELECT id FROM activity")[0].id
    order = HoldOrder(citizen_id=citizen, activity_id=activity, reason_zh="车速异常", reason_en="too fast")
    just_before_references(monkeypatch, lambda: database.run(lambda call: put_on_hold(call, order)))
    correction = ride("e1", metres=1_000, corrects_revision=1)
    assert take(database, city, correction) == "busy"
    assert take(database, city, correction) == "activity_held"
    assert database.rows("SELECT * FROM activity_reversal") == []
    assert sound(database)


@pytest.mark.parametrize("corrected", [{"metres": 0}, {"occurred_at": NOW - timedelta(hours=3)}])
def test_a_trip_that_arrives_while_it_is_corrected_keeps_no_time(
    database: Database, monkeypatch: pytest.MonkeyPatch, corrected: dict[str, Any]
) -> None:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017"]))
    rail = {"scenarios": ["metro_ride"], "slot": "five_minutes"}
    database.run(lambda call: publish_rule(call, "trip_claims", "rail", rail))
    outcomes = list[str]()
    just_before_references(monkeypatch, lambda: outcomes.append(take(database, city, ride("e1"))))
    correction = ride("e1", corrects_revision=1, **corrected)
    assert (take(database, city, correction), outcomes) == ("busy", ["credited"])
    assert take(database, city, correction) in {"credited", "assessed"}
    newest = {row.id for row in database.rows("SELECT id FROM activity WHERE revision = 2")}
    claimed = {row.activity_id for row in database.rows("SELECT activity_id FROM trip_claim")}
    assert claimed == (newest if "occurred_at" in corrected else set())
    assert sound(database)


def test_a_bill_that_arrives_while_it_is_corrected_keeps_no_days(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = database.run(plant_homes)
    usual = {"scenario": "household_electricity_saving", "started_at": NOW - timedelta(days=30)}
    bill = ride("b1", "acc-1", metres=None, baseline_wh=400_000, actual_wh=200_000, **usual)
    withdrawn = ride("b1", "acc-1", metres=None, saved_wh=0, corrects_revision=1, **usual)
    outcomes = list[str]()
    just_before_references(monkeypatch, lambda: outcomes.append(take(database, city, bill)))
    assert (take(database, city, withdrawn), outcomes) == ("busy", ["credited"])
    assert take(database, city, withdrawn) in {"credited", "assessed"}
    (claim,) = database.rows("SELECT ended_at FROM meter_claim")
    assert claim.ended_at is not None
    assert sound(database)
