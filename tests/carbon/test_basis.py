"""What activities were judged by stands once for all of them, and nobody waits for who writes it."""

from sqlalchemy import text

from carbon.activities.intake import take_chunk
from carbon.reconciliation import CHECKS
from kernel.call import Call
from ledger.reconciliation import reconcile
from tests.carbon.city import City, lines, plant_city, ride
from tests.conftest import Database

STANDING = "SELECT id, scenario, cap_rule_id FROM activity_basis ORDER BY id"
NAMED = "SELECT basis_id FROM activity ORDER BY source_event_id"


def planted(database: Database) -> City:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017", "card-018"]))
    return city


def test_activities_of_one_kind_share_their_basis_from_chunk_to_chunk(database: Database) -> None:
    city = planted(database)
    database.run(lambda call: take_chunk(call, city.intake(), lines(ride("e1"), ride("e2", "card-018"))))
    database.run(lambda call: take_chunk(call, city.intake(), lines(ride("e3"))))
    (basis,) = database.rows(STANDING)
    assert {row.basis_id for row in database.rows(NAMED)} == {basis.id}


def test_two_who_miss_the_same_basis_both_write_it_and_neither_waits(database: Database) -> None:
    city = planted(database)
    bus = ride("e0", scenario="bus_ride", metres=None, trips=1)
    database.run(lambda call: take_chunk(call, city.intake(), lines(bus)))  # opens the city's own accounts

    def first(call: Call) -> None:
        take_chunk(call, city.intake(), lines(ride("e1")))
        database.run(second)  # to its commit, while the first has not committed

    def second(call: Call) -> None:
        call.db.execute(text("SET LOCAL lock_timeout = '100ms'"))
        take_chunk(call, city.intake(), lines(ride("e2", "card-018")))

    database.run(first)
    database.run(lambda call: take_chunk(call, city.intake(), lines(ride("e3"))))
    _, one, another = database.rows(STANDING)
    assert (one.scenario, one.cap_rule_id) == (another.scenario, another.cap_rule_id)
    named = [row.basis_id for row in database.rows(NAMED)][1:]
    assert sorted(named[:2]) == [one.id, another.id]
    assert named[2] == one.id
    assert [o.check.name for o in database.run(lambda call: reconcile(call, CHECKS)) if not o.holds] == []
