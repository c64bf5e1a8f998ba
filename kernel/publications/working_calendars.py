"""A year's working days: what of it is otherwise than Monday to Friday, and how days are counted.

The State Council closes weekdays and has weekends worked instead (调休), so a naive count of Monday to
Friday is wrong around every long holiday.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from kernel.clock import parse_day

FIRST_YEAR, LAST_YEAR = 2000, 2100
_SATURDAY = 5


@dataclass(frozen=True)
class WorkingYear:
    """What of a year is otherwise than Monday to Friday."""

    holidays: frozenset[date]
    workdays: frozenset[date]

    def works(self, day: date) -> bool:
        """Whether a day of this year is a working day."""
        return day in self.workdays or (day.weekday() < _SATURDAY and day not in self.holidays)


def subject_of(year: int) -> str:
    """The subject under which a year's calendar is published."""
    return f"year_{year}"


def calendar_fault(content: Mapping[str, Any]) -> tuple[str, str] | None:
    """Which field of a calendar is wrong and what it must be, or None."""
    found: dict[str, set[date]] = {}
    for name in ("holidays", "workdays"):
        days = [_day(text) for text in content[name]]
        if None in days or len(set(days)) < len(days):
            return name, "days as YYYY-MM-DD, each once"
        found[name] = {day for day in days if day is not None}
        if any(day.year != content["year"] for day in found[name]):
            return name, f"days of {content['year']}"
    if any(day.weekday() < _SATURDAY for day in found["workdays"]):
        return "workdays", "Saturdays and Sundays that are worked; other days are working days anyhow"
    if found["workdays"] & found["holidays"]:
        return "workdays", "no holidays at once"
    return None


def count(year_of: Callable[[int], WorkingYear], day: date, *, days: int) -> date:
    """The last of `days` working days after `day`, which itself is not counted.

    The year of every day that is counted or passed over is asked, and may be refused.
    """
    left = days
    while left:
        day += timedelta(days=1)
        left -= year_of(day.year).works(day)
    return day


def _day(text: Any) -> date | None:
    try:
        return parse_day(text)
    except (ValueError, TypeError):
        return None
