"""A street of the small city: homes with meters whose use is known, read and judged through the services."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from carbon.households.assessment import assess_household
from carbon.households.readings import ReadingOrder, Taken, take_readings
from carbon.households.registration import (
    HouseholdOrder,
    MemberOrder,
    MeterOrder,
    StandingOrder,
    Whole,
    register_household,
)
from carbon.households.tables import HouseholdSaving, HouseholdSavingLine
from carbon.partners.registry import find_partner
from kernel.call import Call
from kernel.publications.shapes import SHAPES
from tests.carbon.city import SECRET, City, publish_rule
from tests.carbon.test_meters import plant_homes
from tests.conftest import at

MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
REGISTERED = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
IN_APRIL = datetime(2026, 4, 10, 2, 0, tzinfo=UTC)
IN_MAY = datetime(2026, 5, 10, 2, 0, tzinfo=UTC)
RULE: dict[str, Any] = {
    **SHAPES["household_saving"].example,
    "standard_use_permille": 0,
    "maintenance_permille": 0,
    "own_years": 1,
    "settle_days": 2,
}
LAST_YEAR = ((date(2025, 3, 1), 100_000), (date(2025, 4, 1), 101_550))
"""5 kWh a day in March of 2025, in tenths of a kWh."""


def plant_street(call: Call, **rule: Any) -> City:
    """The city of bills with the rule of electricity."""
    city = plant_homes(call)
    publish_rule(call, "household_saving", "household_electricity_saving", {**RULE, **rule})
    return city


def meter_order(number: str = "m-1", point: str = "1", **more: Any) -> MeterOrder:
    usual = {"kind": "electricity", "since": date(2025, 1, 1), "modulus": 1_000_000, "resolution": 100}
    return MeterOrder(number=number, point=point, **{**usual, **more})


def member_order(subject: str, **more: Any) -> MemberOrder:
    return MemberOrder(subject=subject, **{"since": date(2025, 1, 1), "share": 1, **more})


def home_order(
    reference: str = "home-1",
    *,
    meters: Sequence[MeterOrder] = (),
    members: Sequence[MemberOrder] = (),
    tier: int = 1,
) -> HouseholdOrder:
    return HouseholdOrder(
        reference=reference,
        standing=StandingOrder(since=date(2025, 1, 1), price_tier=tier, has_solar=False),
        meters=meters or [meter_order()],
        members=members or [member_order("acc-1"), member_order("acc-2")],
    )


def reading(day: date, register: int, meter: str = "m-1", **more: Any) -> ReadingOrder:
    usual = {
        "source_event_id": f"{meter}-{day}-{register}",
        "kind": "electricity",
        "estimated": False,
        "corrects": None,
    }
    return ReadingOrder(meter=meter, day=day, register=register, **{**usual, **more})


@dataclass
class Street:
    """One home after the other, in one unit of work."""

    call: Call
    city: City
    homes: dict[str, Whole] = field(default_factory=dict)

    def register(self, order: HouseholdOrder | None = None, *, now: datetime = REGISTERED) -> Whole:
        order, call = order or home_order(), at(self.call, now)
        made = register_household(call, find_partner(call, self.city.partner_id), order, secret=SECRET)
        self.homes[order.reference] = made
        return made

    def read(self, *orders: ReadingOrder, now: datetime = IN_MAY) -> list[Taken]:
        return take_readings(at(self.call, now), self.city.partner_id, orders, secret=SECRET)

    def took(self, *orders: ReadingOrder, now: datetime = IN_MAY) -> None:
        assert [each.code or each.outcome for each in self.read(*orders, now=now)] == ["taken"] * len(orders)

    def judge(self, reference: str = "home-1", *, now: datetime = IN_APRIL) -> int:
        home = self.homes[reference].household.id
        return assess_household(at(self.call, now), home, secret=SECRET)

    def savings(self, reference: str = "home-1") -> list[HouseholdSaving]:
        query = self.call.db.query(HouseholdSaving).filter_by(household_id=self.homes[reference].household.id)
        return query.order_by(HouseholdSaving.first_day, HouseholdSaving.revision).all()

    def last(self, reference: str = "home-1") -> HouseholdSaving:
        return self.savings(reference)[-1]

    def lines(self, saving: HouseholdSaving) -> list[tuple[str, int, str, str | None]]:
        found = self.call.db.query(HouseholdSavingLine).filter_by(saving_id=saving.id)
        ordered = found.order_by(HouseholdSavingLine.line, HouseholdSavingLine.member_id).all()
        return [(each.line, each.amount, each.result, each.code) for each in ordered]

    def claims(self) -> list[tuple[date, date]]:
        """Days that are claimed now."""
        found = self.call.db.execute(
            text("SELECT lower(days), upper(days) FROM meter_claim WHERE ended_at IS NULL ORDER BY 1, id")
        )
        return [(row[0], row[1]) for row in found]

    def carbon(self, citizen: UUID) -> int:
        """Milligrams that a citizen has by the ledger."""
        found = self.call.db.execute(
            text(
                "SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE holder_id = :citizen"
                " AND unit = 'carbon'"
            ),
            {"citizen": citizen},
        )
        return int(found.scalar_one())

    def marks(self) -> dict[str, int]:
        """How many rows there are of everything that a judgement writes."""
        names = "activity activity_reference activity_reversal ledger_transfer meter_claim household_saving"
        count: Callable[[str], int] = lambda name: int(  # noqa: E731 - one line is one line
            self.call.db.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608 - ours
        )
        return {name: count(name) for name in (*names.split(), "household_saving_line")}
