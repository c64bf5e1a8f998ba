"""Any stored column of a credit that is changed by hand makes its replay fail.

The owner of the database changes one column of one row that a credit rests on; the application may not. Every
column of the four tables is drawn, or stands in `ENTERS_NO_NUMBER` with its reason. What differs is looked
for where a citizen looks: in the explanation of the entries.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Table, TextClause, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from carbon.activities.explanation import explain, explain_own
from carbon.activities.intake import take_chunk
from carbon.activities.tables import Activity, ActivityBasis
from carbon.factors.tables import Factor
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.database import Base, create_engine, in_transaction, sessions_on
from kernel.errors import NotFound
from kernel.publications.tables import Publication
from tests.carbon.city import City, lines, publish_rule, ride
from tests.carbon.test_meters import plant_homes
from tests.conftest import NOW, REGION, Database, cloned_database, make_call, plant_region

ENTERS_NO_NUMBER = {
    "activity.started_at": "names the days of a meter, which its claim keeps (tests/carbon/test_meters.py)",
    "activity.facts": "what the partner's form says beside the inputs, for people",
    "activity.batch_id": "which file it came in; L10 names one that does not stand",
    "activity.file_no": "which of its batch's files it came in",
    "activity.line_no": "which line of the file it was",
    "publication.ends_on": "what came after; history is judged by its own time, and L11 counts by it",
    "publication.state": "the same: a withdrawal is told by its step",
    "publication.author_id": "who drafted; the signed document and the step say what",
    "publication.publisher_id": "who published; the signature says that it was",
    "publication.drafted_at": "when it was written; it rules from its publication on",
    "publication.reviewer_id": "who approved; its step says so",
    "publication.review_round": "how often it was submitted",
    "publication.procedure_id": "what its way prescribed; it rules from its publication on",
    "publication.notice_from": "when it was on notice",
    "publication.notice_until": "the same",
    "publication.withdrawn_from": "what came after; read where a step says that it was withdrawn",
    "publication.withdrawn_by": "who withdrew it; its step says so",
}
"""Columns that may be changed without a replay that fails, and why."""
TABLES: dict[str, Table] = {
    table.__tablename__: Base.metadata.tables[table.__tablename__]
    for table in (Activity, ActivityBasis, Factor, Publication)
}
COLUMNS = [
    f"{name}.{column.name}"
    for name, table in TABLES.items()
    for column in table.columns
    if f"{name}.{column.name}" not in ENTERS_NO_NUMBER
]
IN_PAIRS: dict[str, dict[str, Any]] = {
    "notice_from": {"notice_until": date(2031, 1, 1)},
    "notice_until": {"notice_from": date(2029, 1, 1)},
    "withdrawn_from": {"withdrawn_by": UUID(int=1)},
    "withdrawn_by": {"withdrawn_from": date(2030, 1, 1)},
}
"""What a CHECK wants beside a column."""
MAY_CHANGE = {("publication", name) for name in ("digest", "kid", "signature", "published_at")}
"""What publishing fills in; the application may write it, and a replay finds it."""
ROADS = ("metro", "home", "nothing")
"""A ride under a cap, a saving by another region's factor without one, a ride that brought nothing."""


@dataclass
class World:
    """A city whose rows have doubles, so that a change to another right row is tried too."""

    connection: Connection
    owner: UUID
    transfers: dict[str, int | None]
    """By road, the kilograms' entry."""
    activities: dict[str, UUID]
    rows: dict[str, dict[str, list[Any]]]
    """By table and road, the keys of the rows that the road's activity rests on."""
    ids: dict[str, list[Any]]

    def __repr__(self) -> str:
        return "the world"

    def holds(self, road: str) -> bool:
        """Whether the road's entry replays equal, or the activity where nothing was entered."""
        with Session(self.connection, join_transaction_mode="create_savepoint") as session:
            call, transfer = make_call(session), self.transfers[road]
            try:
                if transfer is None:
                    return bool(explain_own(call, self.owner, self.activities[road])["replays_equal"])
                return bool(explain(call, self.owner, transfer)["replays_equal"])
            except NotFound:
                return False


def plant(call: Call) -> tuple[City, UUID]:
    city = plant_homes(call)
    owner = city.bind(call, ["card-017"])["card-017"]
    rate, cap = {"coins_milli": 1000, "per_mg": 10_000}, {"scenarios": ["metro_ride", "bus_ride"]}
    publish_rule(call, "coin_rate", "standard", rate, since=date(2026, 12, 1))
    publish_rule(
        call, "cap", "transit", {**cap, "period": "day", "coins_milli": 30_000}, since=date(2026, 12, 1)
    )
    publish_rule(call, "factor_fallback", "metro_ride", {"region_id": "CN-GD"})
    register_partner(call, name="another partner", region_id=REGION)
    return city, owner


def live(call: Call, city: City) -> None:
    """An hour after the rules were published: what is published at one moment may be seen or not."""
    saving: dict[str, Any] = {
        "scenario": "household_electricity_saving",
        "metres": None,
        "baseline_wh": 9_000,
        "actual_wh": 4_000,
    }
    ten_days = timedelta(days=10)
    chunk = lines(
        ride("metro", occurred_at=NOW - timedelta(days=1)),
        ride("home", **saving, started_at=NOW - 2 * ten_days, occurred_at=NOW - ten_days),
        ride("nothing", metres=0),
        ride("another", metres=700),
        ride("last", metres=900, occurred_at=NOW + timedelta(minutes=1)),
    )
    assert (
        take_chunk(call, city.intake(), chunk)["outcome"].to_list()
        == ["credited"] * 2 + ["assessed"] + ["credited"] * 2
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with cloned_database() as url:
        engine = create_engine(url)
        sessions = sessions_on(engine)
        in_transaction(sessions, lambda session: plant_region(make_call(session)))
        city, owner = in_transaction(sessions, lambda session: plant(make_call(session)))
        later = NOW + timedelta(hours=1)
        in_transaction(sessions, lambda session: live(make_call(session, now=later), city))
        engine.dispose()
        owners = create_engine(url, as_owner=True)
        with owners.connect() as connection:
            # Past the trigger too, which lets nobody change what is published.
            connection.execute(text("ALTER TABLE publication DISABLE TRIGGER publication_stays"))
            yield described(connection, owner)
        owners.dispose()


def described(connection: Connection, owner: UUID) -> World:
    found = connection.execute(
        text(
            "SELECT a.source_event_id AS road, a.id, a.basis_id, b.factor_id, f.publication_id,"
            " b.coin_rule_id, b.cap_rule_id, a.carbon_transfer_id FROM activity a"
            " JOIN activity_basis b ON b.id = a.basis_id JOIN factor f ON f.id = b.factor_id"
            " WHERE a.citizen_id = :owner"
        ),
        {"owner": owner},
    ).all()
    fallback = connection.execute(
        text("SELECT id FROM publication WHERE kind = 'factor_fallback' AND subject LIKE '%electricity%'")
    ).scalar_one()
    rows: dict[str, dict[str, list[Any]]] = {name: {} for name in TABLES}
    for row in found:
        rules = [
            row.publication_id,
            row.coin_rule_id,
            row.cap_rule_id,
            fallback if row.road == "home" else None,
        ]
        rows["activity"][row.road] = [row.id]
        rows["activity_basis"][row.road] = [row.basis_id]
        rows["factor"][row.road] = [row.factor_id]
        rows["publication"][row.road] = [each for each in rules if each is not None]
    ids = {
        name: list(connection.execute(select(table.columns["id"])).scalars())
        for name, table in Base.metadata.tables.items()
        if name in {*TABLES, "region", "partner"}
    }
    transfers = {row.road: row.carbon_transfer_id for row in found}
    return World(connection, owner, transfers, {row.road: row.id for row in found}, rows, ids)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
NUMBERS = st.integers(-(2**20), 2**40)
DAYS = st.dates(date(2015, 1, 1), date(2035, 1, 1))
INSTANTS = st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is drawn
OBJECTS = st.dictionaries(
    st.sampled_from(["distance_m", "trips", "saved_wh", "rows", "title"]), NUMBERS, max_size=3
)
JSON: st.SearchStrategy[Any] = st.one_of(
    OBJECTS, st.lists(NUMBERS, max_size=2), NUMBERS, WORDS, OBJECTS.map(lambda inner: {"source": inner})
)
BY_TYPE: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.one_of(NUMBERS, st.integers(-3, 3).map(lambda step: ("step", step))),
    str: st.one_of(
        WORDS, st.sampled_from(["CO2", "CO2e", "metro_ride", "bus_ride", "region", "fallback:CN"])
    ),
    date: DAYS,
    datetime: INSTANTS,
    UUID: st.uuids(),
    bytes: st.binary(min_size=32, max_size=32),
    dict: JSON,
}


def _kind(column: Column[Any]) -> type:
    return dict if isinstance(column.type, JSONB) else column.type.python_type


def drawn(data: st.DataObject, column: Column[Any], world: World, *, road: str) -> Any:
    """Another value for a column: near the one that stands, far from it, or that of another right row."""
    kinds: list[st.SearchStrategy[Any]] = []
    named = [key.column.table.name for key in column.foreign_keys]
    if column.name == "basis_id":
        named.append("activity_basis")
    kinds += [st.sampled_from(world.ids[name]) for name in named if name in world.ids]
    if not column.foreign_keys:
        kinds.append(BY_TYPE[_kind(column)])
    if column.nullable:
        kinds.append(st.none())
    if str(column) == "activity.reason" and road == "nothing":
        kinds = [st.none()]  # its wording enters no number; that there is one does
    value = data.draw(st.one_of(kinds), label=str(column))
    return column + value[1] if isinstance(value, tuple) else value


def changed(world: World, column: Column[Any], key: Any, value: Any, **beside: Any) -> bool | None:
    """Write the value past the application; None where the database itself refuses it."""
    table = column.table
    new = literal(value, column.type) if isinstance(column.type, JSONB) else value
    other = (table.columns["id"] == key) & column.is_distinct_from(new)
    try:
        done = world.connection.execute(update(table).where(other).values({column.name: new, **beside}))
    except (IntegrityError, DataError):
        return None
    return done.rowcount == 1


@pytest.mark.parametrize("name", COLUMNS)
@settings(max_examples=8)
@given(data=st.data())
def test_a_changed_column_makes_the_replay_fail(world: World, name: str, data: st.DataObject) -> None:
    table, _, column = name.partition(".")
    road = data.draw(st.sampled_from(ROADS), label="road")
    key = data.draw(st.sampled_from(world.rows[table][road]), label="row")
    value = drawn(data, TABLES[table].columns[column], world, road=road)
    with world.connection.begin_nested() as undone:
        done = changed(world, TABLES[table].columns[column], key, value)
        if done is not None:
            assume(done)
            assert not world.holds(road), (name, road, value)
        undone.rollback()


def test_what_nobody_changed_replays_and_what_enters_no_number_may_be_changed(world: World) -> None:
    """The reasons are true: these columns really do nothing, so each of them has to be in the list."""
    assert all(world.holds(road) for road in world.transfers)
    assert set(ENTERS_NO_NUMBER) <= {
        f"{table.name}.{column.name}" for table in TABLES.values() for column in table.columns
    }
    samples: dict[type, Any] = {
        datetime: NOW - timedelta(days=400),
        date: date(2030, 1, 1),
        dict: {"origin": "elsewhere"},
        UUID: world.owner,
        int: 7,
        str: "corrected",
    }
    for name in ENTERS_NO_NUMBER:
        table, _, column = name.partition(".")
        with world.connection.begin_nested() as undone:
            target = TABLES[table].columns[column]
            sample = world.ids[table][0] if target.foreign_keys else samples[_kind(target)]
            beside = IN_PAIRS.get(column, {})
            assert changed(world, target, world.rows[table]["metro"][0], sample, **beside), name
            assert world.holds("metro"), name
            undone.rollback()


def test_the_application_may_change_none_of_them(database: Database) -> None:
    for name in COLUMNS:
        table, _, column = name.partition(".")
        if (table, column) in MAY_CHANGE:
            continue
        statement = text(f"UPDATE {table} SET {column} = {column}")  # noqa: S608 - our own text
        with pytest.raises(ProgrammingError, match="permission denied"):
            database.run(partial(_execute, statement=statement))


def _execute(call: Call, *, statement: TextClause) -> None:
    call.db.execute(statement)
