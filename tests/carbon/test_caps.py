"""A cap belongs to its subject and to the day of the fact: no successor begins it anew."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.publications.rule_desk import Proposal, propose, put_in_force
from carbon.activities.intake import take_chunk
from kernel.call import Call
from kernel.database import create_engine
from tests.carbon.city import City, as_operator, lines, plant_city, publish_rule, ride
from tests.carbon.test_intake import activities, broken, take
from tests.conftest import NOW, Database, migrate

TODAY = date(2026, 11, 20)
USAGE = "SELECT region_id, subject, period, period_start, used FROM cap_usage ORDER BY 1, 2, 3, 4, 5"


@pytest.fixture
def city(call: Call) -> City:
    made = plant_city(call)
    made.bind(call, ["card-017"])
    return made


def succeed(call: Call, coins_milli: int, *, since: date, **more: Any) -> None:
    """Put another cap of the same subject in force."""
    content = {
        "scenarios": ["metro_ride", "bus_ride"],
        "period": "day",
        "coins_milli": coins_milli,
        **more,
    }
    wanted = Proposal(
        kind="cap",
        subject="transit",
        title="transit",
        content=content,
        source="council",
        effective_from=since,
    )
    proposed = propose(as_operator(call), wanted)
    put_in_force(as_operator(call), proposed.id, reason="council")


def again(call: Call, city: City, *rows: dict[str, Any]) -> None:
    outcomes = take_chunk(call, city.intake(), lines(*rows))["outcome"]
    assert set(outcomes) == {"credited"}


def coins(call: Call) -> list[tuple[str, int]]:
    return [(each.source_event_id, each.coin_milli) for each in activities(call)]


@pytest.mark.parametrize(("cap", "more"), [(20_000, 0), (30_000, 0), (45_000, 15_000)])
def test_a_successor_counts_what_its_forerunner_gave_that_day(
    call: Call, city: City, cap: int, more: int
) -> None:
    take(call, city, ride("e1"))
    succeed(call, cap, since=TODAY)
    again(call, city, ride("e2"))
    assert coins(call) == [("e1", 30_000), ("e2", more)]
    assert broken(call) == []


def test_many_at_once_count_what_the_forerunner_gave(call: Call, city: City) -> None:
    cards = [f"card-{number:03}" for number in range(60)]
    city.bind(call, [card for card in cards if card != "card-017"])
    take(call, city, *(ride(f"a-{card}", card) for card in cards))
    succeed(call, 40_000, since=TODAY)
    again(call, city, *(ride(f"b-{card}", card) for card in cards))
    given = call.db.execute(text("SELECT used, count(*) FROM cap_usage GROUP BY 1")).all()
    assert [tuple(row) for row in given] == [(40_000, 60)]


def test_a_late_record_falls_under_the_cap_of_its_own_day(call: Call, city: City) -> None:
    take(call, city, ride("e1", metres=4_000))
    succeed(call, 5_000, since=TODAY + timedelta(days=1))
    tomorrow = replace(call, now=NOW + timedelta(days=1))
    again(tomorrow, city, ride("e2"), ride("e3", occurred_at=tomorrow.now))
    assert coins(call) == [("e1", 18_680), ("e2", 11_320), ("e3", 5_000)]
    rules = {each.source_event_id: each.basis.cap_rule_id for each in activities(call)}
    assert rules["e1"] == rules["e2"] != rules["e3"]


@pytest.mark.parametrize("chunk", [1, 3])
def test_a_cap_that_changed_inside_its_month_counts_what_was_given(
    call: Call, city: City, chunk: int
) -> None:
    for coins_milli, since in ((5_000, date(2026, 11, 1)), (20_000, date(2026, 11, 10))):
        content = {"scenarios": ["metro_ride", "bus_ride"], "period": "month", "coins_milli": coins_milli}
        publish_rule(call, "cap", "transit", content, since=since)
    early = ride("e1", occurred_at=NOW - timedelta(days=15), metres=20_000)
    rows = [early, ride("e2", metres=1_000), ride("e3", metres=3_000)]
    for place in range(0, len(rows), chunk):
        again(call, city, *rows[place : place + chunk])
    assert sorted(coins(call)) == [("e1", 5_000), ("e2", 4_670), ("e3", 10_330)]
    assert broken(call) == []


def test_a_correction_gives_back_to_the_subject_whatever_rules_now(call: Call, city: City) -> None:
    take(call, city, ride("e1", metres=5_000))
    succeed(call, 25_000, since=TODAY)
    again(call, city, ride("e1", metres=1_000, corrects_revision=1))
    assert [tuple(row) for row in call.db.execute(text(USAGE))] == [
        ("CN-GD-SZ", "transit", "day", TODAY, 4_670)
    ]


def test_what_was_used_is_kept_and_added_up_when_the_key_changes(database: Database) -> None:
    def before(call: Call) -> None:
        city = plant_city(call)
        city.bind(call, ["card-017"])
        take(call, city, ride("e1"), ride("e2", occurred_at=NOW - timedelta(days=1), metres=1_000))
        succeed(call, 20_000, since=TODAY)

    database.run(before)
    kept = [tuple(row) for row in database.rows(USAGE)]
    assert [row[-1] for row in kept] == [4_670, 30_000]
    database.engine.dispose()
    migrate(database.url, "0013", down=True)
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:  # the other publication's own count, as it was kept until then
        connection.execute(
            text(
                "INSERT INTO cap_usage (holder_id, account_id, rule_id, period_start, used)"
                " SELECT u.holder_id, u.account_id, p.id, u.period_start, 500"
                " FROM cap_usage u, publication p WHERE p.kind = 'cap' AND p.subject = 'transit'"
                " AND u.period_start = :today AND p.id <> u.rule_id"
            ),
            {"today": TODAY},
        )
        assert connection.execute(text("SELECT count(*) FROM cap_usage")).scalar_one() == 3
    owner.dispose()
    migrate(database.url, "head")
    assert [row[-1] for row in database.rows(USAGE)] == [4_670, 30_500]
