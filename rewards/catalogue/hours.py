"""Weekly hours in Shanghai: whether something is open at an instant, when it opens next, and for how long."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from kernel.clock import SHANGHAI, business_day, day_bounds
from kernel.errors import BrokenInvariant

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


def open_for(hours: Sequence[dict[str, Any]], instant: datetime, span: timedelta) -> datetime:
    """When it has been open for `span` since `instant`; without hours it always is."""
    if not hours:
        return instant + span
    reached, left = instant, span
    for opens, ends in _openings(hours, business_day(instant)):
        begins = max(opens, reached)  # openings may overlap: no minute is counted twice
        if ends > begins:
            if left <= ends - begins:
                return begins + left
            reached, left = ends, left - (ends - begins)
    raise BrokenInvariant("weekly hours come round for ever")


def _openings(hours: Sequence[dict[str, Any]], day: date) -> Iterator[tuple[datetime, datetime]]:
    """Beginning and end of each opening from a day on, in the order of their beginnings, for ever."""
    while True:
        midnight = day_bounds(day)[0]
        for each in hours:
            if each["weekday"] == day.isoweekday():
                begins, ends = (timedelta(minutes=each[name]) for name in ("from_minute", "until_minute"))
                yield midnight + begins, midnight + ends
        day += timedelta(days=1)


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
