"""URLs of holds: operators hold and decide, citizens appeal; no logic."""

from typing import Any

from carbon.activities.hold_schemas import (
    GivesHold,
    GivesHolds,
    GivesOwnHold,
    HoldsQuery,
    TakesAppeal,
    TakesHold,
    TakesHoldDecision,
)
from carbon.activities.holds import HOLD, HoldOrder, appeal, decide, holds, put_on_hold
from carbon.activities.tables import ActivityHold
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission

routes = Routes("holds", __name__, description="Activities on hold, with reason and appeal.")


@endpoint(
    routes,
    "POST",
    "/v1/operator/holds",
    needs=Permission.ACTIVITY_HOLD,
    takes=TakesHold,
    gives=GivesHold,
    status=201,
    idempotent=True,
    summary="Set an activity's coins aside; its citizen reads the reason and may appeal",
)
def hold_activity(call: Call, order: HoldOrder) -> ActivityHold:
    """Put an activity on hold."""
    return put_on_hold(call, order)


@endpoint(
    routes,
    "GET",
    "/v1/operator/holds",
    needs=Permission.HOLD_READ,
    query=HoldsQuery,
    gives=GivesHolds,
    summary="The holds of the caller's region, newest first",
    no_store=True,
)
def list_holds(call: Call, page: dict[str, Any]) -> Page[ActivityHold]:
    """List holds."""
    state = page.pop("state")
    return holds(call, PageRequest(**page), state=state)


@endpoint(
    routes,
    "POST",
    "/v1/operator/holds/<hold>/decision",
    needs=Permission.HOLD_DECIDE,
    takes=TakesHoldDecision,
    gives=GivesHold,
    status=201,
    idempotent=True,
    summary="Release what is held, or refuse it for good; not by who held it",
)
def decide_hold(call: Call, given: dict[str, Any], *, hold: str) -> ActivityHold:
    """Decide about a hold."""
    return decide(call, parse_public_id(HOLD, hold), into=given["decision"], reason=given["reason"])


@endpoint(
    routes,
    "POST",
    "/v1/me/activities/<activity>/appeal",
    needs=Permission.HOLD_APPEAL,
    takes=TakesAppeal,
    gives=GivesOwnHold,
    status=201,
    idempotent=True,
    summary="Appeal against the hold of an own activity, once",
    no_store=True,
)
def file_appeal(call: Call, given: dict[str, Any], *, activity: str) -> ActivityHold:
    """File an appeal."""
    return appeal(call, parse_public_id("act", activity), words=given["words"])
