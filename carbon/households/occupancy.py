"""Who lives in a home, from which day to which, and by what shares: how a saving is divided.

The saving of a period falls evenly on its days, and that of a day on those who live there then, by their
shares. Whoever moves out in the middle of a month therefore has the half of it; days on which nobody known
here lived in the home bring nobody anything. Parts and what is nobody's sum up to the saving exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from uuid import UUID

from carbon.households.portions import portions


@dataclass(frozen=True, kw_only=True)
class Stay:
    """One person's time in a home; a share weighs against those of the others there."""

    member_id: UUID
    first_day: date
    end_day: date | None
    share: int

    def covers(self, day: date) -> bool:
        """Whether the person lived there on a day."""
        return self.first_day <= day and (self.end_day is None or day < self.end_day)


@dataclass(frozen=True, kw_only=True)
class Divided:
    """What each member has of an amount, and what falls on days on which nobody was there."""

    by_member: Mapping[UUID, int]
    nobodys: int


def divide(amount: int, stays: Sequence[Stay], *, first_day: date, end_day: date) -> Divided:
    """Divide an amount over half-open days; members without a day in them have no part."""
    weights: dict[UUID, Fraction] = {}
    empty = 0
    for _, there in _each_day(stays, first_day, end_day):
        shares = sum(stay.share for stay in there)
        for stay in there:
            weights[stay.member_id] = weights.get(stay.member_id, Fraction(0)) + Fraction(stay.share, shares)
        empty += not there
    members = sorted(weights, key=lambda member: member.int)
    *parts, nobodys = portions(amount, [*(weights[each] for each in members), empty])
    return Divided(by_member=dict(zip(members, parts, strict=True)), nobodys=nobodys)


def person_days(stays: Sequence[Stay], first_day: date, end_day: date) -> dict[date, int]:
    """How many people lived there, day by day."""
    return {day: len(there) for day, there in _each_day(stays, first_day, end_day)}


def _each_day(stays: Sequence[Stay], first_day: date, end_day: date) -> list[tuple[date, list[Stay]]]:
    days = [first_day + timedelta(days=number) for number in range((end_day - first_day).days)]
    return [(day, [stay for stay in stays if stay.covers(day)]) for day in days]
