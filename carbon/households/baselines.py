"""What a home would have used: its own past or its city's habit, as a published rule orders them.

Every baseline is a number of base units for exactly the days that are judged, rounded down. The own past is
compared day by day in length (a February of 28 days with one of 29, a billing month of 33 with one of 28) and
never for more people than live there now: that somebody moved out is not a saving.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from carbon.households.metering import Metering, Plausible
from carbon.households.occupancy import Stay, person_days

SAME_MONTH, CITY, SEVEN_DAYS = "own_same_month", "city_person_day", "own_seven_days"
BASELINES = (SAME_MONTH, CITY, SEVEN_DAYS)
EXCLUDED, ELIGIBLE = "excluded", "eligible"
STOP, NEXT = "stop", "next"


@dataclass(frozen=True, kw_only=True)
class SavingRule:
    """A published rule about savings of one scenario; base units are Wh, ml or kJ."""

    baselines: tuple[str, ...]
    """Those of BASELINES that count, the first that can be had first."""
    where_not_below: str
    """Where use is not below a baseline: `stop`, or look at the `next` one."""
    own_years: int
    city_person_day: tuple[int, ...]
    """Base units a person and day in each month, January first."""
    standard_use_permille: int
    """Of the city's habit: whoever uses less has the part below it that is no saving; 0 is none."""
    maintenance_periods: int
    maintenance_below_permille: int
    maintenance_permille: int
    """Of what was saved in so many periods before, for whoever holds the level; 0 is none."""
    person_day_least: int
    """Whoever uses less does not live there."""
    price_tier_most: int
    solar: str
    use_day_most: int
    reading_days_most: int

    @property
    def plausible(self) -> Plausible:
        """What of it concerns readings."""
        return Plausible(use_day_most=self.use_day_most, reading_days_most=self.reading_days_most)


@dataclass(frozen=True, kw_only=True)
class Home:
    """What is known of a home for one kind of meter."""

    metering: Metering
    stays: Sequence[Stay]


@dataclass(frozen=True)
class Baseline:
    """One of BASELINES and its base units for the period."""

    name: str
    amount: int


def baselines(home: Home, rule: SavingRule, first_day: date, end_day: date) -> list[Baseline]:
    """Those that the rule names and that can be had, in its order."""
    made = {
        SAME_MONTH: lambda: _same_month(home, rule.own_years, first_day, end_day),
        CITY: lambda: city_use(rule, home.stays, first_day, end_day),
        SEVEN_DAYS: lambda: _own(home, [_seven_days(first_day)], first_day, end_day),
    }
    amounts = [(name, made[name]()) for name in rule.baselines]
    return [Baseline(name, amount) for name, amount in amounts if amount is not None]


def city_use(rule: SavingRule, stays: Sequence[Stay], first_day: date, end_day: date) -> int | None:
    """What so many people use there by the published figures; None on days without anybody."""
    people = person_days(stays, first_day, end_day)
    if not any(people.values()):
        return None
    return sum(count * rule.city_person_day[day.month - 1] for day, count in people.items())


def years_before(day: date, years: int) -> date:
    """The same day of another year; the last of February is followed by the first of March."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return date(day.year - years, 3, 1)


def _same_month(home: Home, own_years: int, first_day: date, end_day: date) -> int | None:
    years = range(1, own_years + 1)
    return _own(
        home,
        [(years_before(first_day, each), years_before(end_day, each)) for each in years],
        first_day,
        end_day,
    )


def _seven_days(first_day: date) -> tuple[date, date]:
    return first_day - timedelta(days=7), first_day


def _own(home: Home, spans: Sequence[tuple[date, date]], first_day: date, end_day: date) -> int | None:
    """The mean of those spans that are whole, a day, for as many days and no more people than now."""
    now, days = _people_a_day(home, first_day, end_day), (end_day - first_day).days
    rates = []
    for first, end in spans:
        use, then = home.metering.use(first, end), _people_a_day(home, first, end)
        # The points of both: a meter that came since was not read then, and one that went is missing now.
        same = home.metering.points(first, end) == home.metering.points(first_day, end_day)
        if then and same and use.by_point and not use.shortfalls:
            rates.append(Fraction(use.total, (end - first).days) * min(Fraction(1), now / then))
    if not rates:
        return None
    mean = sum(rates, Fraction(0)) / len(rates) * days
    return mean.numerator // mean.denominator


def _people_a_day(home: Home, first_day: date, end_day: date) -> Fraction:
    people: Mapping[date, int] = person_days(home.stays, first_day, end_day)
    return Fraction(sum(people.values()), len(people))
