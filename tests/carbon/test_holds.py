"""An activity on hold keeps its coins from being spent; its citizen reads why, appeals once, and is told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest

from carbon.activities.holds import APPEAL_TIME, HoldOrder, appeal, decide, put_on_hold
from carbon.activities.intake import take_activity, take_chunk
from carbon.reconciliation import CHECKS
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import new_id, public_id
from ledger.accounts import find_account
from ledger.chart import STANDARD, Kind, Unit
from ledger.holds import HoldSet, hold
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from ledger.statements import balances
from tests.app.desk import Desk, desk
from tests.carbon.city import City, lines, plant_city, publish_rule, ride
from tests.conftest import NOW, REGION, Database

__all__ = ["desk"]
CARD = "card-017"
EDITOR, PUBLISHER = (Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION) for _ in range(2))
WHY = {"reason_zh": "车速异常", "reason_en": "too fast"}


def plant(call: Call) -> tuple[City, UUID, UUID]:
    """A city, a citizen, and a ride of 10 km that brought 30 coins of 46.7."""
    city = plant_city(call)
    publish_rule(call, "grace", "standard", {"days": 30})
    citizen = city.bind(call, [CARD])[CARD]
    taken = take_activity(call, city.intake(), lines(ride("e1")))
    return city, citizen, UUID(str(taken["activity_id"]))


def by(call: Call, actor: Actor, *, later: timedelta = timedelta(0)) -> Call:
    return replace(call, actor=actor, now=call.now + later)


def of(citizen: UUID) -> Actor:
    return Actor(kind=ActorKind.CITIZEN, id=citizen, region_id=REGION)


def held(call: Call, citizen: UUID, activity: UUID) -> Any:
    order = HoldOrder(citizen_id=citizen, activity_id=activity, **WHY)
    return put_on_hold(by(call, EDITOR), order)


def coins(call: Call, citizen: UUID) -> tuple[int, int]:
    """Posted and available, of all coins."""
    found = [each for each in balances(call, citizen) if each.unit is Unit.COIN]
    return sum(each.posted for each in found), sum(each.available for each in found)


def kilograms(call: Call, citizen: UUID) -> int:
    return sum(each.posted for each in balances(call, citizen) if each.unit is Unit.CARBON)


def broken(call: Call) -> dict[str, Any]:
    outcomes = reconcile(call, (*LEDGER_CHECKS, *CHECKS))
    return {outcome.check.name: outcome.findings for outcome in outcomes if not outcome.holds}


def refused(work: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as raised:
        work()
    return raised.value.code


def test_coins_of_a_held_activity_cannot_be_spent_until_it_is_released(call: Call) -> None:
    _, citizen, activity = plant(call)
    assert coins(call, citizen) == (30_000, 30_000)
    hold_row = held(call, citizen, activity)
    assert (hold_row.state, hold_row.coin_milli) == ("held", 30_000)
    assert coins(call, citizen) == (30_000, 0)
    account = find_account(call, citizen, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
    voucher = HoldSet(holder_id=citizen, purpose="voucher", reference="v/0")
    with pytest.raises(Refusal), call.db.begin_nested():
        hold(call, voucher, [account], amount=1, until=None)
    done = decide(by(call, PUBLISHER), hold_row.id, into="released", reason="it was an express line")
    assert (done.state, done.decision_reason) == ("released", "it was an express line")
    assert coins(call, citizen) == (30_000, 30_000)
    assert broken(call) == {}


def test_a_refused_activity_brings_nothing_and_gives_room_under_its_cap_back(call: Call) -> None:
    city, citizen, activity = plant(call)
    hold_row = held(call, citizen, activity)
    appeal(by(call, of(citizen)), activity, words="that was me")
    decide(by(call, PUBLISHER), hold_row.id, into="refused", reason="no such train ran")
    assert (coins(call, citizen), kilograms(call, citizen)) == ((0, 0), 0)
    assert broken(call) == {}
    again = take_activity(call, city.intake(), lines(ride("e2", metres=1000)))
    assert again["outcome"] == "credited"
    assert coins(call, citizen) == (4_670, 4_670)
    assert broken(call) == {}


def test_the_time_of_a_refused_ride_is_free_for_the_true_one(call: Call) -> None:
    city, citizen, _ = plant(call)
    publish_rule(call, "trip_claims", "rail", {"scenarios": ["metro_ride"], "slot": "five_minutes"})
    earlier = NOW - timedelta(hours=3)
    taken = take_activity(call, city.intake(), lines(ride("e2", occurred_at=earlier)))
    other = ride("e3", occurred_at=earlier)
    assert refused(lambda: take_activity(call, city.intake(), lines(other))) == "trip_claimed"
    activity = UUID(str(taken["activity_id"]))
    hold_row = held(call, citizen, activity)
    decide(by(call, PUBLISHER, later=APPEAL_TIME), hold_row.id, into="refused", reason="not this one")
    assert take_activity(call, city.intake(), lines(other))["outcome"] == "credited"
    assert broken(call) == {}


def test_coins_that_are_spent_already_are_not_held_and_a_refusal_takes_the_rest(call: Call) -> None:
    _, citizen, activity = plant(call)
    account = find_account(call, citizen, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
    voucher = HoldSet(holder_id=citizen, purpose="voucher", reference="v/0")
    hold(call, voucher, [account], amount=20_000, until=None)
    hold_row = held(call, citizen, activity)
    assert hold_row.coin_milli == 10_000
    assert coins(call, citizen) == (30_000, 0)
    appeal(by(call, of(citizen)), activity, words="that was me")
    decide(by(call, PUBLISHER), hold_row.id, into="refused", reason="no such train ran")
    assert coins(call, citizen)[1] == 0
    assert broken(call) == {}


def test_who_held_does_not_decide_and_a_decision_is_one(call: Call) -> None:
    _, citizen, activity = plant(call)
    hold_row = held(call, citizen, activity)
    release = {"into": "released", "reason": "checked"}
    assert refused(lambda: decide(by(call, EDITOR), hold_row.id, **release)) == "holder_cannot_decide"
    decide(by(call, PUBLISHER), hold_row.id, **release)
    for into in ("released", "refused"):
        again = lambda into=into: decide(by(call, PUBLISHER), hold_row.id, into=into, reason="again")  # noqa: E731 - bound now
        assert refused(again) == "hold_decided"
    assert refused(lambda: held(call, citizen, activity)) == "activity_held_before"
    assert refused(lambda: appeal(by(call, of(citizen)), activity, words="late")) == "hold_decided"


def test_a_citizen_has_time_to_appeal_before_a_refusal_and_appeals_once(call: Call) -> None:
    _, citizen, activity = plant(call)
    hold_row = held(call, citizen, activity)
    no = {"into": "refused", "reason": "no such train"}
    assert refused(lambda: decide(by(call, PUBLISHER), hold_row.id, **no)) == "time_to_appeal"
    early = by(call, PUBLISHER, later=APPEAL_TIME - timedelta(seconds=1))
    assert refused(lambda: decide(early, hold_row.id, **no)) == "time_to_appeal"
    assert appeal(by(call, of(citizen)), activity, words="it was me").appeal == "it was me"
    assert refused(lambda: appeal(by(call, of(citizen)), activity, words="again")) == "appealed_before"
    stranger = of(new_id())
    assert refused(lambda: appeal(by(call, stranger), activity, words="mine")) == "not_found"
    decide(by(call, PUBLISHER), hold_row.id, **no)


def test_without_an_appeal_it_may_be_refused_when_the_time_is_over(call: Call) -> None:
    _, citizen, activity = plant(call)
    hold_row = held(call, citizen, activity)
    late = by(call, PUBLISHER, later=APPEAL_TIME)
    assert decide(late, hold_row.id, into="refused", reason="nobody answered").state == "refused"


def test_another_regions_operator_and_a_stranger_find_nothing(call: Call) -> None:
    _, citizen, activity = plant(call)
    elsewhere = Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id="CN-GD")
    order = HoldOrder(citizen_id=citizen, activity_id=activity, **WHY)
    assert refused(lambda: put_on_hold(by(call, elsewhere), order)) == "not_found"
    hold_row = held(call, citizen, activity)
    away = by(call, elsewhere)
    assert refused(lambda: decide(away, hold_row.id, into="released", reason="mine")) == "not_found"


def test_what_is_held_or_refused_cannot_be_corrected_and_what_is_released_can(call: Call) -> None:
    city, citizen, activity = plant(call)
    hold_row = held(call, citizen, activity)
    corrected = ride("e1", metres=5_000, corrects_revision=1)

    def told() -> Any:
        return take_chunk(call, city.intake(), lines(corrected)).select("outcome", "code", "pointer").row(0)

    assert told() == ("rejected", "activity_held", "/corrects_revision")
    decide(by(call, PUBLISHER), hold_row.id, into="released", reason="checked")
    assert told() == ("credited", None, None)
    assert broken(call) == {}


def test_what_was_corrected_is_not_held_any_more(call: Call) -> None:
    city, citizen, activity = plant(call)
    take_activity(call, city.intake(), lines(ride("e1", metres=5_000, corrects_revision=1)))
    with call.db.begin_nested():
        assert refused(lambda: held(call, citizen, activity)) == "activity_reversed"


def at_once(database: Database, *works: Callable[[Call], Any]) -> list[str]:
    together = Barrier(len(works))

    def work(one: Callable[[Call], Any]) -> str:
        together.wait()
        try:
            database.run(one)
        except Refusal as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


def test_of_many_holds_at_once_one_is_kept(database: Database) -> None:
    _, citizen, activity = database.run(plant)
    outcomes = at_once(database, *[lambda call: held(call, citizen, activity)] * 8)
    assert outcomes.count("done") == 1
    assert set(outcomes) == {"done", "activity_held_before"}
    assert database.run(lambda call: coins(call, citizen)) == (30_000, 0)
    assert database.run(broken) == {}


def test_of_many_decisions_and_appeals_at_once_one_of_each_counts(database: Database) -> None:
    _, citizen, activity = database.run(plant)
    hold_id = database.run(lambda call: held(call, citizen, activity).id)
    mine = of(citizen)
    outcomes = at_once(database, *[lambda call: appeal(by(call, mine), activity, words="it was me")] * 6)
    assert sorted(outcomes) == ["appealed_before"] * 5 + ["done"]
    outcomes = at_once(
        database,
        *[lambda call: decide(by(call, PUBLISHER), hold_id, into="released", reason="yes")] * 4,
        *[lambda call: decide(by(call, PUBLISHER), hold_id, into="refused", reason="no")] * 4,
    )
    assert sorted(outcomes) == ["done"] + ["hold_decided"] * 7
    state = database.rows("SELECT state FROM activity_hold")[0].state
    left = {"released": (30_000, 30_000), "refused": (0, 0)}[state]
    assert database.run(lambda call: coins(call, citizen)) == left
    assert database.run(broken) == {}


def test_an_appeal_and_a_decision_at_once_leave_one_true_story(database: Database) -> None:
    _, citizen, activity = database.run(plant)
    hold_id = database.run(lambda call: held(call, citizen, activity).id)
    mine = of(citizen)
    outcomes = at_once(
        database,
        lambda call: appeal(by(call, mine), activity, words="it was me"),
        lambda call: decide(by(call, PUBLISHER), hold_id, into="refused", reason="no"),
    )
    row = database.rows("SELECT state, appeal FROM activity_hold")[0]
    story = {"time_to_appeal": "held", "done": "refused"}
    assert outcomes[0] == "done"
    assert row.state == story[outcomes[1]]
    assert row.appeal == "it was me"
    assert database.run(broken) == {}


def test_a_hold_and_a_correction_at_once_leave_nothing_held_of_what_is_gone(database: Database) -> None:
    city, citizen, activity = database.run(plant)
    corrected = ride("e1", metres=5_000, corrects_revision=1)
    at_once(
        database,
        lambda call: held(call, citizen, activity),
        lambda call: take_chunk(call, city.intake(), lines(corrected)),
    )
    assert database.run(broken) == {}


def test_over_http_a_citizen_reads_the_reason_appeals_and_is_answered(desk: Desk) -> None:
    _, citizen, activity = desk.database.run(plant)
    desk.callers["citizen"] = replace(desk.callers["citizen"], id=citizen)
    act = public_id("act", activity)
    body = {"citizen_id": public_id("ctz", citizen), "activity_id": act, **WHY}
    assert desk.ask("publisher", "POST", "/v1/operator/holds", body).status_code == 403
    made = desk.ask("editor", "POST", "/v1/operator/holds", body, key="k" * 32)
    assert made.status_code == 201
    assert desk.ask("editor", "POST", "/v1/operator/holds", body, key="k" * 32).json == made.json
    told = desk.ask("citizen", "GET", "/v1/me/activities").json["items"][0]["hold"]
    assert (told["state"], told["reason_zh"], told["reason_en"]) == ("held", "车速异常", "too fast")
    assert "held_by" not in told
    address = f"/v1/me/activities/{act}/appeal"
    long = desk.ask("citizen", "POST", address, {"words": "a" * 1001})
    assert (long.status_code, long.json["errors"][0]["pointer"]) == (422, "/body/words")
    assert desk.ask("neighbour", "POST", address, {"words": "mine"}).status_code == 404
    assert desk.ask("citizen", "POST", address, {"words": "那天我乘的是快线"}).status_code == 201
    waiting = desk.ask("auditor", "GET", "/v1/operator/holds?state=held").json["items"]
    assert [(each["id"], each["appeal"]) for each in waiting] == [(made.json["id"], "那天我乘的是快线")]
    decision = f"/v1/operator/holds/{made.json['id']}/decision"
    yes = {"decision": "released", "reason": "快线 / an express line"}
    assert desk.ask("editor", "POST", decision, yes).status_code == 403
    assert desk.ask("publisher", "POST", decision, yes).json["state"] == "released"
    told = desk.ask("citizen", "GET", "/v1/me/activities").json["items"][0]["hold"]
    assert (told["state"], told["decision_reason"]) == ("released", "快线 / an express line")
    assert desk.ask("auditor", "GET", "/v1/operator/holds?state=held").json["items"] == []
