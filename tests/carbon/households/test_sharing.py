"""A saving is divided among those who lived there, exactly, and the same way every time."""

from datetime import date, timedelta
from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from carbon.households.occupancy import Stay, divide, person_days
from carbon.households.portions import portions
from tests.carbon.households.homes import APRIL, MARCH, person

AMOUNTS = st.integers(0, 10**13)
WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any)


@st.composite
def stays(draw: st.DrawFn) -> list[Stay]:
    def day() -> date:
        return MARCH + timedelta(days=draw(st.integers(-5, 35)))

    made = []
    for number in range(draw(st.integers(0, 6))):
        first = day()
        end = draw(st.sampled_from([None, first + timedelta(days=draw(st.integers(1, 20)))]))
        made.append(person(number, first, end, draw(st.integers(1, 1000))))
    return made


@given(AMOUNTS, WEIGHTS)
def test_portions_sum_up_and_none_is_a_unit_away_from_its_share(amount: int, weights: list[int]) -> None:
    parts = portions(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, sum(weights))) < 1


@given(AMOUNTS, stays())
def test_parts_and_what_is_nobodys_are_the_saving(amount: int, made: list[Stay]) -> None:
    divided = divide(amount, made, first_day=MARCH, end_day=APRIL)
    assert sum(divided.by_member.values()) + divided.nobodys == amount
    assert min([divided.nobodys, *divided.by_member.values()]) >= 0
    there = {
        stay.member_id
        for stay in made
        if any(stay.covers(MARCH + timedelta(days=each)) for each in range(31))
    }
    assert set(divided.by_member) == there
    empty = sum(not count for count in person_days(made, MARCH, APRIL).values())
    assert abs(divided.nobodys - Fraction(amount * empty, 31)) < 1


@given(AMOUNTS, stays(), st.data())
def test_the_order_of_members_does_not_matter(amount: int, made: list[Stay], data: st.DataObject) -> None:
    other = data.draw(st.permutations(made))
    assert divide(amount, other, first_day=MARCH, end_day=APRIL) == divide(
        amount, made, first_day=MARCH, end_day=APRIL
    )


def shares(amount: int, *made: Stay) -> list[int]:
    divided = divide(amount, made, first_day=MARCH, end_day=APRIL)
    return [divided.by_member.get(UUID(int=number), 0) for number in range(1, len(made) + 1)]


def test_a_tie_goes_to_whoever_was_there_first() -> None:
    assert shares(100, person(1), person(2), person(3)) == [34, 33, 33]
    assert shares(1, person(1), person(2)) == [1, 0]
    assert shares(1000, person(1, share=600), person(2, share=400)) == [600, 400]


def test_who_moves_out_has_the_days_until_then() -> None:
    # 31 days, of which the second person was there for 10: 5 days' worth.
    moved = person(2, end=MARCH + timedelta(days=10))
    assert shares(31_000, person(1), moved) == [26_000, 5_000]
    came = person(3, MARCH + timedelta(days=10))
    assert shares(31_000, person(1), moved, came) == [15_500, 5_000, 10_500]


def test_a_day_on_which_nobody_lived_there_brings_nobody_anything() -> None:
    divided = divide(31_000, [person(1, end=MARCH + timedelta(days=10))], first_day=MARCH, end_day=APRIL)
    assert (divided.by_member, divided.nobodys) == ({UUID(int=1): 10_000}, 21_000)
