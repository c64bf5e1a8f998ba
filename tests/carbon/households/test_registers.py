"""Registers become use: what truly ran through, or nothing at all, never a guess."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carbon.households.metering import Meter, Metering, Plausible
from carbon.households.portions import evenly
from carbon.households.registers import Course, Reading, Register, interval, intervals

FIRST = date(2026, 1, 1)
MOST = 60_000
PLAUSIBLE = Plausible(use_day_most=MOST, reading_days_most=62)


@st.composite
def registers(draw: st.DrawFn) -> Register:
    resolution, multiplier = draw(st.sampled_from([1, 10, 100, 1000])), draw(st.integers(1, 40))
    # A dial that may go round once between two readings two months apart, but not twice.
    least = 2 * 62 * MOST // (resolution * multiplier) + 1
    return Register(
        modulus=draw(st.integers(least, 10 * least)), resolution=resolution, multiplier=multiplier
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[Register, list[Reading], int]:
    """A meter, readings of it, and what truly ran through in all."""
    register = draw(registers())
    shown = draw(st.integers(0, register.modulus - 1))
    day, readings, used = FIRST, [Reading(day=FIRST, register=shown)], 0
    for _ in range(draw(st.integers(1, 8))):
        days = draw(st.integers(1, 62))
        steps = draw(st.integers(0, days * MOST // register.step))
        day, shown, used = (
            day + timedelta(days=days),
            (shown + steps) % register.modulus,
            used + steps * register.step,
        )
        readings.append(Reading(day=day, register=shown))
    return register, readings, used


def counted(register: Register, readings: Sequence[Reading]) -> int:
    return sum(each.used for each in intervals(register, readings, use_day_most=MOST))


@given(histories())
def test_what_ran_through_is_counted_however_often_the_dial_went_round(
    history: tuple[Register, list[Reading], int],
) -> None:
    register, readings, used = history
    assert counted(register, readings) == used


@given(histories(), st.data())
def test_an_estimate_changes_nothing_of_what_is_counted(
    history: tuple[Register, list[Reading], int], data: st.DataObject
) -> None:
    register, readings, used = history
    days = data.draw(st.lists(st.integers(0, 400), max_size=5))
    guesses = [
        Reading(
            day=FIRST + timedelta(days=each),
            register=data.draw(st.integers(0, register.modulus - 1)),
            estimated=True,
        )
        for each in days
    ]
    assert counted(register, [*guesses, *readings]) == used


@given(histories(), st.data())
def test_readings_may_come_late_and_in_any_order(
    history: tuple[Register, list[Reading], int], data: st.DataObject
) -> None:
    register, readings, used = history
    assert counted(register, data.draw(st.permutations(readings))) == used


@given(histories(), st.data())
def test_trap_11_a_replaced_meter_counts_as_if_it_were_one(
    history: tuple[Register, list[Reading], int], data: st.DataObject
) -> None:
    register, readings, used = history
    cut = data.draw(st.integers(0, len(readings) - 1))
    swap, other = readings[cut].day, replace(register, modulus=register.modulus * 3)
    after = [Reading(day=swap, register=data.draw(st.integers(0, other.modulus - 1)))]
    for former, latter in pairwise(readings[cut:]):
        steps = (latter.register - former.register) % register.modulus
        after.append(Reading(day=latter.day, register=(after[-1].register + steps) % other.modulus))
    end = readings[-1].day
    one = Meter(point="1", first_day=FIRST, end_day=None, register=register, readings=tuple(readings))
    old = Meter(
        point="1", first_day=FIRST, end_day=swap, register=register, readings=tuple(readings[: cut + 1])
    )
    new = Meter(point="1", first_day=swap, end_day=None, register=other, readings=tuple(after))
    whole = Metering([one], PLAUSIBLE).use(FIRST, end)
    swapped = Metering([old, new], PLAUSIBLE).use(FIRST, end)
    assert swapped == whole
    assert (whole.total, whole.shortfalls) == (used, ())


@given(histories(), st.data())
def test_a_period_cut_anywhere_has_the_same_sum(
    history: tuple[Register, list[Reading], int], data: st.DataObject
) -> None:
    register, readings, used = history
    one = Meter(point="1", first_day=FIRST, end_day=None, register=register, readings=tuple(readings))
    metering, end = Metering([one], PLAUSIBLE), readings[-1].day
    cut = FIRST + timedelta(days=data.draw(st.integers(0, (end - FIRST).days)))
    parts = [metering.use(FIRST, cut), metering.use(cut, end)]
    assert sum(each.total for each in parts) == used
    assert [each.shortfalls for each in parts] == [(), ()]


@given(st.integers(0, 10**15), st.integers(1, 400))
def test_days_of_an_interval_sum_up_and_differ_by_one_unit_at_most(used: int, days: int) -> None:
    parts = evenly(used, days)
    assert (sum(parts), len(parts)) == (used, days)
    assert parts == sorted(parts, reverse=True)
    assert max(parts) - min(parts) <= 1


DIAL = Register(modulus=100_000, resolution=100)


def between(earlier: int, later: int, *, days: int = 30, register: Register = DIAL) -> tuple[Course, int]:
    read = [
        Reading(day=FIRST + timedelta(days=day), register=shown)
        for day, shown in ((0, earlier), (days, later))
    ]
    found = interval(register, *read, use_day_most=MOST)
    return found.course, found.used


def test_trap_11_a_dial_that_went_round_is_told_from_one_that_ran_backwards() -> None:
    assert between(99_900, 1_400) == (Course.ROLLED_OVER, 150_000)
    assert between(1_400, 1_400) == (Course.COUNTED, 0)
    assert between(1_400, 1_350) == (Course.BACKWARDS, 0)
    assert between(1_400, 40_000) == (Course.IMPLAUSIBLE, 0)


def test_a_plausible_bound_is_met_to_the_unit() -> None:
    assert between(0, 18_000) == (Course.COUNTED, 30 * MOST)
    assert between(0, 18_001) == (Course.IMPLAUSIBLE, 0)
    assert between(90_000, 8_000) == (Course.ROLLED_OVER, 30 * MOST)
    assert between(90_000, 8_001) == (Course.BACKWARDS, 0)


def test_who_cannot_tell_how_often_a_dial_went_round_counts_nothing() -> None:
    small = Register(modulus=10_000, resolution=100)
    assert between(0, 8_000, register=small) == (Course.AMBIGUOUS, 0)
    assert between(0, 8_001, register=small) == (Course.COUNTED, 800_100)


def test_trap_11_a_multiplier_makes_each_step_count_more() -> None:
    assert between(0, 100, register=replace(DIAL, multiplier=20)) == (Course.COUNTED, 200_000)
