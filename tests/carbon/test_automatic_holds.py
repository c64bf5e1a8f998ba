"""A published rule holds what is too many of a day or too fast; citizen, operator and replay know which."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, ProgrammingError

from carbon.activities.automatic_holds import METRES_MOST, speed, speed_of
from carbon.activities.explanation import explain_own
from carbon.activities.holds import appeal, decide
from carbon.activities.intake import take_activity, take_chunk
from carbon.activities.links import linked, make_link
from carbon.activities.tables import Activity
from kernel.call import Call
from kernel.database import create_engine
from kernel.identifiers import public_id
from ledger.accounts import find_account
from ledger.chart import STANDARD, Kind, Unit
from tests.app.desk import Desk, desk
from tests.carbon.city import City, lines, plant_city, publish_rule, ride
from tests.carbon.test_holds import PUBLISHER, broken, by, coins, of, refused
from tests.conftest import NOW, Database

__all__ = ["desk"]
CARD, LATER = "card-017", NOW + timedelta(hours=1)
"""An hour after the rules were published: what is published at one moment may be seen or not."""
THREE_A_DAY = {"scenarios": ["metro_ride"], "measure": "records_a_day", "most": 3}
A_METRO = {"scenarios": ["metro_ride", "bus_ride"], "measure": "metres_an_hour", "most": 60_000}


def plant(call: Call, **rules: dict[str, Any]) -> tuple[City, UUID]:
    city = plant_city(call)
    publish_rule(call, "grace", "standard", {"days": 30})
    for subject, content in rules.items():
        publish_rule(call, "automatic_hold", subject, content)
    return city, city.bind(call, [CARD])[CARD]


def later(call: Call) -> Call:
    return replace(call, now=LATER)


def rides(*names: str, **more: Any) -> pl.DataFrame:
    return lines(*(ride(name, metres=1_000, **more) for name in names))


def held(call: Call) -> list[Any]:
    """What is on hold: the event, what was measured, the state, the coins."""
    query = (
        "SELECT a.source_event_id AS name, a.id, h.id AS hold_id, h.measured, h.state, h.coin_milli,"
        " h.held_by, h.reason_zh, h.reason_en FROM activity_hold h JOIN activity a"
        " ON a.citizen_id = h.citizen_id AND a.id = h.activity_id ORDER BY 1"
    )
    return list(call.db.execute(text(query)))


def test_the_ride_after_the_published_number_of_a_day_is_held_and_says_so(call: Call) -> None:
    city, citizen = plant(call, many=THREE_A_DAY)
    taken = take_chunk(later(call), city.intake(), rides("a", "b", "c", "d"))
    assert taken["outcome"].to_list() == ["credited"] * 4
    (only,) = held(call)
    assert (only.name, only.measured, only.state, only.held_by) == ("d", 4, "held", "rule")
    assert only.reason_zh == "当日第 4 条同类记录;已发布的规则核查每日第 3 条之后的记录。"
    assert only.reason_en.startswith("Record 4 of this kind on that day")
    assert only.coin_milli == 4_670
    assert coins(call, citizen) == (4 * 4_670, 3 * 4_670)
    again = take_chunk(later(call), city.intake(), rides("a", "b", "c", "d"))
    assert again["outcome"].to_list() == ["duplicate"] * 4
    yesterday = NOW - timedelta(days=1)
    take_chunk(later(call), city.intake(), rides("e", "f", occurred_at=yesterday))
    take_chunk(later(call), city.intake(), rides("g"))
    assert [(each.name, each.measured) for each in held(call)] == [("d", 4), ("g", 5)]
    assert broken(call) == {}


def test_what_came_to_nothing_is_counted_and_never_held(call: Call) -> None:
    city, _ = plant(call, many=THREE_A_DAY)
    nothing = [ride(name, metres=0) for name in "abcd"]
    take_chunk(later(call), city.intake(), lines(*nothing, ride("e")))
    assert [(each.name, each.measured) for each in held(call)] == [("e", 5)]


def test_an_operator_decides_a_rules_hold_like_another_and_the_citizen_appeals(call: Call) -> None:
    city, citizen = plant(call, many={**THREE_A_DAY, "most": 1})
    take_chunk(later(call), city.intake(), rides("a", "b", "c"))
    first, second = held(call)
    assert coins(call, citizen) == (3 * 4_670, 4_670)
    corrected = lines(ride("b", metres=500, corrects_revision=1))
    assert take_chunk(later(call), city.intake(), corrected)["code"].to_list() == ["activity_held"]
    decide(by(call, PUBLISHER), first.hold_id, into="released", reason="a line with many changes")
    no = {"into": "refused", "reason": "nobody rode"}
    assert refused(lambda: decide(by(later(call), PUBLISHER), second.hold_id, **no)) == "time_to_appeal"
    appeal(by(later(call), of(citizen)), second.id, words="that was me")
    decide(by(later(call), PUBLISHER), second.hold_id, **no)
    assert coins(call, citizen) == (2 * 4_670, 2 * 4_670)
    assert take_chunk(later(call), city.intake(), corrected)["outcome"].to_list() == ["credited"]
    assert [each.name for each in held(call)] == ["b", "c"]  # a correction is no further record of its day
    assert broken(call) == {}


@pytest.mark.parametrize(
    ("metres", "took", "is_held"),
    [
        (1_000, timedelta(minutes=1), False),
        (1_000, timedelta(minutes=1, microseconds=-1), True),
        (1_001, timedelta(minutes=1), True),
        (30_000, timedelta(minutes=20), True),
        (30_000, timedelta(0), False),
        (30_000, None, False),
    ],
)
def test_a_ride_is_held_exactly_above_the_published_speed(
    call: Call, metres: int, took: timedelta | None, *, is_held: bool
) -> None:
    city, _ = plant(call, quick=A_METRO)
    started = None if took is None else NOW - took
    take_activity(later(call), city.intake(), lines(ride("a", metres=metres, started_at=started)))
    assert len(held(call)) == is_held


def test_the_reason_of_a_speed_has_both_figures(call: Call) -> None:
    city, _ = plant(call, quick=A_METRO)
    fast = ride("a", metres=30_000, started_at=NOW - timedelta(minutes=20))
    take_activity(later(call), city.intake(), lines(fast))
    (only,) = held(call)
    assert only.measured == 90_000
    assert only.reason_zh == "平均时速 90 公里;已发布的规则核查时速超过 60 公里的行程。"
    assert only.reason_en == "90 km/h on average; a published rule checks trips above 60 km/h."


@given(metres=st.integers(0, 2**63 - 1), microseconds=st.integers(1, 10**16), most=st.integers(1, 1_000_000))
def test_one_speed_and_many_are_the_same_and_above_a_limit_where_the_true_one_is(
    metres: int, microseconds: int, most: int
) -> None:
    took = timedelta(microseconds=microseconds)
    one = Activity(started_at=NOW - took, occurred_at=NOW, inputs={"distance_m": metres})
    frame = pl.DataFrame({"metres": [metres], "began": [one.started_at], "ended": [one.occurred_at]})
    many = frame.select(speed(pl.col("metres"), pl.col("began"), pl.col("ended"))).item()
    assert many == speed_of(one)
    if metres <= METRES_MOST:
        assert (many > most) == (metres * 3_600_000_000 > most * microseconds)


def test_the_first_of_two_rules_is_named_and_the_other_scenario_is_not_asked(call: Call) -> None:
    city, _ = plant(call, b_quick=A_METRO, a_many={**THREE_A_DAY, "most": 1})
    fast: dict[str, Any] = {"metres": 30_000, "started_at": NOW - timedelta(minutes=20)}
    take_chunk(later(call), city.intake(), lines(ride("a", **fast), ride("b", **fast)))
    assert [(each.name, each.measured) for each in held(call)] == [("a", 90_000), ("b", 2)]
    bus = ride("c", scenario="bus_ride", metres=None, trips=1)
    take_activity(later(call), city.intake(), lines(bus))
    assert len(held(call)) == 2


def test_a_rule_begins_on_its_day(call: Call) -> None:
    city, _ = plant(call)
    publish_rule(call, "automatic_hold", "many", {**THREE_A_DAY, "most": 1}, since=date(2026, 11, 20))
    before = [ride(name, metres=10, occurred_at=NOW - timedelta(days=1)) for name in "abc"]
    take_chunk(later(call), city.intake(), lines(*before, ride("d", metres=10), ride("e", metres=10)))
    assert [(each.name, each.measured) for each in held(call)] == [("e", 2)]


def test_without_a_rule_nothing_is_counted_read_or_written(call: Call) -> None:
    city, _ = plant(call)
    said: list[str] = []

    def hear(*heard: Any) -> None:
        said.append(heard[2])

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        take_chunk(later(call), city.intake(), rides(*"abcdefgh"))
        without = len(said)
        assert [each for each in said if "activity_count" in each or "activity_hold" in each] == []
        publish_rule(call, "automatic_hold", "many", THREE_A_DAY)
        said.clear()
        take_chunk(later(call), city.intake(), rides(*"ijk", occurred_at=NOW - timedelta(days=3)))
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert sum("activity_count" in each for each in said) == 1
    assert len(said) <= without + 1


def test_of_a_frozen_account_nothing_is_set_aside(call: Call) -> None:
    city, citizen = plant(call, many={**THREE_A_DAY, "most": 1})
    take_chunk(later(call), city.intake(), rides("a"))
    account = find_account(call, citizen, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
    freeze = text("UPDATE ledger_balance SET frozen = true WHERE account_id = :id")
    call.db.execute(freeze, {"id": account.id})
    take_chunk(later(call), city.intake(), rides("b"))
    assert [(each.name, each.coin_milli) for each in held(call)] == [("b", 0)]


def test_of_rides_that_come_at_once_exactly_the_published_number_is_free(database: Database) -> None:
    city, citizen = database.run(lambda call: plant(call, many=THREE_A_DAY))
    together = Barrier(8)

    def work(name: str) -> None:
        together.wait()
        database.run(lambda call: take_activity(call, city.intake(), rides(name)), now=LATER)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, "abcdefgh"))
    measured = database.rows("SELECT measured FROM activity_hold ORDER BY 1")
    assert [each.measured for each in measured] == [4, 5, 6, 7, 8]
    assert database.run(lambda call: coins(call, citizen)) == (30_000, 14_010)
    assert database.run(broken) == {}


def test_a_hold_by_a_rule_is_explained_with_the_rule_and_stays_off_a_shared_page(call: Call) -> None:
    city, citizen = plant(call, quick=A_METRO)
    fast = ride("a", metres=30_000, started_at=NOW - timedelta(minutes=20))
    taken = take_activity(later(call), city.intake(), lines(fast))
    activity = UUID(str(taken["activity_id"]))
    told = explain_own(later(call), citizen, activity)
    rule = told["hold"]["rule"]
    assert (rule["title"], rule["measure"], rule["most"]) == (
        "automatic_hold quick",
        "metres_an_hour",
        60_000,
    )
    (node,) = [each for each in told["tree"]["because"] if each["node"] == "hold"]
    assert node["arithmetic"] == "90000 > 60000 (metres_an_hour)"
    assert node["says"]["zh"].endswith("碳币暂不可用,可以申诉。")
    assert node["cites"]["digest"] == rule["digest"]
    assert told["replays_equal"]
    link = make_link(by(later(call), of(citizen)), activity)
    shared = linked(later(call), link.secret)
    assert "hold" not in shared
    assert [each["node"] for each in shared["tree"]["because"]] == ["coin_rate", "cap"]


def test_over_http_the_citizen_and_the_operator_read_which_rule_holds(desk: Desk) -> None:
    city, citizen = desk.database.run(lambda call: plant(call, quick=A_METRO))
    desk.callers["citizen"] = replace(desk.callers["citizen"], id=citizen)
    fast = ride("a", metres=30_000, started_at=NOW - timedelta(minutes=20))
    desk.database.run(lambda call: take_activity(call, city.intake(), lines(fast)))
    rule = desk.database.rows("SELECT id FROM publication WHERE kind = 'automatic_hold'")[0].id
    own = desk.ask("citizen", "GET", "/v1/me/activities").json["items"][0]
    assert (own["hold"]["rule_id"], own["hold"]["measured"]) == (public_id("pub", rule), 90_000)
    listed = desk.ask("auditor", "GET", "/v1/operator/holds?state=held").json["items"]
    assert [each["rule_id"] for each in listed] == [public_id("pub", rule)]
    told = desk.ask("citizen", "GET", f"/v1/me/activities/{own['id']}/explanation").json
    assert told["hold"]["rule"]["id"] == public_id("pub", rule)
    decision = f"/v1/operator/holds/{listed[0]['id']}/decision"
    yes = {"decision": "released", "reason": "快线 / an express line"}
    assert desk.ask("publisher", "POST", decision, yes).json["state"] == "released"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"measure": "miles"}, "/body/content/measure"),
        ({"most": 0}, "/body/content/most"),
        ({"most": 1_000_001}, "/body/content/most"),
        ({"scenarios": []}, "/body/content/scenarios"),
        ({"scenarios": ["metro_ride", "metro_ride"]}, "/body/content/scenarios"),
        ({"more": 1}, "/body/content"),
    ],
)
def test_a_rule_that_says_something_else_is_refused(desk: Desk, wrong: dict[str, Any], pointer: str) -> None:
    body = {
        "kind": "automatic_hold",
        "subject": "quick",
        "title": "too fast",
        "content": {**A_METRO, **wrong},
        "source": "a decision",
        "effective_from": "2027-01-01",
    }
    told = desk.ask("editor", "POST", "/v1/operator/rules", body)
    assert (told.status_code, told.json["errors"][0]["pointer"]) == (422, pointer)


CHANGES = {
    "another figure": "UPDATE activity_hold SET measured = measured + 1",
    "a figure below the limit": "UPDATE activity_hold SET measured = 2",
    "another rule": "UPDATE activity_hold SET rule_id = (SELECT id FROM publication WHERE kind = 'grace')",
    "another moment": "UPDATE activity_hold SET held_at = held_at + interval '1 hour'",
    "a person": "UPDATE activity_hold SET rule_id = NULL, measured = NULL, held_by = 'operator'",
    "none": "DELETE FROM activity_hold",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("rule", ["quick", "many"])
def test_a_hold_that_was_changed_by_hand_fails_the_replay(database: Database, change: str, rule: str) -> None:
    content = {"quick": A_METRO, "many": {**THREE_A_DAY, "most": 2}}[rule]
    city, citizen = database.run(lambda call: plant(call, **{rule: content}))
    fast: dict[str, Any] = {"metres": 30_000, "started_at": NOW - timedelta(minutes=20)}
    chunk = lines(*(ride(name, **fast) for name in "abc"))
    ids = database.run(
        lambda call: take_chunk(call, city.intake(), chunk)["activity_id"].to_list(), now=LATER
    )
    last = UUID(ids[-1])

    def differs() -> list[str]:
        told = database.run(lambda call: explain_own(call, citizen, last)["replay"]["differs"])
        return list(told)

    assert differs() == []
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(f"{CHANGES[change]} WHERE activity_id = :id"), {"id": last})
    owner.dispose()
    # Whoever takes a hold by number away, or gives it to a person, leaves a day that is not counted anew.
    unseen = rule == "many" and change in {"a person", "none"}
    assert differs() == ([] if unseen else ["hold"])


def test_the_application_changes_neither_rule_nor_figure_of_a_hold(call: Call) -> None:
    city, _ = plant(call, many={**THREE_A_DAY, "most": 1})
    take_chunk(later(call), city.intake(), rides("a", "b"))
    for change in (
        *list(CHANGES.values()),
        "UPDATE activity_count SET subject = 'x'",
        "DELETE FROM activity_count",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), call.db.begin_nested():
            call.db.execute(text(change))
    made_up = (
        "INSERT INTO activity_hold (citizen_id, activity_id, id, region_id, state, reason_zh, reason_en,"
        " coin_milli, held_by, held_at) SELECT citizen_id, id, id, 'CN', 'held', '', '', 0, 'rule', now()"
        " FROM activity LIMIT 1"
    )
    with pytest.raises(IntegrityError, match="a_rule_or_a_person_holds"), call.db.begin_nested():
        call.db.execute(text(made_up))
