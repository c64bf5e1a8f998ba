"""A simulated table comes to what it would have come to: nothing new, or what another world really credits.

The table that was in force changes nothing, by however many ways records came in. A drafted one is held
against a world in which it is published before the same records come in one by one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from carbon.activities.simulation.simulation import Question, simulate
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.factor_rows import Bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from kernel.call import Call
from kernel.publications.tables import Publication
from tests.carbon.city import OFFICIAL, as_operator
from tests.conftest import REGION, Database
from tests.properties.drawn_cases import (
    CARDS,
    CORRECTED,
    EVERY,
    EVERY_DAY,
    FRESH,
    FULL_CAPS,
    OTHER_CARD,
    WITHDRAWN,
    Case,
    bill_cases,
    cases,
)
from tests.properties.two_worlds import WATER, Ground, Parcel, plant

HOW_MANY = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ALL_TIME = Question(first_day=date(2014, 1, 1), last_day=date(2026, 12, 31))
METRES_MOST = 10**6
LISTS = ("by_scenario", "by_region", "by_month", "by_decile")
PUBLISHED = "SELECT id FROM publication WHERE kind = 'factor_table' AND state = 'published'"
STANDING = (
    "SELECT b.scenario, count(*) AS activities, CAST(sum(a.carbon_mg) AS bigint) AS carbon_mg,"
    " CAST(sum(a.coin_milli) AS bigint) AS coin_milli"
    " FROM activity a JOIN activity_basis b ON b.id = a.basis_id WHERE NOT EXISTS (SELECT 1"
    " FROM activity_reversal v WHERE v.citizen_id = a.citizen_id AND v.activity_id = a.id) GROUP BY 1"
)
CAPPED = (
    "SELECT count(DISTINCT a.citizen_id) FROM activity a WHERE a.coin_cut_milli > 0 AND NOT EXISTS (SELECT 1"
    " FROM activity_reversal v WHERE v.citizen_id = a.citizen_id AND v.activity_id = a.id)"
)


@pytest.fixture
def ground(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """The city; pieces of three activities, so that there are many."""
    monkeypatch.setattr("carbon.activities.simulation.past.PIECE_ROWS", 3)
    planted = plant(database)
    with database.engine.connect() as connection:
        yield Ground(connection, *planted)


@contextmanager
def example_of(ground: Ground, case: Case) -> Iterator[None]:
    """The rules of a case, which are undone."""
    with ground.connection.begin() as transaction:
        ground.publish(case.rules)
        yield
        transaction.rollback()


def standing(ground: Ground) -> dict[str, tuple[int, int, int]]:
    """Activities, milligrams and milli-coins of each scenario."""
    rows = ground.connection.execute(text(STANDING)).all()
    return {row.scenario: (row.activities, row.carbon_mg, row.coin_milli) for row in rows}


def asked(ground: Ground, table_id: UUID) -> dict[str, Any]:
    return ground.run(lambda call: simulate(call, call.db.get_one(Publication, table_id), ALL_TIME))


def changes_nothing(told: dict[str, Any]) -> None:
    sums = [told["totals"], *(row for name in LISTS for row in told[name])]
    for row in sums:
        assert row["carbon_mg_before"] == row["carbon_mg_after"]
        assert row["coin_milli_before"] == row["coin_milli_after"]
        assert row["carbon_mg_difference"] == row["coin_milli_difference"] == 0
    assert told["totals"]["activities_changed"] == 0
    assert told["citizens_capped_before"] == told["citizens_capped_after"]
    assert (told["rises"], told["falls"], told["without_row"], told["refused"]) == ([], [], [], [])


def every_table_changes_nothing(ground: Ground) -> list[dict[str, Any]]:
    found = standing(ground)
    all_told = [asked(ground, row.id) for row in ground.connection.execute(text(PUBLISHED)).all()]
    for told in all_told:
        note(str(told))
        changes_nothing(told)
        before = {
            row["scenario"]: (row["activities"], row["carbon_mg_before"], row["coin_milli_before"])
            for row in told["by_scenario"]
        }
        assert before == found
    return all_told


@HOW_MANY
@example(case=EVERY_DAY)
@example(case=FULL_CAPS)
@given(case=st.one_of(cases(ways=(*EVERY, OTHER_CARD), cards=CARDS, lanes=1), bill_cases()))
def test_tables_in_force_change_nothing_and_the_order_is_known(ground: Ground, case: Case) -> None:
    with example_of(ground, case), ground.world():
        ground.one_by_one(case.parcels)
        for told in every_table_changes_nothing(ground):
            assert told["totals"]["activities_order_unknown"] == 0


@HOW_MANY
@example(case=FULL_CAPS)
@given(case=cases(ways=EVERY, cards=CARDS, lanes=2))
def test_tables_in_force_change_nothing_where_lanes_filled_one_cap(ground: Ground, case: Case) -> None:
    with example_of(ground, case), ground.world():
        ground.in_files(case.parcels)
        every_table_changes_nothing(ground)


def another(metro: str, bus: str) -> Bundle:
    """The official table with other values, a day later: it ends the official one."""
    values = {"metro_ride": metro, "bus_ride": bus}
    shipped = read_shipped_bundle(OFFICIAL)
    rows = [
        replace(row, value=values.get(row.scenario, row.value), valid_from=date(2021, 12, 2), examples=())
        for row in shipped.rows
    ]
    return replace(shipped, name="another", rows=tuple(rows))


def own_water(value: str, since: date) -> Bundle:
    """A factor of the city where it fell back on the nation's."""
    shipped = read_shipped_bundle(WATER)
    rows = [replace(row, region=REGION, value=value, valid_from=since, examples=()) for row in shipped.rows]
    return replace(shipped, name="own_water", subject="own_water", region=REGION, rows=tuple(rows))


def _is_far(quantity: Any) -> bool:
    return isinstance(quantity, int) and quantity > METRES_MOST


VALUES = st.sampled_from(["0", "0.0001", "12.345678", "46.6999", "46.7", "93.4", "467"])
TABLES = st.one_of(
    st.builds(another, VALUES, VALUES),
    st.builds(another, VALUES, VALUES),
    st.builds(own_water, VALUES, st.sampled_from([date(2017, 1, 1), date(2026, 10, 10), date(2026, 11, 20)])),
)


def comparable(parcels: Sequence[Parcel]) -> tuple[Parcel, ...]:
    """Without records of which another factor takes more or fewer: then the worlds part for good.

    A larger one refuses great distances, and a saving of zero grams claims no days of its meter.
    """
    return tuple(
        replace(parcel, records=tuple(each for each in parcel.records if _is_comparable(each)))
        for parcel in parcels
    )


def _is_comparable(record: dict[str, Any]) -> bool:
    quantity = record.get("quantity")
    is_far = isinstance(quantity, int) and quantity > METRES_MOST
    return not is_far and "baseline_ml" not in record.get("inputs", {})


VALUES = st.sampled_from(["0", "0.0001", "12.345678", "46.6999", "46.7", "93.4", "467"])
TABLES = st.one_of(
    st.builds(another, VALUES, VALUES),
    st.builds(another, VALUES, VALUES),
    st.builds(own_water, VALUES, st.sampled_from([date(2017, 1, 1), date(2026, 10, 10), date(2026, 11, 20)])),
)


def near(parcels: Sequence[Parcel]) -> tuple[Parcel, ...]:
    """Without what a larger factor would refuse."""
    return tuple(
        replace(
            parcel,
            records=tuple(each for each in parcel.records if not _is_far(each.get("quantity"))),
        )
        for parcel in parcels
    )


@settings(HOW_MANY, max_examples=12)
@example(case=FULL_CAPS, bundle=another("93.4", "0"))
@example(case=FULL_CAPS, bundle=another("12.345678", "0"))
@given(
    case=cases(ways=(*FRESH, CORRECTED, CORRECTED, CORRECTED, WITHDRAWN), cards=CARDS, lanes=1), bundle=TABLES
)
def test_a_drafted_table_comes_to_what_it_does_where_it_is_in_force(
    ground: Ground, case: Case, bundle: Bundle
) -> None:
    def drafted(call: Call) -> UUID:
        return draft_factor_table(as_operator(call), bundle).id

    def published(call: Call) -> None:
        publish_factor_table(as_operator(call), drafted(call), reason="another world")

    parcels = comparable(case.parcels)
    with example_of(ground, case):
        with ground.world():
            ground.one_by_one(parcels)
            told = asked(ground, ground.run(drafted))
        with ground.world():
            ground.run(published)
            ground.one_by_one(parcels)
            really, capped = standing(ground), ground.connection.execute(text(CAPPED)).scalar_one()
    note(str(told))
    after = {
        row["scenario"]: (row["activities"], row["carbon_mg_after"], row["coin_milli_after"])
        for row in told["by_scenario"]
    }
    assert after == really
    assert told["citizens_capped_after"] == capped
