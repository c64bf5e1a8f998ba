"""Every carbon invariant, broken by hand in a copy of the database, is named."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from carbon.activities.intake import take_chunk
from carbon.reconciliation import CHECKS
from kernel.database import create_engine
from ledger.reconciliation import reconcile
from tests.carbon.city import lines, plant_city, ride
from tests.carbon.correcting_tables import with_rides
from tests.conftest import Database

NAMES = {"basis_id": "0", "batch_id": "gen_random_uuid()"}
"""What an activity names without a foreign key."""
BREAKS = {
    "UPDATE activity SET carbon_mg = carbon_mg + 1 WHERE source_event_id = 'e1'": {"L10", "L11"},
    "UPDATE activity SET coin_milli = coin_milli + 1 WHERE source_event_id = 'e1'": {"L11"},
    "DELETE FROM activity_reference WHERE source_event_id = 'e2'": {"L10"},
    "UPDATE ledger_transfer SET amount = amount + 1 WHERE code = 'CREDIT'": {"L11"},
    "DELETE FROM activity WHERE source_event_id = 'e2'": {"L10", "L11"},
}


def names_broken(database: Database) -> set[str]:
    outcomes = database.run(lambda call: reconcile(call, CHECKS))
    return {outcome.check.name for outcome in outcomes if not outcome.holds}


@pytest.mark.parametrize("statement", list(BREAKS))
def test_a_broken_carbon_invariant_is_named(database: Database, statement: str) -> None:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017", "card-018"]))
    rides = lines(ride("e1", metres=1_000), ride("e2", "card-018", metres=2_000))
    database.run(lambda call: take_chunk(call, city.intake(), rides))
    assert names_broken(database) == set()
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()
    assert names_broken(database) == BREAKS[statement]


CORRECTION_BREAKS = (
    "UPDATE activity_correction SET carbon_mg_after = carbon_mg_after + 10",
    "UPDATE activity_correction SET carbon_mg_before = carbon_mg_before + 1",
    "DELETE FROM activity_correction",
    "UPDATE recomputation_part SET posted_at = NULL",
    "UPDATE recomputation_part SET coin_milli_difference = coin_milli_difference + 1",
    "UPDATE recomputation SET told = jsonb_set(told, '{totals,carbon_mg_difference}', '7')",
    "UPDATE ledger_transfer SET amount = amount - 1 WHERE code = 'CORRECTION' AND unit = 'carbon'",
    "UPDATE ledger_transfer SET amount = amount - 1 WHERE reference LIKE 'correction/fund/%'",
    "DELETE FROM ledger_transfer WHERE code = 'CORRECTION' AND unit = 'coin'",
)


@pytest.mark.parametrize("statement", CORRECTION_BREAKS)
def test_a_broken_correction_is_named(database: Database, statement: str) -> None:
    city = with_rides(database, [1_000, 2_000])
    city.spend(city.hold("card-000", 4_000))
    city.correct("23.3")
    assert names_broken(database) == set()
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()
    assert "L13" in names_broken(database)


REFUSAL_BREAKS = (
    "UPDATE ledger_transfer SET amount = amount - 1 WHERE reference LIKE 'take-back-borne/fund/%'",
    "DELETE FROM ledger_transfer WHERE reference LIKE 'take-back-borne/fund/%'",
    "UPDATE ledger_transfer SET amount = amount * 2 WHERE reference LIKE 'take-back-borne/%'",
)


@pytest.mark.parametrize("statement", REFUSAL_BREAKS)
def test_a_fund_that_is_paid_back_otherwise_than_was_taken_is_named(
    database: Database, statement: str
) -> None:
    city = with_rides(database, [1_000])
    hold_id = city.put_on_hold("card-000")
    city.correct("23.3")
    city.refuse(hold_id)
    assert names_broken(database) == set()
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()
    assert names_broken(database) == {"L13"}


@pytest.mark.parametrize("column", NAMES)
def test_an_activity_that_names_what_does_not_stand_is_named(database: Database, column: str) -> None:
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017"]))
    database.run(lambda call: take_chunk(call, city.intake(), lines(ride("e1", metres=1_000))))
    assert names_broken(database) == set()
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(f"UPDATE activity SET {column} = {NAMES[column]}"))  # noqa: S608 - our own text
    owner.dispose()
    assert "L10" in names_broken(database)


@pytest.mark.parametrize(
    "table", ["region", "partner", "activity_basis", "activity_batch", "factor", "publication"]
)
def test_the_application_may_not_delete_what_an_activity_names(database: Database, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        database.run(lambda call: call.db.execute(text(f"DELETE FROM {table}")))  # noqa: S608 - our own text
