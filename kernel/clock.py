"""The only reader of the machine's clock, and the only way from an instant to a business day.

Instants are aware UTC; the business day is the day in Shanghai. A ride at 23:50 belongs to that
day even when its file arrives after midnight.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""A day inside the calendar's edges, so that no zone conversion and no next day overflows."""


class Clock(Protocol):
    """Where a unit of work learns what time it is."""

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that stands where it is put; for tests, demo histories and simulations."""

    at: datetime

    def now(self) -> datetime:
        """Return the instant it stands at."""
        return self.at.astimezone(UTC)

    def advance(self, step: timedelta) -> None:
        """Move forward (or back) by `step`."""
        self.at += step


def business_day(instant: datetime) -> date:
    """The Shanghai calendar day that `instant` belongs to."""
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone has no business day")
    return instant.astimezone(SHANGHAI).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The half-open UTC interval [start, end) of a business day."""
    start = datetime.combine(day, time.min, tzinfo=SHANGHAI)
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=SHANGHAI)
    return start.astimezone(UTC), end.astimezone(UTC)


def end_of_month_after(day: date, months: int) -> date:
    """The last day of the month that lies `months` after the month of `day`."""
    month = day.year * 12 + day.month - 1 + months + 1
    return date(month // 12, month % 12 + 1, 1) - timedelta(days=1)


def parse_instant(text: str) -> datetime:
    """An aware UTC instant from ISO 8601 text with a zone; ASCII digits only. Raises ValueError."""
    if not _INSTANT.fullmatch(text):
        raise ValueError("not an ISO 8601 instant with a zone")
    instant = datetime.fromisoformat(text)
    if not EARLIEST.replace(tzinfo=None) <= instant.replace(tzinfo=None) <= LATEST.replace(tzinfo=None):
        raise ValueError("outside the calendar")
    return instant.astimezone(UTC)


def parse_day(text: str) -> date:
    """A calendar day from `YYYY-MM-DD`; ASCII digits only, off the calendar's edges. Raises ValueError."""
    if not _DAY.fullmatch(text):
        raise ValueError("not a calendar day")
    day = date.fromisoformat(text)
    if not EARLIEST.date() <= day <= LATEST.date():
        raise ValueError("outside the calendar")
    return day
