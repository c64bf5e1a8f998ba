"""Weekly hours in Shanghai: whether something is open at an instant, and when it opens next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kernel.clock import SHANGHAI, business_day, day_bounds

MINUTES_A_DAY = 24 * 60
_DAYS_AHEAD = 8
"""A week and the rest of today: weekly hours have come round by then."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """From a minute of a weekday (1 is Monday) until before another of the same day; 1440 is midnight."""

    weekday: int
    from_minute: int
    until_minute: int


def plain(hours: Sequence[Opening]) -> list[dict[str, int]]:
    """As they are kept, in the order of the week."""
    ordered = sorted(hours, key=lambda each: (each.weekday, each.from_minute))
    return [
        {"weekday": each.weekday, "from_minute": each.from_minute, "until_minute": each.until_minute}
        for each in ordered
    ]


def open_at(hours: Sequence[dict[str, Any]], instant: datetime) -> bool:
    """Whether it is open; without hours it always is."""
    local = instant.astimezone(SHANGHAI)
    minute = local.hour * 60 + local.minute
    return not hours or any(
        each["weekday"] == local.isoweekday() and each["from_minute"] <= minute < each["until_minute"]
        for each in hours
    )


def opens_next(hours: Sequence[dict[str, Any]], instant: datetime) -> datetime | None:
    """The next beginning after `instant`; None without hours."""
    today = business_day(instant)
    ahead = (
        day_bounds(day)[0] + timedelta(minutes=each["from_minute"])
        for day in (today + timedelta(days=number) for number in range(_DAYS_AHEAD))
        for each in hours
        if each["weekday"] == day.isoweekday()
    )
    return min((start for start in ahead if start > instant), default=None)
