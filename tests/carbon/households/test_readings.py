"""Readings are taken once and never changed; each one that is refused says why."""

from datetime import date

import pytest

from carbon.activities.errors import ConsentMissing, UnboundCard
from carbon.households.errors import (
    HouseholdExists,
    MemberThere,
    MeterOfAnotherHome,
    NothingToReplace,
    PointTaken,
    RegisterTooLarge,
    StayEnded,
)
from carbon.households.readings import effective
from carbon.households.registration import add_member, add_meter, end_stay
from carbon.households.tables import MeterReading
from carbon.partners.bindings import withdraw_consent
from kernel.call import Call
from kernel.errors import Refusal
from tests.carbon.city import SECRET
from tests.carbon.households.street import (
    APRIL,
    IN_APRIL,
    MARCH,
    Street,
    home_order,
    member_order,
    meter_order,
    plant_street,
    reading,
)
from tests.conftest import at


@pytest.fixture
def street(call: Call) -> Street:
    made = Street(call, plant_street(call))
    made.register()
    return made


def said(street: Street, *orders: object, **more: object) -> list[tuple[str, str | None, str | None]]:
    return [(each.outcome, each.code, each.pointer) for each in street.read(*orders, **more)]  # type: ignore[arg-type]


def kept(street: Street) -> list[tuple[date, int, bool]]:
    rows = street.call.db.query(MeterReading).all()
    return [(each.day, each.register, each.estimated) for each in effective(rows)]


def test_a_reading_is_taken_once(street: Street) -> None:
    first = reading(MARCH, 100, source_event_id="e1")
    assert said(street, first, first) == [("taken", None, None), ("duplicate", None, None)]
    assert said(street, first) == [("duplicate", None, None)]
    other = reading(MARCH, 101, source_event_id="e1")
    assert said(street, other) == [("rejected", "reading_differs", "/body/readings/0/source_event_id")]
    assert kept(street) == [(MARCH, 100, False)]


def test_another_number_for_a_day_is_a_correction_or_refused(street: Street) -> None:
    street.took(reading(MARCH, 100, source_event_id="e1"))
    told = street.read(reading(MARCH, 120, source_event_id="e2"))[0]
    assert (told.code, told.pointer, told.detail) == (
        "reading_differs",
        "/body/readings/0/day",
        "first: event e1",
    )
    street.took(reading(MARCH, 120, source_event_id="e2", corrects="e1"))
    assert said(street, reading(MARCH, 130, source_event_id="e3", corrects="e1")) == [
        ("rejected", "corrected_before", "/body/readings/0/corrects")
    ]
    street.took(reading(MARCH, 130, source_event_id="e3", corrects="e2"))
    assert kept(street) == [(MARCH, 130, False)]
    assert street.call.db.query(MeterReading).count() == 3


def test_a_correction_counts_whatever_it_is_called_and_an_estimate_too(street: Street) -> None:
    first = reading(MARCH, 100, source_event_id="e1")
    street.took(first, reading(MARCH, 120, source_event_id="a1", corrects="e1"))
    assert kept(street) == [(MARCH, 120, False)]
    street.took(reading(MARCH, 130, source_event_id="a0", corrects="a1", estimated=True))
    assert kept(street) == [(MARCH, 130, True)]


def test_a_correction_names_a_reading_of_its_meter_and_day(street: Street) -> None:
    street.took(reading(MARCH, 100, source_event_id="e1"))
    for wrong in (
        reading(MARCH, 120, source_event_id="e2", corrects="e9"),
        reading(APRIL, 120, source_event_id="e2", corrects="e1"),
    ):
        assert said(street, wrong) == [("rejected", "corrected_unknown", "/body/readings/0/corrects")]


def test_the_actual_reading_of_a_day_counts_whichever_came_first(street: Street) -> None:
    street.took(reading(MARCH, 90, estimated=True), reading(MARCH, 100))
    street.took(reading(APRIL, 200), reading(APRIL, 190, estimated=True))
    assert kept(street) == [(MARCH, 100, False), (APRIL, 200, False)]
    guess = reading(APRIL, 190).source_event_id
    street.took(reading(APRIL, 210, corrects=guess, source_event_id="e9", estimated=True))
    assert kept(street)[1] == (APRIL, 200, False)


def test_what_no_meter_shows_is_refused(street: Street) -> None:
    assert said(
        street,
        reading(MARCH, 1_000_000),
        reading(MARCH, 999_999),
        reading(MARCH, 5, "m-77"),
        reading(MARCH, 5, kind="water"),
        reading(date(2024, 12, 31), 5),
        reading(date(2026, 4, 11), 5),
        now=IN_APRIL,
    ) == [
        ("rejected", "register_too_large", "/body/readings/0/register"),
        ("taken", None, None),
        ("rejected", "meter_unknown", "/body/readings/2/meter"),
        ("rejected", "meter_unknown", "/body/readings/3/meter"),
        ("rejected", "meter_unknown", "/body/readings/4/meter"),
        ("rejected", "day_to_come", "/body/readings/5/day"),
    ]


def test_the_last_register_of_a_meter_is_of_the_day_on_which_it_ended(street: Street) -> None:
    home, day = street.homes["home-1"].household, date(2026, 3, 20)
    swap = meter_order("m-9", since=day, first_register=0, last_register=500)
    assert len(add_meter(at(street.call, IN_APRIL), home, swap, secret=SECRET).meters) == 2
    rows = street.call.db.query(MeterReading).all()
    assert sorted((each.register, each.day) for each in rows) == [(0, day), (500, day)]
    assert said(street, reading(date(2026, 3, 21), 501)) == [
        ("rejected", "meter_unknown", "/body/readings/0/meter")
    ]
    for order, refusal in (
        (meter_order("m-10", since=day), PointTaken),
        (meter_order("m-10", "5", since=day, last_register=5), NothingToReplace),
        (meter_order("m-10", since=APRIL, last_register=10**6), RegisterTooLarge),
        (meter_order("m-9", "2", since=APRIL), MeterOfAnotherHome),
    ):
        with pytest.raises(refusal), street.call.db.begin_nested():
            add_meter(at(street.call, IN_APRIL), home, order, secret=SECRET)


def refused(street: Street, **more: object) -> tuple[str, str | None, str]:
    with pytest.raises(Refusal) as told, street.call.db.begin_nested():
        street.register(home_order(**more))  # type: ignore[arg-type]  # some of its fields
    return told.value.code, told.value.pointer, told.value.detail


def test_a_home_is_registered_once_with_people_who_agreed(street: Street) -> None:
    assert refused(street) == (HouseholdExists.code, "/body/reference", "")
    other = {"reference": "home-2", "meters": [meter_order("m-2")]}
    assert refused(street, **{**other, "meters": [meter_order("m-2"), meter_order("m-1", "2")]}) == (
        MeterOfAnotherHome.code,
        "/body/meters/1/number",
        "first: from 2025-01-01 on",
    )
    assert refused(street, **{**other, "meters": [meter_order("m-2"), meter_order("m-3")]})[:2] == (
        PointTaken.code,
        "/body/meters/1/point",
    )
    assert refused(street, **other, members=[member_order("acc-1"), member_order("acc-9")])[:2] == (
        UnboundCard.code,
        "/body/members/1/subject",
    )
    assert refused(street, **other, members=[member_order("acc-1"), member_order("acc-1")])[:2] == (
        MemberThere.code,
        "/body/members/1/subject",
    )
    withdraw_consent(street.call, street.homes["home-1"].members[0].citizen_id, street.city.partner_id)
    assert refused(street, **other)[:2] == (ConsentMissing.code, "/body/members/0/subject")


def test_who_moves_out_may_come_again(street: Street) -> None:
    home, call = street.homes["home-1"], at(street.call, IN_APRIL)
    member = home.members[0].id
    for on in (date(2025, 1, 1), date(2024, 12, 1)):
        with pytest.raises(StayEnded):
            end_stay(call, home.household, member, on=on)
    end_stay(call, home.household, member, on=MARCH)
    with pytest.raises(StayEnded):
        end_stay(call, home.household, member, on=APRIL)
    with pytest.raises(MemberThere), call.db.begin_nested():
        add_member(call, home.household, member_order("acc-1", since=date(2026, 2, 1)), secret=SECRET)
    again = add_member(call, home.household, member_order("acc-1", since=MARCH), secret=SECRET)
    assert len(again.members) == 3
