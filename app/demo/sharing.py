"""A demo citizen shares how one ride was counted, so that whoever looks around has such a page to open."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.demo.people import Resident
from app.demo.stage import Stage
from app.identity.roles import PERMISSIONS, Role
from carbon.activities.links import make_link
from carbon.activities.tables import Activity
from kernel.actor import Actor, ActorKind
from kernel.call import Call


@dataclass(frozen=True)
class Shared:
    """The path of a page, and until when it opens."""

    path: str
    ends_at: datetime


def share_a_ride(stage: Stage, resident: Resident, *, at: datetime) -> Shared:
    """Make a link to the newest activity that brought the resident coins."""

    def work(call: Call) -> Shared:
        newest = call.db.scalars(
            select(Activity.id)
            .where(Activity.citizen_id == resident.id, Activity.coin_milli > 0)
            .order_by(Activity.occurred_at.desc(), Activity.id.desc())
            .limit(1)
        ).one()
        link = make_link(call, newest)
        return Shared(f"/why/{link.secret}", link.ends_at)

    citizen = Actor(
        kind=ActorKind.CITIZEN,
        id=resident.id,
        region_id=stage.region,
        permissions=PERMISSIONS[Role.CITIZEN],
    )
    return stage.play(work, at=at, actor=citizen)
