"""Units, time, ids and refusals."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.clock import FixedClock, business_day, day_bounds, end_of_month_after, parse_day, parse_instant
from kernel.errors import BrokenInvariant, Kind, Refusal, require
from kernel.identifiers import WrongIdentifier, new_id, parse_public_id, public_id
from kernel.paging import PageRequest, WrongCursor
from kernel.units import floor_to_milli_coins, floor_to_milligrams, show_coins, show_grams, show_yuan


@given(st.integers(0, 2**62))
def test_milligrams_are_floored_and_never_overstated(nanograms: int) -> None:
    milligrams = floor_to_milligrams(nanograms)
    assert milligrams * 1_000_000 <= nanograms < (milligrams + 1) * 1_000_000


def test_a_negative_reduction_is_a_bug() -> None:
    with pytest.raises(BrokenInvariant):
        floor_to_milligrams(-1)


def test_one_coin_for_ten_grams_is_floored_to_the_milli_coin() -> None:
    assert floor_to_milli_coins(10_000, coins_milli=1000, per_mg=10_000) == 1000
    assert floor_to_milli_coins(107_609, coins_milli=1000, per_mg=10_000) == 10_760


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (show_coins(12345), "12.345"),
        (show_coins(-70), "-0.07"),
        (show_coins(1000), "1.00"),
        (show_grams(107_600), "107.6 g"),
        (show_grams(186_800_000), "186.8 kg"),
        (show_grams(5_000), "5 g"),
        (show_yuan(-705), "-7.05"),
    ],
)
def test_amounts_are_shown_exactly(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_ride_before_midnight_belongs_to_its_shanghai_day() -> None:
    assert business_day(datetime(2026, 11, 20, 15, 59, 59, tzinfo=UTC)) == date(2026, 11, 20)
    assert business_day(datetime(2026, 11, 20, 16, 0, tzinfo=UTC)) == date(2026, 11, 21)


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)))
def test_a_day_holds_its_bounds_half_open(day: date) -> None:
    start, end = day_bounds(day)
    assert business_day(start) == day
    assert business_day(end - timedelta(microseconds=1)) == day
    assert business_day(end) == day + timedelta(days=1)


def test_months_end_on_their_last_day() -> None:
    assert end_of_month_after(date(2026, 11, 20), 24) == date(2028, 11, 30)
    assert end_of_month_after(date(2026, 11, 30), 3) == date(2027, 2, 28)


def test_a_fixed_clock_moves_when_told() -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(timedelta(hours=1))
    assert clock.now() == datetime(2026, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T08:00:00",
        "2026-11-20",
        "２０２６-11-20T08:00:00Z",
        "2026-11-20T08:00:00Z\n",
        "now",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-13-01T00:00:00Z",
        "",
    ],
)
def test_only_an_instant_with_a_zone_is_an_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


def test_a_day_is_ascii_digits() -> None:
    assert parse_day("2026-11-20") == date(2026, 11, 20)
    with pytest.raises(ValueError, match="calendar"):
        parse_day("2026-11-２０")


@pytest.mark.parametrize("day", ["0001-01-02", "9999-12-30"])
def test_every_day_that_is_read_has_bounds(day: str) -> None:
    first, last = day_bounds(parse_day(day))
    assert last - first >= timedelta(hours=23)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_calendars_edges_are_no_days(day: str) -> None:
    with pytest.raises(ValueError, match="outside the calendar"):
        parse_day(day)


@given(st.uuids())
def test_a_public_id_comes_back(value: UUID) -> None:
    text = public_id("vch", value)
    assert len(text) == 30
    assert parse_public_id("vch", text) == value


@pytest.mark.parametrize(
    "text",
    [
        "ctz_" + "0" * 26,
        "vch_" + "0" * 25,
        "vch_" + "U" * 26,
        "vch_" + "Z" * 26,
        "vch_" + "0" * 26 + "\n",
        "vch",
        "",
    ],
)
def test_another_kind_of_id_is_refused(text: str) -> None:
    with pytest.raises(WrongIdentifier):
        parse_public_id("vch", text)


def test_later_ids_sort_later() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)


def test_every_refusal_has_a_code_a_status_and_two_titles() -> None:
    assert len(Refusal.catalogue) > 10
    for code, refusal in Refusal.catalogue.items():
        assert refusal.code == code
        assert isinstance(refusal.kind, Kind)
        assert refusal.title().endswith("."), code
        assert refusal.title("zh") != Refusal.title_zh, code


def test_require_raises_the_refusal_it_is_given() -> None:
    require(True, WrongIdentifier())
    with pytest.raises(WrongIdentifier):
        require(False, WrongIdentifier())


def test_a_cursor_is_bound_to_its_filter() -> None:
    first = PageRequest(limit=2).page([1, 2, 3], "mine", lambda row: [row])
    assert list(first.items) == [1, 2]
    assert PageRequest(after=first.next).position("mine", int) == (2,)
    for after, binding in ((first.next, "yours"), ("!!", "mine"), ("AAAA", "mine")):
        with pytest.raises(WrongCursor):
            PageRequest(after=after).position(binding, int)
