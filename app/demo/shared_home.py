"""One home of the demo city with two people and two meters, read month by month; the month before last waits.

Their second meter has no reading of its end yet, as happens: whoever looks sees why that is no saving, and
once the reading is sent (the guide of households does so) the next night counts it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from app.demo.people import DataPartner, Resident, bind
from app.demo.stage import Stage, month_start, shanghai
from carbon.households.assessment import assess_household
from carbon.households.readings import ReadingOrder, take_readings
from carbon.households.registration import (
    HouseholdOrder,
    MemberOrder,
    MeterOrder,
    StandingOrder,
    register_household,
)
from carbon.partners.registry import find_partner
from kernel.call import Call

MONTHS_KNOWN, MONTHS_JUDGED = 20, 7
NUMBERS = ("demo-home-1", "demo-home-2")
"""What the two people are called at the utility."""
METERS = {"H0001": (185, 90), "H0002": (62, 95)}
"""Kilowatt-hours of a month, and how much of it, in a hundred, they came to use in the last year."""
SUMMER = (100, 100, 100, 105, 125, 160, 190, 190, 155, 125, 105, 100)


@dataclass
class SharedHome:
    """Where it stands, and what of it a guide may know."""

    stage: Stage
    partner: DataPartner
    people: list[Resident]
    first: date
    """The first month that is known."""
    id: UUID | None = None

    def events(self, *, today: date) -> list[tuple[datetime, Any]]:
        """What happened, each at its time: the home is registered, months are read and judged."""
        registered = month_start(today, -MONTHS_JUDGED - 1)
        events: list[tuple[datetime, Any]] = [(shanghai(registered, "09:30"), self._register)]
        events.append((shanghai(registered, "10:00"), partial(self._read_until, registered, registered)))
        for month in range(MONTHS_JUDGED):
            end = month_start(registered, month + 1)
            at = shanghai(end, "11:00")
            events.append((at, partial(self._read, end, at=at, last=month == MONTHS_JUDGED - 1)))
            judged = shanghai(end + timedelta(days=3), "01:20")
            events.append((judged, partial(self._judge, at=judged)))
        return events

    def outline(self) -> dict[str, Any]:
        """What somebody who looks around needs: the reading that is missing."""
        meter, end = "H0002", month_start(self.first, MONTHS_KNOWN)
        return {
            "partner": "electricity",
            "personas": [each.persona for each in self.people],
            "missing": {"meter": meter, "day": end.isoformat(), "register": self._shown(meter, MONTHS_KNOWN)},
        }

    def _register(self) -> None:
        at = shanghai(month_start(self.first, MONTHS_KNOWN - MONTHS_JUDGED), "09:30")
        subjects = list(zip((each.id for each in self.people), NUMBERS, strict=True))
        bind(self.stage, self.partner, subjects, at=at)
        order = HouseholdOrder(
            reference="demo-home",
            standing=StandingOrder(since=self.first, price_tier=1, has_solar=False),
            meters=[
                MeterOrder(
                    number=number,
                    kind="electricity",
                    point=str(place),
                    since=self.first,
                    modulus=1_000_000,
                    resolution=100,
                )
                for place, number in enumerate(METERS, start=1)
            ],
            members=[MemberOrder(subject=number, since=self.first, share=1) for number in NUMBERS],
        )

        def work(call: Call) -> UUID:
            owner = find_partner(call, self.partner.id)
            return register_household(call, owner, order, secret=self.stage.card_secret).household.id

        self.id = self.stage.play(work, at=at)

    def _read_until(self, day: date, on: date) -> None:
        at = shanghai(on, "10:00")
        months = [month_start(self.first, month) for month in range(MONTHS_KNOWN)]
        self._take([(meter, each) for each in months if each <= day for meter in METERS], at=at)

    def _read(self, day: date, *, at: datetime, last: bool) -> None:
        self._take([(meter, day) for meter in list(METERS)[: 1 if last else None]], at=at)

    def _take(self, wanted: list[tuple[str, date]], *, at: datetime) -> None:
        orders = [
            ReadingOrder(
                source_event_id=f"{meter}-{day}",
                meter=meter,
                kind="electricity",
                day=day,
                register=self._shown(meter, _months_between(self.first, day)),
                estimated=False,
                corrects=None,
            )
            for meter, day in wanted
        ]
        secret = self.stage.card_secret
        self.stage.play(lambda call: take_readings(call, self.partner.id, orders, secret=secret), at=at)

    def _judge(self, *, at: datetime) -> None:
        home, secret = self.id, self.stage.card_secret
        if home is not None:
            self.stage.play(lambda call: assess_household(call, home, secret=secret), at=at)

    def _shown(self, meter: str, months: int) -> int:
        """Tenths of a kilowatt-hour after so many months."""
        usual, learned = METERS[meter]
        use = [usual * 10 * SUMMER[(self.first.month - 1 + month) % 12] // 100 for month in range(months)]
        return 40_000 + sum(each if month < 12 else each * learned // 100 for month, each in enumerate(use))


def shared_home(stage: Stage, partner: DataPartner, residents: list[Resident], *, today: date) -> SharedHome:
    """The home of the first two residents."""
    return SharedHome(stage, partner, residents[:2], month_start(today, -MONTHS_KNOWN - 1))


def _months_between(first: date, day: date) -> int:
    return (day.year - first.year) * 12 + day.month - first.month
