"""Whether records come one by one or in files, in whatever chunks: the same activities, coins and outcomes.

What may differ, and is not compared: how credits are grouped into postings (one of each unit for a citizen,
scenario, day and step, or one a record), so only their sums by account are; where a record stood (batch, file
and line); words in a line's detail. A line that repeats another of its chunk is a duplicate or differs
*in the file*: its code says that, and a record that comes alone is told the same of the record before it.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from tests.conftest import Database
from tests.properties.drawn_cases import (
    AFTERWARDS,
    CARDS,
    CHANGED_CAP,
    CORRECTED,
    EVERY,
    EVERY_DAY,
    FRESH,
    FULL_CAPS,
    GIVEN_BACK,
    ONE_TIME,
    OTHER_CARD,
    TOO_MANY,
    Case,
    bill_cases,
    cases,
    held_cases,
    mostly,
    timed_cases,
)
from tests.properties.two_worlds import SECOND, Ground, Left, Told, plant

HOW_MANY = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FEWER = settings(HOW_MANY, max_examples=10)
TWO_CARDS = mostly(CARDS, st.just(SECOND))


@pytest.fixture
def ground(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """The city; a few lines are many here, so that the ways of large chunks are taken."""
    monkeypatch.setattr("carbon.activities.chunks.PART_LINES_LEAST", 1)
    monkeypatch.setattr("carbon.activities.chunks.LONG_CHUNK_LINES", 8)
    for room in ("allotment", "references"):
        monkeypatch.setattr(f"carbon.activities.{room}.WORTH_A_SAVEPOINT", 2)
    planted = plant(database)
    with database.engine.connect() as connection:
        yield Ground(connection, *planted)


def both(ground: Ground, case: Case) -> tuple[Left, Left]:
    """Let the case happen in both worlds, which must tell the same and reconcile; what is left in each."""
    with ground.connection.begin() as transaction:
        ground.publish(case.rules)
        ground.grant(case.tiers)
        with ground.world():
            told, left, broken = ground.one_by_one(case.parcels), ground.left(), ground.broken()
        with ground.world():
            told_of_files, left_by_files = ground.in_files(case.parcels), ground.left()
            broken_by_files = ground.broken()
        transaction.rollback()
    note(_table(case, told, told_of_files))
    assert told_of_files == told
    assert (broken, broken_by_files) == ({}, {})
    return left, left_by_files


def equal(left: Left, left_by_files: Left) -> None:
    """Compare table by table."""
    assert list(left) == list(left_by_files)
    for name, rows in left.items():
        assert left_by_files[name] == rows, name


def _table(case: Case, told: list[list[Told]], told_of_files: list[list[Told]]) -> str:
    """The case for whoever reads why it failed."""
    lines: list[Any] = [*case.rules]
    for parcel, one, other in zip(case.parcels, told, told_of_files, strict=True):
        lines.append(f"{parcel.form}, {parcel.chunk_lines} lines a chunk, {parcel.lanes} lanes")
        lines += [
            f"  {record} -> {alone}{'' if alone == in_file else f' BUT {in_file}'}"
            for record, alone, in_file in zip(parcel.records, one, other, strict=True)
        ]
        lines.append(f"  then {parcel.deed}")
    return "\n".join(map(str, lines))


@HOW_MANY
@example(case=EVERY_DAY)
@example(case=FULL_CAPS)
@example(case=CHANGED_CAP)
@example(case=AFTERWARDS)
@example(case=GIVEN_BACK)
@given(case=cases(ways=(*EVERY, OTHER_CARD), cards=TWO_CARDS, lanes=1))
def test_a_file_leaves_what_its_records_leave_one_by_one(ground: Ground, case: Case) -> None:
    equal(*both(ground, case))


@FEWER
@given(case=cases(ways=(*FRESH, CORRECTED), cards=CARDS, lanes=2))
def test_two_lanes_leave_what_the_records_leave_one_by_one(ground: Ground, case: Case) -> None:
    """Each citizen and each fact has one card here, and so one lane; the next test is about the others."""
    equal(*both(ground, case))


@FEWER
@given(case=cases(ways=(*FRESH, OTHER_CARD), cards=TWO_CARDS, lanes=2))
def test_a_citizen_in_both_lanes_gets_the_same_coins_in_all(ground: Ground, case: Case) -> None:
    """Of two lanes that fill one cap either may be first (decision 0011): who is cut may differ, sums do not.

    A correction takes back what its record brought, cut or not, and would carry the difference on: none here.
    """
    left, left_by_files = both(ground, case)
    equal({**left, "activities": _uncut(left)}, {**left_by_files, "activities": _uncut(left_by_files)})


@FEWER
@given(case=bill_cases())
def test_a_file_of_bills_leaves_what_the_bills_leave_one_by_one(ground: Ground, case: Case) -> None:
    equal(*both(ground, case))


@HOW_MANY
@example(case=ONE_TIME)
@given(case=timed_cases(ways=(*EVERY, OTHER_CARD), cards=TWO_CARDS, lanes=1))
def test_a_file_of_trips_that_claim_their_time_leaves_what_they_leave_one_by_one(
    ground: Ground, case: Case
) -> None:
    equal(*both(ground, case))


@FEWER
@given(case=timed_cases(ways=(*FRESH, CORRECTED), cards=CARDS, lanes=2))
def test_two_lanes_of_trips_leave_what_they_leave_one_by_one(ground: Ground, case: Case) -> None:
    """Of two cards of one citizen in two lanes either may have a time that both want (decision 0021)."""
    equal(*both(ground, case))


@HOW_MANY
@example(case=TOO_MANY)
@given(case=held_cases(ways=(*EVERY, OTHER_CARD), cards=TWO_CARDS, lanes=1))
def test_a_file_holds_what_its_records_hold_one_by_one(ground: Ground, case: Case) -> None:
    equal(*both(ground, case))


@FEWER
@given(case=held_cases(ways=(*FRESH, CORRECTED), cards=CARDS, lanes=2))
def test_two_lanes_hold_what_the_records_hold_one_by_one(ground: Ground, case: Case) -> None:
    """Of two cards of one citizen in two lanes either may be the one beyond the count (decision 0031)."""
    equal(*both(ground, case))


def _uncut(left: Left) -> list[dict[str, Any]]:
    """Activities with the coins that they earned, before any cap."""
    shared = ("coin_milli", "coin_cut_milli", "no_coins_posted")
    return [
        {
            **{name: value for name, value in row.items() if name not in shared},
            "earned": row["coin_milli"] + row["coin_cut_milli"],
        }
        for row in left["activities"]
    ]
