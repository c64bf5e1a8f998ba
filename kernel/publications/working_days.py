"""Working days of a region, by the calendars it has published: one rule a year, `working_calendar`.

A year without a calendar is refused, never guessed.
"""

from datetime import date

from kernel.call import Call
from kernel.clock import parse_day
from kernel.publications.errors import CalendarMissing, NoRuleInForce
from kernel.publications.rules import rule_in_force
from kernel.publications.working_calendars import WorkingYear, count, subject_of

CALENDAR = "working_calendar"


def nth_working_day_after(call: Call, region_id: str, day: date, *, days: int) -> date:
    """The last of `days` working days after `day`, which itself is not counted; refuses CalendarMissing."""
    years: dict[int, WorkingYear] = {}

    def year_of(year: int) -> WorkingYear:
        if year not in years:
            years[year] = _published(call, region_id, year)
        return years[year]

    return count(year_of, day, days=days)


def _published(call: Call, region_id: str, year: int) -> WorkingYear:
    try:
        rule = rule_in_force(call, region_id, kind=CALENDAR, subject=subject_of(year), day=call.today)
    except NoRuleInForce as none:
        raise CalendarMissing(year=year, region=region_id) from none
    days = {name: frozenset(map(parse_day, rule.content[name])) for name in ("holidays", "workdays")}
    return WorkingYear(**days)
