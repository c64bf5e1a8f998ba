"""What stands is found by its key and among its neighbours alike; what was read once is not read again."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from carbon.activities import standing
from carbon.activities.duplicates import claims_of
from carbon.activities.intake import take_chunk
from carbon.activities.standing import Standing
from carbon.activities.subjects import SubjectHashes
from kernel.call import Call
from kernel.identifiers import new_id
from tests.carbon.city import SECRET, City, lines, plant_city, ride

EVENTS = [f"{prefix}{number}" for number in range(20) for prefix in ("e", "E", "~", "-", "_", '"', ",", "\\")]
"""Ids that every language sorts differently."""
TAKEN = EVENTS[::2]


@pytest.fixture
def city(call: Call) -> City:
    planted = plant_city(call)
    planted.bind(call, ["card-017", "card-018"])
    take_chunk(call, planted.intake(), lines(*(ride(event) for event in TAKEN)))
    take_chunk(call, planted.intake(), lines(ride("e2", metres=1, corrects_revision=1)))
    return planted


def claims(city: City, asked: pl.DataFrame) -> pl.DataFrame:
    return claims_of(asked, SubjectHashes(SECRET, partner_id=city.partner_id))


@contextmanager
def counted(call: Call) -> Iterator[list[str]]:
    """The statements about neighbours that are executed inside."""
    said: list[str] = []

    def listen(*execution: object) -> None:
        if "BETWEEN" in str(execution[2]) and "string_agg" in str(execution[2]):
            said.append(str(execution[2]))

    engine = call.db.get_bind()
    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("wide", [0, 3, 1_000])
def test_both_ways_of_looking_find_the_same(
    call: Call, city: City, monkeypatch: pytest.MonkeyPatch, few: int, wide: int
) -> None:
    monkeypatch.setattr(standing, "FEW_LINES", few)
    monkeypatch.setattr(standing, "WIDE", wide)
    asked = lines(
        *(ride(event) for event in EVENTS),
        ride("e0", metres=4),
        ride("e2", "card-018"),
        ride("e2", metres=1, corrects_revision=1),
        ride("e2", metres=1, corrects_revision=2),
    )
    sought = claims(city, asked)
    found = Standing(city.partner_id).lines(call, sought).join(asked, on=["file_no", "line_no"])
    stand = {(row["source_event_id"], row["corrects_revision"]) for row in found.iter_rows(named=True)}
    assert stand == {(event, None) for event in TAKEN} | {("e2", 1)}
    assert found.height == len(TAKEN) + 1
    assert Standing(new_id()).lines(call, sought).is_empty()


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(st.sampled_from(EVENTS), min_size=1, unique=True), min_size=1, max_size=6),
    st.integers(0, 100),
    st.sampled_from([0, 20, 1_000]),
)
def test_what_is_remembered_leaves_nothing_out(
    call: Call, city: City, asked: list[list[str]], remembered: int, of_the_file: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standing, "FEW_LINES", 0)
        patch.setattr(standing, "REMEMBERED_MOST", remembered)
        one = Standing(city.partner_id, lines=of_the_file)
        for events in asked:
            sought = claims(city, lines(*(ride(event) for event in events)))
            found = one.lines(call, sought).join(sought, on=["file_no", "line_no"])
            assert set(found["source_event_id"]) == set(events) & set(TAKEN)
            assert found.height == found["source_event_id"].n_unique()


def test_only_what_was_not_read_is_read(call: Call, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "FEW_LINES", 0)
    monkeypatch.setattr(standing, "WIDE", 1_000)
    one, ordered = Standing(city.partner_id), sorted(EVENTS)
    for first, last, reads in (
        (40, 80, 1),
        (40, 80, 0),
        (50, 60, 0),
        (30, 70, 1),
        (20, 90, 2),
        (95, 99, 1),
        (20, 30, 1),
    ):
        sought = claims(city, lines(*(ride(event) for event in ordered[first:last])))
        with counted(call) as said:
            found = one.lines(call, sought)
        assert found.height == len(set(ordered[first:last]) & set(TAKEN))
        assert len(said) == reads, (first, last)


@pytest.mark.parametrize(("of_the_file", "reads"), [(0, [0, 0]), (10, [0, 0]), (100, [1, 0])])
def test_lines_that_are_still_to_come_are_worth_reading_for(
    call: Call, city: City, monkeypatch: pytest.MonkeyPatch, of_the_file: int, reads: list[int]
) -> None:
    """A few lines from all over what stands: by key, unless the rest of the file will ask for the others."""
    monkeypatch.setattr(standing, "FEW_LINES", 0)
    one, ordered = Standing(city.partner_id, lines=of_the_file), sorted(TAKEN)
    said_each = []
    for events in (ordered[::20], ordered[7:60:20]):
        with counted(call) as said:
            found = one.lines(call, claims(city, lines(*(ride(event) for event in events))))
        assert found.height == len(events)
        said_each.append(len(said))
    assert said_each == reads


def test_hashes_that_meet_by_accident_are_told_apart(
    call: Call, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FEW_LINES", 0)
    monkeypatch.setattr(
        standing, "_keyed", lambda hashes: pl.DataFrame({"claim_hash": hashes}).with_columns(key=pl.lit(7))
    )
    asked = lines(*(ride(event) for event in reversed(EVENTS)))
    found = Standing(city.partner_id).lines(call, claims(city, asked))
    assert found["line_no"].to_list() == [
        number
        for number, event in zip(asked["line_no"], asked["source_event_id"], strict=True)
        if event in TAKEN
    ]
