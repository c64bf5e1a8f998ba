"""All that is said of a home, as arithmetic takes it, and which of its months can be judged."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from carbon.households.baselines import Home, SavingRule
from carbon.households.claims import Claim
from carbon.households.judgement import Standing
from carbon.households.metering import Meter, Metering
from carbon.households.occupancy import Stay
from carbon.households.readings import effective
from carbon.households.registers import Register
from carbon.households.registration import Whole
from carbon.households.tables import HouseholdMeter, MeterReading
from kernel.call import Call
from kernel.errors import BrokenInvariant

MONTHS_LOOKED_AT = 13
"""So many months are judged again when something is said of a home; an older one stays as it is."""


@dataclass(frozen=True)
class Evidence:
    """A home and what its meters showed."""

    whole: Whole
    readings: Mapping[object, Sequence[MeterReading]]

    @property
    def kinds(self) -> list[str]:
        """Kinds of which it has, or had, a meter."""
        return sorted({meter.kind for meter in self.whole.meters})

    def home(self, kind: str, rule: SavingRule) -> Home:
        """The home by its meters of one kind."""
        meters = [_meter(each, self.readings[each.id]) for each in self.whole.meters if each.kind == kind]
        stays = [
            Stay(member_id=each.id, first_day=_first(each.days), end_day=each.days.upper, share=each.share)
            for each in self.whole.members
        ]
        return Home(metering=Metering(meters, rule.plausible), stays=stays)

    def standings(self) -> list[Standing]:
        """From day to day, the last word of each."""
        last = {each.since: each for each in self.whole.standings}
        return [
            Standing(since=each.since, price_tier=each.price_tier, has_solar=each.has_solar)
            for _, each in sorted(last.items())
        ]

    def claims(self, kind: str, first_day: date, end_day: date) -> list[Claim]:
        """The days of its meters in a period."""
        found = []
        for each in self.whole.meters:
            first, end = max(first_day, _first(each.days)), min(end_day, each.days.upper or end_day)
            if each.kind == kind and first < end:
                found.append(Claim(meter_hash=bytes(each.meter_hash), first_day=first, end_day=end))
        return found


def evidence(call: Call, of: Whole) -> Evidence:
    """Read what the meters of a home showed, all of it: a reading a month or a day, for a few years."""
    rows = call.db.scalars(select(MeterReading).where(MeterReading.household_id == of.household.id))
    readings: dict[object, list[MeterReading]] = defaultdict(list)
    for row in rows:
        readings[row.meter_id].append(row)
    return Evidence(of, readings)


def months_until(first: date, today: date) -> Iterator[tuple[date, date]]:
    """Whole months, half-open, from `first` to the last that is over."""
    while (following := next_month(first)) <= today:
        yield first, following
        first = following


def next_month(day: date) -> date:
    """The first day of the month after that of `day`."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def earliest_month(today: date, *, registered: date) -> date:
    """The first month that is looked at: not before the registration, not older than MONTHS_LOOKED_AT."""
    month = today.year * 12 + today.month - 1 - MONTHS_LOOKED_AT
    return max(registered.replace(day=1), date(month // 12, month % 12 + 1, 1))


def _meter(row: HouseholdMeter, readings: Sequence[MeterReading]) -> Meter:
    return Meter(
        point=row.point,
        first_day=_first(row.days),
        end_day=row.days.upper,
        register=Register(modulus=row.modulus, resolution=row.resolution, multiplier=row.multiplier),
        readings=tuple(effective(readings)),
    )


def _first(days: object) -> date:
    lower = getattr(days, "lower", None)
    if not isinstance(lower, date):
        raise BrokenInvariant("days begin")
    return lower
