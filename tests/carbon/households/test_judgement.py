"""What a home saved, line by line, and each reason for which it saved nothing."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.households.baselines import CITY, NEXT, SAME_MONTH, SEVEN_DAYS, SavingRule
from carbon.households.judgement import MAINTENANCE, SAVING, STANDARD_USE, Earlier, Found, Standing
from carbon.households.metering import Meter
from carbon.households.registers import Reading
from carbon.methodologies.saving import ELECTRICITY
from tests.carbon.households.homes import APRIL, LENIENT, MARCH, RULE, home, judged, meter, person


def spared(**months: int) -> Meter:
    """5 kWh a day, but less in March of 2026."""
    return meter(months=[(MARCH, months.get("march", 4_000))])


def figures(found: Found) -> tuple[Any, ...]:
    return found.baseline and (found.baseline.name, found.baseline.amount), found.actual, dict(found.lines)


def test_trap_21_the_own_month_of_two_years_is_the_baseline() -> None:
    mean = meter(months=[(date(2024, 3, 1), 6_000), (date(2025, 3, 1), 5_000), (MARCH, 4_000)])
    assert figures(judged(home(mean))) == ((SAME_MONTH, 31 * 5_500), 31 * 4_000, {SAVING: 31 * 1_500})
    one_year = replace(RULE, own_years=1)
    assert figures(judged(home(mean), one_year))[2] == {SAVING: 31 * 1_000}


def test_a_year_that_is_not_whole_is_left_out() -> None:
    young = meter(since=date(2025, 1, 1), months=[(MARCH, 4_000)])
    assert figures(judged(home(young)))[0] == (SAME_MONTH, 31 * 5_000)
    usual = meter(months=[(date(2024, 3, 1), 9_000), (MARCH, 4_000)])
    holes = [each for each in usual.readings if each.day not in {date(2024, 4, 1), date(2024, 5, 1)}]
    assert figures(judged(home(replace(usual, readings=tuple(holes)))))[0] == (SAME_MONTH, 31 * 5_000)


def test_the_city_is_asked_where_there_is_no_own_past() -> None:
    new = meter(since=date(2026, 1, 1), months=[(MARCH, 4_000)])
    assert figures(judged(home(new))) == ((CITY, 2 * 31 * 3_000), 31 * 4_000, {SAVING: 31 * 2_000})
    seasons = replace(RULE, city_person_day=(0, 0, 4_000, *(0,) * 9))
    assert figures(judged(home(new), seasons))[0] == (CITY, 2 * 31 * 4_000)


def test_seven_days_before_are_the_last_resort() -> None:
    week = replace(RULE, baselines=(SEVEN_DAYS,))
    read = [
        Reading(day=day, register=shown)
        for day, shown in ((date(2026, 2, 22), 0), (MARCH, 350), (APRIL, 1_590))
    ]
    only = replace(meter(since=date(2026, 2, 22)), readings=tuple(read))
    assert figures(judged(home(only), week)) == ((SEVEN_DAYS, 31 * 5_000), 124_000, {SAVING: 31_000})


def test_shenzhen_looks_at_the_own_week_where_the_city_uses_less() -> None:
    new = meter(since=date(2026, 2, 1), a_day=9_000, months=[(MARCH, 8_000)])
    rule = replace(RULE, baselines=(CITY, SEVEN_DAYS))
    assert judged(home(new), rule).reasons == ("not_below_baseline",)
    assert figures(judged(home(new), replace(rule, where_not_below=NEXT))) == (
        (SEVEN_DAYS, 31 * 9_000),
        31 * 8_000,
        {SAVING: 31_000},
    )


def test_w25_a_household_of_shenzhen_on_one_day() -> None:
    """12 kWh by the season's figure for two people, 9.5 used: 2.5 kWh at 0.4403 kg are 1.10075 kg."""
    rule = replace(RULE, baselines=(CITY,), city_person_day=(6_000,) * 12)
    day = MARCH + timedelta(days=1)
    read = (Reading(day=MARCH, register=0), Reading(day=day, register=95))
    found = judged(home(replace(meter(since=MARCH), readings=read)), rule, first=MARCH, end=day)
    assert figures(found) == ((CITY, 12_000), 9_500, {SAVING: 2_500})
    assessed = ELECTRICITY.assess(
        {"saved_wh": found.total}, ELECTRICITY.factor(value="0.4403", unit="kgCO2/kWh")
    )
    assert Decimal(assessed.carbon_mg) / 1_000_000 == Decimal("1.10075")


def test_w28_the_third_price_tier_is_not_eligible() -> None:
    for since in (date(2020, 1, 1), APRIL - timedelta(days=1)):
        tier = [Standing(since=date(2020, 1, 1), price_tier=2, has_solar=False)]
        tier.append(Standing(since=since, price_tier=3, has_solar=False))
        found = judged(home(spared()), standings=tier[-1:] if since < MARCH else tier)
        assert (found.reasons, found.total) == (("price_tier_excluded",), 0)
    later = [
        Standing(since=date(2020, 1, 1), price_tier=2, has_solar=False),
        Standing(since=APRIL, price_tier=3, has_solar=False),
    ]
    assert judged(home(spared()), standings=later).total == 31_000


def test_a_home_with_solar_panels_is_left_to_its_own_method() -> None:
    solar = [Standing(since=date(2020, 1, 1), price_tier=1, has_solar=True)]
    assert judged(home(spared()), standings=solar).reasons == ("solar_excluded",)
    assert judged(home(spared()), LENIENT, standings=solar).total == 31_000
    assert judged(home(spared()), standings=[]).reasons == ("standing_unknown",)


def test_trap_14_nobody_and_hardly_any_use_are_no_saving() -> None:
    assert judged(home(spared(), stays=[person(1, APRIL)])).reasons == ("nobody_lived_there",)
    assert judged(home(spared(march=100))).reasons == ("home_not_lived_in",)
    assert judged(home(spared(march=200))).total == 31 * 4_800
    assert judged(home(spared(march=6_000))).reasons == ("not_below_baseline",)


def test_trap_12_one_of_two_meters_without_a_reading_is_not_a_saving() -> None:
    other = meter("2", a_day=3_000)
    whole = judged(home(spared(), other))
    assert whole.total == 31_000
    lost = replace(other, readings=tuple(each for each in other.readings if each.day < APRIL))
    found = judged(home(spared(), lost))
    assert (found.lines, found.reasons) == ((), ("reading_missing",))
    assert [(each.point, each.first_day, each.end_day) for each in found.shortfalls] == [("2", MARCH, APRIL)]


def test_a_meter_that_went_without_another_is_missing() -> None:
    gone = meter("2", until=date(2025, 9, 1))
    assert judged(home(spared(), gone)).reasons == ("meter_missing",)
    came = meter("2", since=date(2025, 9, 1))
    assert figures(judged(home(spared(), came)))[0] == (CITY, 2 * 31 * 3_000)


@pytest.mark.parametrize(
    ("shown", "reason"),
    [(-50, "register_backwards"), (30_000, "use_implausible")],
)
def test_what_cannot_be_is_named(shown: int, reason: str) -> None:
    usual = spared()
    before = next(each.register for each in usual.readings if each.day == MARCH)
    wrong = [replace(each, register=before + shown) if each.day == APRIL else each for each in usual.readings]
    found = judged(home(replace(usual, readings=tuple(wrong))))
    assert (found.reasons, found.lines) == ((reason,), ())


def test_trap_11_an_estimate_waits_for_the_actual_reading() -> None:
    usual = spared()
    guess = [replace(each, estimated=each.day >= APRIL) for each in usual.readings]
    assert judged(home(replace(usual, readings=tuple(guess)))).reasons == ("reading_only_estimated",)
    # The one of April stays an estimate; that of May says what both months were together.
    later = [replace(each, estimated=each.day == APRIL) for each in usual.readings]
    # 31 days of 4 kWh and 30 of 5, the 61 days shared evenly: 274 kWh.
    assert judged(home(replace(usual, readings=tuple(later)))).actual == sum(
        274_000 // 61 + (day < 274_000 % 61) for day in range(31)
    )


def test_readings_too_far_apart_say_nothing_of_a_month() -> None:
    usual = spared()
    few = tuple(each for each in usual.readings if each.day < MARCH or each.day > date(2026, 5, 1))
    assert judged(home(replace(usual, readings=few))).reasons == ("readings_too_far_apart",)


def test_trap_13_months_of_other_lengths_are_compared_by_the_day() -> None:
    leap = home(meter(since=date(2023, 1, 1), last=date(2024, 6, 1)))
    february = judged(leap, first=date(2024, 2, 1), end=date(2024, 3, 1))
    assert (february.baseline and february.baseline.amount, february.actual) == (29 * 5_000, 29 * 5_000)
    # A bill of 33 days compared with 33 days of the year before, whatever days were read then.
    bill = judged(home(spared()), first=date(2026, 2, 26), end=date(2026, 3, 31))
    assert figures(bill)[:2] == ((SAME_MONTH, 33 * 5_000), 3 * 5_000 + 30 * 4_000)


def test_who_moved_out_leaves_no_saving_behind() -> None:
    both = [person(1), person(2, end=date(2026, 1, 1))]
    halved = judged(home(spared(march=2_500), stays=both))
    assert (halved.reasons, halved.baseline and halved.baseline.amount) == (
        ("not_below_baseline",),
        31 * 2_500,
    )
    born = [person(1), person(2, date(2026, 1, 1))]
    assert figures(judged(home(spared(), stays=born)))[0] == (SAME_MONTH, 31 * 5_000)
    strangers = [person(1, date(2026, 1, 1))]
    assert figures(judged(home(spared(march=2_000), stays=strangers)))[0] == (CITY, 31 * 3_000)


STANDARD = replace(RULE, standard_use_permille=1_000)


def test_trap_21_a_frugal_home_has_the_part_below_the_standard_on_a_line_of_its_own() -> None:
    frugal = judged(home(spared()), STANDARD)
    assert dict(frugal.lines) == {SAVING: 31_000, STANDARD_USE: 31_000}  # 6 to 5 kWh, and 5 to 4 a day
    more = judged(home(spared(march=5_500)), STANDARD)
    assert (more.reasons, dict(more.lines)) == ((), {STANDARD_USE: 31 * 500})
    assert judged(home(spared()), replace(STANDARD, standard_use_permille=500)).total == 31_000


KEPT = replace(RULE, maintenance_permille=500)
SUCCESS = Earlier(saved=31_000, baseline=155_000, days=31)


def test_who_holds_the_level_after_two_successes_has_a_part_once() -> None:
    same = home(spared(march=4_900))
    held = judged(same, KEPT, earlier=[SUCCESS, SUCCESS])
    assert dict(held.lines) == {SAVING: 3_100, MAINTENANCE: 31 * 500 - 3_100}
    assert dict(judged(same, KEPT, earlier=[SUCCESS]).lines) == {SAVING: 3_100}
    failed = replace(SUCCESS, saved=7_000)
    assert dict(judged(same, KEPT, earlier=[failed, SUCCESS]).lines) == {SAVING: 3_100}
    assert dict(judged(home(spared()), KEPT, earlier=[SUCCESS, SUCCESS]).lines) == {SAVING: 31_000}
    assert judged(home(spared(march=5_100)), KEPT, earlier=[SUCCESS, SUCCESS]).lines == ()


@given(
    st.lists(st.integers(0, 9_000), min_size=3, max_size=3),
    st.sampled_from([RULE, STANDARD, KEPT, replace(STANDARD, maintenance_permille=1_000)]),
    st.integers(0, 60_000),
)
def test_no_line_is_negative_and_no_unit_is_in_two(use: list[int], rule: SavingRule, before: int) -> None:
    days = [date(2024, 3, 1), date(2025, 3, 1), MARCH]
    read = meter(months=list(zip(days, use, strict=True)))
    earlier = [Earlier(saved=before, baseline=60_000, days=31)] * 2
    found = judged(home(read), rule, earlier=earlier)
    lines = dict(found.lines)
    assert all(amount > 0 for amount in lines.values())
    assert bool(lines) != bool(found.reasons)
    if found.baseline is None or found.actual is None:
        assert found.reasons == ("home_not_lived_in",)
        return
    standard = 2 * 31 * 3_000 * rule.standard_use_permille // 1000
    most = max(found.baseline.amount, standard)
    assert lines.get(SAVING, 0) + lines.get(STANDARD_USE, 0) == max(0, most - found.actual)


@given(st.data())
def test_whatever_reading_is_lost_the_gate_holds(data: st.DataObject) -> None:
    """Without the last readings of any meter a period brings nothing."""
    points = [spared(), meter("2", a_day=2_000), meter("3", a_day=700)]
    lost = data.draw(st.integers(0, 2))
    until = data.draw(st.dates(MARCH, APRIL - timedelta(days=1)))
    kept = tuple(each for each in points[lost].readings if each.day <= until)
    cut = [replace(each, readings=kept) if place == lost else each for place, each in enumerate(points)]
    found = judged(home(*cut))
    assert (found.lines, found.reasons) == ((), ("reading_missing",))
    assert {each.point for each in found.shortfalls} == {points[lost].point}
