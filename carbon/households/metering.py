"""The meters of a home, day by day: what was used on each, and why a day is not known.

A home may have several meters of a kind, each at its own point. When a meter is replaced, the next one takes
its point: the last register of the one and the first of the other are readings like any other. Days are
known only where every point is: a meter that is missing is not a saving.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from carbon.households.portions import evenly
from carbon.households.registers import Interval, Reading, Register, intervals

READING_MISSING, ONLY_ESTIMATED = "reading_missing", "reading_only_estimated"
READINGS_APART, METER_MISSING = "readings_too_far_apart", "meter_missing"
LOOK_BACK = timedelta(days=731)
"""A point that had a meter in these days before a period belongs to the home still."""


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A meter at its point, from the day it was put in to the day it was taken out."""

    point: str
    first_day: date
    end_day: date | None
    register: Register
    readings: tuple[Reading, ...]

    def serves(self, day: date) -> bool:
        """Whether it was there on a day."""
        return self.first_day <= day and (self.end_day is None or day < self.end_day)


@dataclass(frozen=True, kw_only=True)
class Plausible:
    """What a published rule says of readings: the most base units a day, the most days between two."""

    use_day_most: int
    reading_days_most: int


@dataclass(frozen=True, order=True, kw_only=True)
class Shortfall:
    """Half-open days of one point that are not known, and the reason."""

    point: str
    first_day: date
    end_day: date
    reason: str


@dataclass(frozen=True)
class Use:
    """What a home used in some days, by point; it means nothing while there are shortfalls."""

    by_point: dict[str, int]
    shortfalls: tuple[Shortfall, ...]

    @property
    def total(self) -> int:
        """All points together."""
        return sum(self.by_point.values())


@dataclass
class Metering:
    """The meters of one kind of a home, with what is plausible there."""

    meters: Sequence[Meter]
    plausible: Plausible
    _known: dict[str, dict[date, int]] = field(default_factory=dict, init=False)
    _faults: dict[str, list[tuple[date, date, str]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Work out each day once."""
        for meter in self.meters:
            known = self._known.setdefault(meter.point, {})
            faults = self._faults.setdefault(meter.point, [])
            for each in intervals(meter.register, meter.readings, use_day_most=self.plausible.use_day_most):
                reason = self._fault(each)
                if reason is None:
                    known.update(
                        zip(_days(each.first_day, each.end_day), evenly(each.used, each.days), strict=True)
                    )
                else:
                    faults.append((each.first_day, each.end_day, reason))

    def use(self, first_day: date, end_day: date) -> Use:
        """What was used in half-open days, or what is missing of them."""
        by_point: dict[str, int] = {}
        shortfalls: list[Shortfall] = []
        for point in self.points(first_day, end_day):
            known = self._known[point]
            by_point[point] = sum(known.get(day, 0) for day in _days(first_day, end_day))
            shortfalls += self._missing(point, first_day, end_day)
        return Use(by_point, tuple(shortfalls))

    def points(self, first_day: date, end_day: date) -> list[str]:
        """The points that must be known for these days: those with a meter in them, or not long before."""
        since = first_day - LOOK_BACK
        return sorted(
            {
                meter.point
                for meter in self.meters
                if meter.first_day < end_day and (meter.end_day is None or meter.end_day > since)
            }
        )

    def _fault(self, each: Interval) -> str | None:
        if not each.is_known:
            return each.course.value
        return READINGS_APART if each.days > self.plausible.reading_days_most else None

    def _missing(self, point: str, first_day: date, end_day: date) -> Iterable[Shortfall]:
        """Neighbouring days that are missing for one reason, together."""
        known, begun, reason = self._known[point], first_day, ""
        for day in _days(first_day, end_day):
            why = "" if day in known else self._why(point, day)
            if why != reason:
                if reason:
                    yield Shortfall(point=point, first_day=begun, end_day=day, reason=reason)
                begun, reason = day, why
        if reason:
            yield Shortfall(point=point, first_day=begun, end_day=end_day, reason=reason)

    def _why(self, point: str, day: date) -> str:
        for first_day, end_day, reason in self._faults[point]:
            if first_day <= day < end_day:
                return reason
        serving = [meter for meter in self.meters if meter.point == point and meter.serves(day)]
        if not serving:
            return METER_MISSING
        later = [each for meter in serving for each in meter.readings if each.day > day]
        return ONLY_ESTIMATED if later and all(each.estimated for each in later) else READING_MISSING


def _days(first_day: date, end_day: date) -> list[date]:
    return [first_day + timedelta(days=number) for number in range((end_day - first_day).days)]
