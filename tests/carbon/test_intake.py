"""Records become coins: refused by name, capped, corrected, explained, and reconciled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from carbon.activities.errors import (
    ConsentWithdrawn,
    OccurredInFuture,
    OccurredTooLongAgo,
    RecordDiffers,
    RevisionUnknown,
    ScenarioUnknown,
    UnboundCard,
)
from carbon.activities.explanation import explain, explain_activity, replays_equal
from carbon.activities.intake import take_activity, take_chunk
from carbon.activities.tables import Activity
from carbon.factors.errors import NoFactorInForce
from carbon.methodologies.errors import QuantityAboveLimit
from carbon.partners.bindings import withdraw_consent
from carbon.partners.errors import PartnerKeyUnknown
from carbon.partners.registry import partner_of_key
from carbon.reconciliation import CHECKS
from kernel.call import Call
from kernel.errors import NotFound, Refusal
from kernel.identifiers import new_id
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from ledger.statements import balances
from tests.carbon.city import City, lines, plant_city, ride
from tests.conftest import NOW


@pytest.fixture
def city(call: Call) -> City:
    return plant_city(call)


def take(call: Call, city: City, *rows: dict[str, Any]) -> list[str]:
    outcomes = take_chunk(call, city.intake(), lines(*rows))
    return [
        row["outcome"] if row["outcome"] == "credited" else f"{row['outcome']}/{row['code']}"
        for row in outcomes.iter_rows(named=True)
    ]


def activities(call: Call) -> list[Activity]:
    order = (Activity.occurred_at, Activity.source_event_id, Activity.revision)
    return list(call.db.query(Activity).order_by(*order))


def broken(call: Call) -> list[str]:
    outcomes = reconcile(call, (*LEDGER_CHECKS, *CHECKS))
    return [outcome.check.name for outcome in outcomes if not outcome.holds]


def test_a_ride_is_467_grams_and_46_7_coins_less_the_cap(call: Call, city: City) -> None:
    owner = city.bind(call, ["card-017"])["card-017"]
    row = take_activity(call, city.intake(), lines(ride("e1")))
    assert row["outcome"] == "credited"
    (activity,) = activities(call)
    assert (activity.carbon_mg, activity.coin_milli, activity.coin_cut_milli) == (467_000, 30_000, 16_700)
    held = {balance.unit.value: balance.available for balance in balances(call, owner) if balance.available}
    assert held == {"coin": 30_000, "carbon": 467_000}
    assert broken(call) == []


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"card": "card-018"}, UnboundCard),
        ({"occurred_at": NOW + timedelta(minutes=1)}, OccurredInFuture),
        ({"occurred_at": datetime(1970, 1, 1, tzinfo=UTC)}, OccurredTooLongAgo),
        ({"occurred_at": datetime(2017, 12, 31, tzinfo=UTC)}, NoFactorInForce),
        ({"scenario": "teleport"}, ScenarioUnknown),
        ({"metres": 2**62}, QuantityAboveLimit),
    ],
)
def test_a_record_is_refused_by_name_and_nothing_is_posted(
    call: Call, city: City, change: dict[str, Any], refusal: type[Refusal]
) -> None:
    city.bind(call, ["card-017"])
    with pytest.raises(refusal):
        take_activity(call, city.intake(), lines(ride("e1", **change)))
    assert activities(call) == []


def test_a_withdrawn_consent_ends_the_intake(call: Call, city: City) -> None:
    owner = city.bind(call, ["card-017"])["card-017"]
    withdraw_consent(call, owner, city.partner_id)
    with pytest.raises(ConsentWithdrawn):
        take_activity(call, city.intake(), lines(ride("e1")))


def test_an_unknown_partner_key_opens_nothing(call: Call, city: City) -> None:
    assert partner_of_key(call.db, city.api_key).id == city.partner_id
    for key in ("tpk_unknown", "", city.api_key[:-1], "\ud800"):
        with pytest.raises(PartnerKeyUnknown):
            partner_of_key(call.db, key)


def test_the_same_record_again_is_a_duplicate_and_another_is_refused(call: Call, city: City) -> None:
    city.bind(call, ["card-017", "card-018"])
    assert take(call, city, ride("e1"), ride("e2")) == ["credited", "credited"]
    assert take(call, city, ride("e1"), ride("e3"), ride("e3")) == [
        "duplicate/duplicate",
        "credited",
        "duplicate/duplicate_in_file",
    ]
    with pytest.raises(RecordDiffers):
        take_activity(call, city.intake(), lines(ride("e1", metres=9_000)))
    with pytest.raises(RecordDiffers):
        take_activity(call, city.intake(), lines(ride("e1", "card-018")))
    assert len(activities(call)) == 3


def test_a_cap_cuts_coins_in_line_order_and_never_kilograms(call: Call, city: City) -> None:
    city.bind(call, ["card-017"])
    take(call, city, *(ride(f"e{number}", metres=3_000) for number in range(4)))
    figures = sorted(
        (a.source_event_id, a.coin_milli, a.coin_cut_milli, a.carbon_mg) for a in activities(call)
    )
    assert figures == [
        ("e0", 14_010, 0, 140_100),
        ("e1", 14_010, 0, 140_100),
        ("e2", 1_980, 12_030, 140_100),
        ("e3", 0, 14_010, 140_100),
    ]
    assert broken(call) == []


def test_a_correction_takes_the_old_share_back_and_credits_the_new(call: Call, city: City) -> None:
    owner = city.bind(call, ["card-017"])["card-017"]
    take(call, city, ride("e1", metres=4_000), ride("e2", metres=1_000))
    fix = ride("e1", metres=2_000, corrects_revision=1)
    assert take(call, city, fix) == ["credited"]
    assert take(call, city, fix) == ["duplicate/duplicate"]
    held = {balance.unit.value: balance.available for balance in balances(call, owner) if balance.available}
    assert held == {"coin": 14_010, "carbon": 140_100}
    used = call.db.execute(text("SELECT used FROM cap_usage WHERE used > 0")).scalar_one()
    assert used == 14_010
    assert broken(call) == []
    with pytest.raises(RevisionUnknown):
        take_activity(call, city.intake(), lines(ride("e1", corrects_revision=7)))


def test_a_credit_is_explained_and_replays_equal(call: Call, city: City) -> None:
    owner = city.bind(call, ["card-017"])["card-017"]
    take(call, city, ride("e1", facts='{"origin":"罗湖","destination":"国贸","path_lengths_m":[10000]}'))
    (activity,) = activities(call)
    assert activity.coin_transfer_id is not None
    tree = explain(call, owner, activity.coin_transfer_id)
    assert tree["replays_equal"]
    shown = tree["activities"][0]
    assert shown["facts"]["origin"] == "罗湖"
    assert (shown["factor"]["value"], shown["coins"]["cut_milli"]) == ("46.7", 16_700)
    assert shown["steps"][-1]["value_after"] == "467000"
    with pytest.raises(NotFound):
        explain(call, new_id(), activity.coin_transfer_id)


def test_an_explanation_of_very_many_activities_says_how_many_there_are(
    call: Call, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = city.bind(call, ["card-017"])["card-017"]
    take(call, city, *(ride(f"e{number}", metres=100) for number in range(5)))
    transfer = activities(call)[0].carbon_transfer_id
    assert transfer is not None
    monkeypatch.setattr("carbon.activities.explanation.MOST_ACTIVITIES", 2)
    tree = explain(call, owner, transfer)
    assert (len(tree["activities"]), tree["activities_count"], tree["replays_equal"]) == (2, 5, True)


@pytest.mark.parametrize("former", ["activity/{batch}/3/1001/metro_ride/2026-11-20", "activity/{first}/coin"])
def test_a_posting_with_a_former_name_is_explained_as_well(call: Call, city: City, former: str) -> None:
    """By its batch, and its activities are looked for among all of the citizen; by its activity and unit."""
    owner = city.bind(call, ["card-017"])["card-017"]
    take(call, city, ride("e1", metres=100), ride("e2", metres=100))
    first = activities(call)[0]
    transfer = first.coin_transfer_id
    assert transfer is not None
    now = explain(call, owner, transfer)
    call.db.execute(text("SET LOCAL ROLE NONE"))  # the owner's hand: a reference does not change any more
    call.db.execute(
        text("UPDATE ledger_transfer SET reference = :former WHERE id = :id"),
        {"former": former.format(batch=new_id(), first=first.id), "id": transfer},
    )
    assert explain(call, owner, transfer) == now
    assert now["activities_count"] == 2


def test_kilograms_and_their_coins_are_posted_under_one_reference(call: Call, city: City) -> None:
    city.bind(call, ["card-017"])
    take(call, city, ride("e1", metres=100), ride("e2", metres=100))
    first = min(activities(call), key=lambda each: each.source_event_id)
    (reference,) = call.db.execute(text("SELECT reference, transfer_id FROM ledger_reference")).all()
    assert tuple(reference) == (str(first.id), first.carbon_transfer_id)
    posted = call.db.execute(text("SELECT id, unit, reference FROM ledger_transfer ORDER BY unit")).all()
    assert [tuple(row) for row in posted] == [
        (first.carbon_transfer_id, "carbon", f"activity/{first.id}"),
        (first.coin_transfer_id, "coin", f"activity/{first.id}"),
    ]
    assert broken(call) == []


def test_a_credit_without_its_activities_is_a_finding(call: Call, city: City) -> None:
    owner = city.bind(call, ["card-017"])["card-017"]
    take(call, city, ride("e1"))
    transfer = activities(call)[0].coin_transfer_id
    assert transfer is not None
    call.db.execute(text("SET LOCAL ROLE NONE"))  # the owner's hand: an activity does not go away
    call.db.execute(text("DELETE FROM activity"))
    tree = explain(call, owner, transfer)
    assert (tree["kind"], tree["activities"], tree["replays_equal"]) == ("unexplained", [], False)


@pytest.mark.parametrize("change", [{"carbon_mg": 1}, {"inputs": {"distance_m": 9}}, {"digest": b"0" * 32}])
def test_any_mutation_makes_the_replay_fail(call: Call, city: City, change: dict[str, Any]) -> None:
    city.bind(call, ["card-017"])
    take(call, city, ride("e1"))
    (activity,) = activities(call)
    assert replays_equal(call, activity)
    assert explain_activity(call, activity)["replays_equal"]
    call.db.expunge(activity)
    for name, value in change.items():
        setattr(activity, name, value)
    assert not replays_equal(call, activity)


def test_the_coin_rate_of_the_day_is_needed(call: Call, city: City) -> None:
    city.bind(call, ["card-017"])
    before = replace(call, now=datetime(2017, 6, 1, tzinfo=UTC))
    with pytest.raises(OccurredInFuture):
        take_activity(before, city.intake(), lines(ride("e1")))
