"""Threads on real PostgreSQL: one ride, one person, one effect; a cap is a cap."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from carbon.activities.intake import take_activity
from carbon.reconciliation import CHECKS
from kernel.errors import Refusal
from ledger.reconciliation import reconcile
from tests.carbon.city import City, lines, plant_city, ride
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
