"""How long something is open: minutes of exchange hours over closings, against a walk minute by minute."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.clock import SHANGHAI
from rewards.catalogue.hours import MINUTES_A_DAY, Opening, open_at, open_for, plain

MINUTE = timedelta(minutes=1)
MONDAY = datetime(2026, 11, 23, tzinfo=SHANGHAI)
EVERY_DAY = tuple(Opening(weekday=day, from_minute=540, until_minute=1260) for day in range(1, 8))
MONDAYS = (Opening(weekday=1, from_minute=540, until_minute=1260),)
SHORT = tuple(
    Opening(weekday=1, from_minute=begins, until_minute=begins + 30) for begins in (600, 660, 720, 780)
)
ALL_NIGHT = (
    Opening(weekday=1, from_minute=1320, until_minute=MINUTES_A_DAY),
    Opening(weekday=2, from_minute=0, until_minute=120),
)
TWICE_SAID = (
    Opening(weekday=1, from_minute=540, until_minute=720),
    Opening(weekday=1, from_minute=600, until_minute=660),
    Opening(weekday=1, from_minute=690, until_minute=750),
    Opening(weekday=2, from_minute=540, until_minute=720),
)


@pytest.mark.parametrize(
    ("hours", "at", "minutes", "until"),
    [
        ((), "0 20:59", 120, "0 22:59"),
        (EVERY_DAY, "0 12:00", 120, "0 14:00"),
        (EVERY_DAY, "0 20:59", 120, "1 10:59"),
        (EVERY_DAY, "0 19:00", 120, "0 21:00"),
        (EVERY_DAY, "0 21:00", 120, "1 11:00"),
        (EVERY_DAY, "0 03:00", 120, "0 11:00"),
        (EVERY_DAY, "0 20:00", 1500, "2 21:00"),
        (EVERY_DAY, "0 20:00", 4320, "6 20:00"),
        (MONDAYS, "0 20:59", 120, "7 10:59"),
        (MONDAYS, "1 09:00", 721, "14 09:01"),
        (SHORT, "0 10:15", 60, "0 12:15"),
        (SHORT, "0 10:15", 120, "7 10:15"),
        (ALL_NIGHT, "0 23:00", 120, "1 01:00"),
        (ALL_NIGHT, "0 23:00", 200, "7 22:20"),
        (TWICE_SAID, "0 09:00", 210, "0 12:30"),
        (TWICE_SAID, "0 09:00", 211, "1 09:01"),
    ],
)
def test_what_is_left_at_a_closing_is_carried_to_the_next_openings(
    hours: tuple[Opening, ...], at: str, minutes: int, until: str
) -> None:
    assert open_for(plain(hours), _moment(at), minutes * MINUTE) == _moment(until)


def test_a_weeks_minutes_come_in_a_week_wherever_it_begins() -> None:
    week = 7 * timedelta(days=1)
    for at in ("0 00:00", "0 12:34", "3 21:00", "6 23:59"):
        begins = _moment(at)
        open_minutes = sum(open_at(plain(EVERY_DAY), begins + minute * MINUTE) for minute in range(7 * 1440))
        reached = open_for(plain(EVERY_DAY), begins, open_minutes * MINUTE)
        assert reached <= begins + week
        assert open_for(plain(EVERY_DAY), begins, open_minutes * MINUTE + MINUTE) > begins + week


SHORTEST = 10
"""Minutes of a drawn opening: so a walk by the minute has few weeks to go."""


@st.composite
def opening(draw: st.DrawFn) -> Opening:
    begins = draw(st.integers(0, MINUTES_A_DAY - SHORTEST))
    ends = draw(st.integers(begins + SHORTEST, MINUTES_A_DAY))
    return Opening(weekday=draw(st.integers(1, 7)), from_minute=begins, until_minute=ends)


@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(opening(), max_size=8),
    start=st.integers(0, 7 * 1440 * 60 - 1),
    minutes=st.integers(1, 7 * SHORTEST),
)
def test_it_is_open_for_exactly_as_long_and_to_the_end(
    hours: list[Opening], start: int, minutes: int
) -> None:
    """Counted second by second at both ends: from a minute's middle on, over openings that overlap."""
    kept, begins = plain(hours), MONDAY + timedelta(seconds=start)
    until = open_for(kept, begins, minutes * MINUTE)
    seconds = _open_seconds(kept, begins, until, most=minutes * 60)
    assert seconds == minutes * 60
    assert open_at(kept, until - timedelta(seconds=1))


def _open_seconds(hours: list[dict[str, int]], begins: datetime, until: datetime, *, most: int) -> int:
    """How many seconds between two instants are open, by asking minute by minute."""
    counted, at = 0, begins
    while at < until and counted <= most:
        onward = min(at.replace(second=0) + MINUTE, until)
        counted += int((onward - at).total_seconds()) if open_at(hours, at) else 0
        at = onward
    return counted


def _moment(said: str) -> datetime:
    """`1 10:59` is Tuesday at that time."""
    day, clock = said.split()
    hour, minute = clock.split(":")
    return MONDAY + timedelta(days=int(day), hours=int(hour), minutes=int(minute))
