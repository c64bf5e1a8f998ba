"""A citizen's own activities, newest first: from a ride to the transfers that explain it."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select

from carbon.activities.holds import holds_of
from carbon.activities.tables import Activity, ActivityHold, ActivityReversal
from carbon.listing import newest_first
from kernel.call import Call
from kernel.paging import Page, PageRequest


@dataclass(frozen=True, kw_only=True)
class Lived:
    """One activity: kilograms in milligrams, coins in milli-coins, and where they were posted."""

    id: UUID
    partner_id: UUID
    scenario: str
    occurred_at: datetime
    business_day: date
    carbon_mg: int
    coin_milli: int
    coin_cut_milli: int
    coin_transfer_id: int | None
    carbon_transfer_id: int | None
    reason: str | None
    superseded: bool
    hold: ActivityHold | None
    recorded_at: datetime


def own_activities(call: Call, page: PageRequest) -> Page[Lived]:
    """The caller's activities in the order in which they were recorded, newest first."""
    citizen = call.actor.known_id
    mine = select(Activity).where(Activity.citizen_id == citizen)
    found = newest_first(call, mine, Activity.id, page, binding=f"activities/{citizen}")
    superseded = set(
        call.db.scalars(
            select(ActivityReversal.activity_id).where(
                ActivityReversal.citizen_id == citizen,
                ActivityReversal.activity_id.in_([activity.id for activity in found.items]),
            )
        )
    )
    held = holds_of(call, citizen, [activity.id for activity in found.items])
    return Page([_lived(activity, superseded, held) for activity in found.items], found.next)


def _lived(activity: Activity, superseded: set[UUID], held: dict[UUID, ActivityHold]) -> Lived:
    return Lived(
        id=activity.id,
        partner_id=activity.basis.partner_id,
        scenario=activity.basis.scenario,
        occurred_at=activity.occurred_at,
        business_day=activity.business_day,
        carbon_mg=activity.carbon_mg,
        coin_milli=activity.coin_milli,
        coin_cut_milli=activity.coin_cut_milli,
        coin_transfer_id=activity.coin_transfer_id,
        carbon_transfer_id=activity.carbon_transfer_id,
        reason=activity.reason,
        superseded=activity.id in superseded,
        hold=held.get(activity.id),
        recorded_at=activity.recorded_at,
    )
