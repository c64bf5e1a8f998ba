"""Two apps that saw one bicycle ride; one that a rule holds, with an appeal, and one that an operator holds.

The region has published that bicycle rides claim their time, what a check-in counts for, and how fast is too
fast.
"""

from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import orjson

from app.demo.people import DataPartner, Resident, bind
from app.demo.stage import Stage
from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.errors import TripClaimed
from carbon.activities.holds import HoldOrder, appeal, put_on_hold
from carbon.activities.intake import Intake, take_activity
from carbon.partners.registry import grant_evidence
from kernel.actor import Actor, ActorKind
from kernel.call import Call

RULES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    (
        "trip_claims",
        "cycle",
        "骑行同一时间只计一次 / one bicycle ride at a time",
        {"scenarios": ["shared_bike_ride"], "slot": "five_minutes"},
    ),
    (
        "automatic_hold",
        "cycling_speed",
        "骑行时速超过 45 公里先核查 / rides faster than 45 km/h are checked",
        {"scenarios": ["shared_bike_ride"], "measure": "metres_an_hour", "most": 45_000},
    ),
    ("evidence_tier", "self_check_in", "自主打卡计入一半 / half for a check-in", {"share_permille": 500}),
)
"""As `charter.RULES`."""


def ride_twice(
    stage: Stage,
    apps: tuple[DataPartner, DataPartner],
    rider: Resident,
    *,
    began: datetime,
    editor: Actor,
) -> None:
    """A ride that the bicycle's lock and a check-in app both send, two that are held, and an appeal."""
    lock, checked = apps
    for app in apps:
        bind(stage, app, [(rider.id, rider.card)], at=began - timedelta(days=1))
    stage.play(
        lambda call: grant_evidence(
            call, checked.id, tiers=["self_check_in"], reason="打卡应用 / a check-in app"
        ),
        at=began - timedelta(days=1),
        actor=editor,
    )
    took = timedelta(minutes=20)
    _send(stage, lock, rider, "lock-1", began, began + took, metres=4_000)
    _send(stage, checked, rider, "check-1", began + timedelta(minutes=1), began + took, metres=4_200)
    later = began + timedelta(hours=2)
    doubted = _send(stage, checked, rider, "check-2", later, later + timedelta(hours=1), metres=9_000)
    fast = began + timedelta(hours=5)
    held = _send(stage, lock, rider, "lock-2", fast, fast + took, metres=30_000)
    if held is None or doubted is None:
        return
    order = HoldOrder(
        citizen_id=rider.id,
        activity_id=doubted,
        reason_zh="打卡照片与所报地点不符",
        reason_en="The photo of the check-in is of another place.",
    )
    stage.play(lambda call: put_on_hold(call, order), at=fast + timedelta(hours=1), actor=editor)
    me = Actor(kind=ActorKind.CITIZEN, id=rider.id, region_id=stage.region)
    words = "当时锁车失败,次日才还车,请核对还车时间。"
    stage.play(lambda call: appeal(call, held, words=words), at=fast + timedelta(hours=2), actor=me)


def _send(
    stage: Stage,
    app: DataPartner,
    rider: Resident,
    event: str,
    began: datetime,
    ended: datetime,
    *,
    metres: int,
) -> UUID | None:
    """Send one ride; its activity, or None where somebody else's ride has the time."""
    record = {
        "source_event_id": event,
        "subject": rider.card,
        "scenario": "shared_bike_ride",
        "started_at": began.isoformat(),
        "occurred_at": ended.isoformat(),
        "quantity": metres,
        "unit": "m",
    }
    line = next(read_activity_lines(BytesIO(orjson.dumps(record)), form="ndjson"))

    def work(call: Call) -> UUID | None:
        taken = take_activity(call, Intake(partner_id=app.id, card_secret=stage.card_secret), line)
        return UUID(str(taken["activity_id"]))

    try:
        return stage.play(work, at=ended + timedelta(minutes=1))
    except TripClaimed:
        return None
