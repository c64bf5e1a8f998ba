"""The years 2025 and 2026 as the State Council arranged them, as a calendar rule says it."""

from datetime import date, timedelta
from typing import Any

from kernel.publications.working_calendars import WorkingYear

_OFF = {
    2025: (("01-01", 1), ("01-28", 8), ("04-04", 3), ("05-01", 5), ("05-31", 3), ("10-01", 8)),
    2026: (
        *(("01-01", 3), ("02-15", 9), ("04-04", 3), ("05-01", 5)),
        *(("06-19", 3), ("09-25", 3), ("10-01", 7)),
    ),
}
_WORKED = {
    2025: ("01-26", "02-08", "04-27", "09-28", "10-11"),
    2026: ("01-04", "02-14", "02-28", "05-09", "09-20", "10-10"),
}


def _year(year: int) -> dict[str, Any]:
    days = [
        date.fromisoformat(f"{year}-{first}") + timedelta(days=number)
        for first, length in _OFF[year]
        for number in range(length)
    ]
    return {
        "year": year,
        "holidays": [day.isoformat() for day in days],
        "workdays": [f"{year}-{day}" for day in _WORKED[year]],
    }


ARRANGEMENTS = {year: _year(year) for year in _OFF}


def arranged(year: int) -> WorkingYear:
    """The same, ready to be counted with."""
    said = ARRANGEMENTS[year]
    return WorkingYear(
        frozenset(map(date.fromisoformat, said["holidays"])),
        frozenset(map(date.fromisoformat, said["workdays"])),
    )
