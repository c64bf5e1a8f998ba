"""Which rule judges what a till honoured: that of the day the code was shown, not of the day it arrives."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.factory import Product
from kernel.actor import ActorKind
from kernel.clock import SHANGHAI, FixedClock
from kernel.publications.withdrawal import withdraw
from merchants.simulated_terminal import QUEUED, SimulatedTerminal
from tests.conftest import Database
from tests.merchants.offline_world import Town, found_town, publish_offline_rule
from tests.merchants.world import sound
from tests.rewards.world import acting

BATCHES = "/v1/terminal/offline-batches"
TODAY, TOMORROW = date(2026, 11, 20), date(2026, 11, 21)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=SHANGHAI)


def _town(product: Product, database: Database, clock: FixedClock, **rule: Any) -> Town:
    return found_town(product, database, clock, **rule)


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    return _town(product, database, clock)


def _withdraw(town: Town) -> None:
    """No rule from tomorrow on."""
    (rule,) = town.database.rows("SELECT id FROM publication WHERE kind = 'offline'")

    def work(call: Any) -> None:
        withdraw(acting(call, ActorKind.OPERATOR), rule.id, from_day=TOMORROW, reason="over")

    town.run(work)


def _succeeded(town: Town, **rule: Any) -> None:
    """Another rule from tomorrow on."""
    town.run(lambda call: publish_offline_rule(call, since=TOMORROW, **rule))


def _send(town: Town, till: SimulatedTerminal) -> tuple[int, dict[str, Any]]:
    body = {"records": till.queue}
    return town.ask("POST", BATCHES, body, token=till.state["token"], key=f"batch-{uuid4()}")


def _sent(town: Town, till: SimulatedTerminal) -> list[str]:
    """What became of a till's records; it fetches no kit, as none is given where no rule is in force."""
    status, told = _send(town, till)
    assert status == 201, told
    return [each["refusal"] or each["outcome"] for each in told["outcomes"]]


def _cases(town: Town) -> list[tuple[str, str]]:
    return [(row.cause, row.liable) for row in town.rows("offline_conflict")]


def test_what_was_honoured_under_a_rule_is_taken_when_the_rule_is_withdrawn_the_day_after(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    code = town.codes(me, town.buy(me))[0]
    assert till.scan(code) == QUEUED
    _withdraw(town)
    town.clock.at = MIDNIGHT + timedelta(minutes=10)
    first = _send(town, till)
    assert [each["outcome"] for each in first[1]["outcomes"]] == ["redeemed"]
    assert _send(town, till) == first
    kit = town.ask("GET", "/v1/terminal/offline-kit", None, token=till.state["token"], key="kit-0001")
    assert (kit[0], kit[1]["code"]) == (409, "offline_not_allowed")
    town.run(sound)


def test_a_batch_that_was_answered_is_answered_again_where_no_rule_is_left(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    assert till.scan(town.codes(me, town.buy(me))[0]) == QUEUED
    first = _send(town, till)
    _withdraw(town)
    town.later(days=2)
    assert first[0] == 201
    assert _send(town, till) == first


def test_where_no_day_of_a_record_had_a_rule_nothing_is_taken(
    product: Product, database: Database, clock: FixedClock
) -> None:
    town = _town(product, database, clock, offline=False)
    me, till = town.citizen(), town.till()
    code = town.codes(me, town.buy(me))[0]
    till._write(code, town.seconds(), seen_until_s=town.seconds() + 60, code_id=bytes(16))
    status, told = _send(town, till)
    assert (status, told["code"]) == (409, "offline_not_allowed")
    assert town.rows("offline_record") == []


def test_a_shorter_time_to_hand_in_is_for_what_is_honoured_from_then_on(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    assert till.scan(town.codes(me, town.buy(me))[0]) == QUEUED
    _succeeded(town, sync_hours=1, liable="merchant")
    town.clock.at = MIDNIGHT + timedelta(hours=9)
    assert _sent(town, till) == ["redeemed"]
    town.run(sound)


def test_a_longer_time_to_hand_in_makes_nothing_of_yesterday_arrive_in_time(
    product: Product, database: Database, clock: FixedClock
) -> None:
    town = _town(product, database, clock, sync_hours=1)
    me, till = town.citizen(), town.offline_till()
    assert till.scan(town.codes(me, town.buy(me))[0]) == QUEUED
    _succeeded(town, sync_hours=48)
    town.clock.at = MIDNIGHT + timedelta(hours=9)
    assert _sent(town, till) == ["conflict"]
    assert _cases(town) == [("late", "merchant")]


@pytest.mark.parametrize(
    ("old", "new", "borne"),
    [
        ({"redemptions": 1}, {"redemptions": 20}, ["funders", "merchant"]),
        ({"redemptions": 2}, {"redemptions": 1}, ["funders", "funders"]),
        ({"liable": "funders"}, {"liable": "merchant"}, ["funders", "funders"]),
        ({"liable": "merchant"}, {"liable": "funders"}, ["merchant", "merchant"]),
    ],
)
def test_the_caps_and_the_bearer_are_those_of_the_day_it_was_honoured(
    product: Product,
    database: Database,
    clock: FixedClock,
    old: dict[str, Any],
    new: dict[str, Any],
    borne: list[str],
) -> None:
    town = _town(product, database, clock, **old)
    me, winner, loser = town.citizen(), town.offline_till(), town.offline_till()
    loser.state["kit"]["rule"]["most"] = winner.state["kit"]["rule"]["most"] = 100
    for code in [town.codes(me, town.buy(me))[0] for _ in range(2)]:
        assert [winner.scan(code), loser.scan(code)] == [QUEUED, QUEUED]
    _succeeded(town, **new)
    town.clock.at = MIDNIGHT + timedelta(hours=1)
    assert _sent(town, winner) == ["redeemed"] * 2
    assert _sent(town, loser) == ["conflict"] * 2
    assert [liable for _, liable in _cases(town)] == borne
    town.run(sound)


def _shown_over_midnight(town: Town, till: SimulatedTerminal) -> tuple[str, datetime]:
    """A code handed out before midnight whose half minute begins at midnight, and that half minute's end."""
    me = town.citizen()
    key = town.buy(me)
    town.clock.at = MIDNIGHT - timedelta(minutes=4)
    till.connected = True
    till.refresh()
    till.connected = False
    return town.codes(me, key)[8], MIDNIGHT + timedelta(seconds=30)


@pytest.mark.parametrize("withdrawn", [False, True])
def test_who_took_codes_along_before_midnight_was_promised_the_hours_of_that_day(
    town: Town, *, withdrawn: bool
) -> None:
    till = town.offline_till()
    if withdrawn:
        _withdraw(town)
    else:
        _succeeded(town, sync_hours=1)
    code, town.clock.at = _shown_over_midnight(town, till)
    assert till.scan(code) == QUEUED
    town.clock.at = MIDNIGHT + timedelta(hours=9)
    assert _sent(town, till) == ["redeemed"]
    town.run(sound)


def test_who_took_codes_along_after_midnight_was_promised_no_hours_of_the_day_before(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    _succeeded(town, sync_hours=1)
    town.clock.at = MIDNIGHT + timedelta(minutes=1)
    code = town.codes(me, town.buy(me))[0]
    assert till.scan(code) == QUEUED
    town.clock.at = MIDNIGHT + timedelta(hours=2)
    assert _sent(town, till) == ["conflict"]
    assert _cases(town) == [("late", "merchant")]


def test_a_till_chooses_no_rule_by_the_time_it_writes_down(town: Town) -> None:
    first, second = town.offline_till(), town.offline_till()
    _succeeded(town, liable="merchant")
    code, town.clock.at = _shown_over_midnight(town, second)
    yesterday_s = int(MIDNIGHT.timestamp()) - 20
    for till in (first, second):
        till._write(code, yesterday_s, seen_until_s=yesterday_s + 90, code_id=bytes(16))
    assert (_sent(town, first), _sent(town, second)) == (["redeemed"], ["conflict"])
    assert _cases(town) == [("redeemed", "merchant")]
    (day,) = {each.scanned_at.astimezone(SHANGHAI).date() for each in town.rows("offline_record")}
    assert day == TODAY
    town.clock.at = MIDNIGHT + timedelta(minutes=30)
    me = town.citizen()
    fresh = town.codes(me, town.buy(me))[0]
    third = town.offline_till()
    third._write(fresh, yesterday_s, seen_until_s=yesterday_s + 90, code_id=bytes(16))
    assert _sent(town, third) == ["code_not_yet_valid"]
