"""Homes for the tests of arithmetic: meters whose true use is known day by day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from carbon.households.baselines import (
    CITY,
    ELIGIBLE,
    EXCLUDED,
    SAME_MONTH,
    SEVEN_DAYS,
    STOP,
    Home,
    SavingRule,
)
from carbon.households.judgement import Found, Standing, judge
from carbon.households.metering import Meter, Metering
from carbon.households.occupancy import Stay
from carbon.households.registers import Reading, Register

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
DIAL = Register(modulus=1_000_000, resolution=100)
"""Six digits, the last of them tenths of a kilowatt-hour."""
RULE = SavingRule(
    baselines=(SAME_MONTH, CITY, SEVEN_DAYS),
    where_not_below=STOP,
    own_years=2,
    city_person_day=(3_000,) * 12,
    standard_use_permille=0,
    maintenance_periods=2,
    maintenance_below_permille=50,
    maintenance_permille=0,
    person_day_least=100,
    price_tier_most=2,
    solar=EXCLUDED,
    use_day_most=60_000,
    reading_days_most=62,
)
LENIENT = replace(RULE, solar=ELIGIBLE, person_day_least=1)
ORDINARY = (Standing(since=date(2020, 1, 1), price_tier=1, has_solar=False),)


def person(number: int, first: date = date(2020, 1, 1), end: date | None = None, share: int = 1) -> Stay:
    return Stay(member_id=UUID(int=number), first_day=first, end_day=end, share=share)


def meter(
    point: str = "1",
    *,
    since: date = date(2024, 1, 1),
    until: date | None = None,
    a_day: int = 5_000,
    months: Sequence[tuple[date, int]] = (),
    start: int = 12_345,
    register: Register = DIAL,
    last: date = date(2026, 6, 1),
) -> Meter:
    """Read on the first of each month; `a_day` base units a day, or what `months` say of one."""
    readings, value, day = [], start, since
    said = dict(months)
    end = until or last
    while day <= end:
        readings.append(Reading(day=day, register=value % register.modulus))
        following = min((day.replace(day=1) + timedelta(days=32)).replace(day=1), end)
        if following == day:
            break
        value += said.get(day, a_day) * (following - day).days // register.step
        day = following
    return Meter(point=point, first_day=since, end_day=until, register=register, readings=tuple(readings))


def home(*meters: Meter, stays: Sequence[Stay] = (), rule: SavingRule = RULE) -> Home:
    return Home(
        metering=Metering(meters or (meter(),), rule.plausible), stays=stays or (person(1), person(2))
    )


def judged(
    of: Home, rule: SavingRule = RULE, *, first: date = MARCH, end: date = APRIL, **more: Any
) -> Found:
    standings = more.get("standings", ORDINARY)
    return judge(of, rule, standings, more.get("earlier", ()), first_day=first, end_day=end)
