"""Records come in from partners; citizens read why they were credited; operators ask what else would be."""

from io import BytesIO
from typing import Any
from uuid import UUID

import orjson
from flask import current_app

from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.explanation import explain, explain_own
from carbon.activities.explanation_schemas import (
    GivesExplainedActivity,
    GivesExplanation,
    GivesLink,
    GivesSharedActivity,
)
from carbon.activities.history import Lived, own_activities
from carbon.activities.intake import Intake, take_activity
from carbon.activities.links import ACTIVITY, end_link, linked, make_link
from carbon.activities.schemas import GivesActivities, GivesOutcome, TakesRecord
from carbon.activities.simulation.schemas import GivesSimulation, TakesSimulation
from carbon.activities.simulation.simulation import REQUEST, Question, simulate
from carbon.factors.submission import own_table
from kernel.call import Call
from kernel.errors import NotFound, Refusal
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id, public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission
from kernel.publications.publishing import PREFIX as PUBLICATION
from kernel.units import INT64_MAX

CARD_SECRET = "CARD_HASH_SECRET"  # noqa: S105 - the name of a setting
routes = Routes("activities", __name__, description="From a partner's record to an explained credit.")


@endpoint(
    routes,
    "POST",
    "/v1/partner/activities",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesRecord,
    gives=GivesOutcome,
    status=201,
    summary="One record; the same again is a duplicate, other content is refused",
)
def push_activity(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """Take one record in the platform's own format, as a line of NDJSON would hold it."""
    line = next(read_activity_lines(BytesIO(orjson.dumps(body["record"])), form="ndjson"))
    secret = str(current_app.config[CARD_SECRET]).encode()
    try:
        row = take_activity(call, Intake(partner_id=call.actor.known_id, card_secret=secret), line)
    except Refusal as refusal:  # it points into the line, which here is a part of the body
        refusal.pointer = f"/body/record{refusal.pointer or ''}"
        raise
    taken = row["activity_id"]
    return {**row, "activity_id": None if taken is None else public_id("act", UUID(str(taken)))}


@endpoint(
    routes,
    "GET",
    "/v1/me/activities",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesActivities,
    summary="Rides, savings and other actions of the caller, newest first",
    no_store=True,
)
def my_activities(call: Call, page: dict[str, Any]) -> Page[Lived]:
    """Page through the caller's activities."""
    return own_activities(call, PageRequest(**page))


@endpoint(
    routes,
    "GET",
    "/v1/me/transfers/<int:transfer>/explanation",
    needs=Permission.ME_READ,
    gives=GivesExplanation,
    summary="Why these coins or kilograms: activities, steps, factor, source, rounding, replay",
    no_store=True,
)
def explain_transfer(call: Call, transfer: int) -> dict[str, Any]:
    """Open one of the caller's own transfers; another's is not found."""
    if transfer > INT64_MAX:
        raise NotFound("no such transfer")
    return explain(call, call.actor.known_id, transfer)


@endpoint(
    routes,
    "GET",
    "/v1/me/activities/<activity>/explanation",
    needs=Permission.ME_READ,
    gives=GivesExplainedActivity,
    summary="How one activity was counted, also one that brought nothing; gone through once more",
    no_store=True,
)
def explain_my_activity(call: Call, *, activity: str) -> dict[str, Any]:
    """Open one of the caller's own activities; another's is not found."""
    return explain_own(call, call.actor.known_id, parse_public_id(ACTIVITY, activity))


@endpoint(
    routes,
    "PUT",
    "/v1/me/activities/<activity>/link",
    needs=Permission.ACTIVITY_SHARE,
    gives=GivesLink,
    summary="Make a link to a page of one activity, for seven days; the one before ends",
    no_store=True,
)
def share_my_activity(call: Call, *, activity: str) -> dict[str, Any]:
    """Let whoever gets the link read the arithmetic."""
    link = make_link(call, parse_public_id(ACTIVITY, activity))
    return {"path": f"/why/{link.secret}", "ends_at": link.ends_at}


@endpoint(
    routes,
    "DELETE",
    "/v1/me/activities/<activity>/link",
    needs=Permission.ACTIVITY_SHARE,
    status=204,
    summary="End the link of one activity",
)
def unshare_my_activity(call: Call, *, activity: str) -> None:
    """Close the page for everybody."""
    end_link(call, parse_public_id(ACTIVITY, activity))


@endpoint(
    routes,
    "GET",
    "/v1/public/explanations/<link>",
    needs=PUBLIC,
    gives=GivesSharedActivity,
    summary="What a link opens, for programmes: the arithmetic of one activity, gone through once more",
    no_store=True,
)
def explain_linked(call: Call, *, link: str) -> dict[str, Any]:
    """Open what a citizen shared."""
    return linked(call, link)


@endpoint(
    routes,
    "POST",
    "/v1/operator/factor-tables/<table>/simulation",
    needs=Permission.PUBLICATION_READ,
    takes=TakesSimulation,
    gives=GivesSimulation,
    summary="What the activities of some days would have come to under a drafted table; nothing is written",
)
def simulate_table(call: Call, question: Question, *, table: str) -> dict[str, Any]:
    """Compute the region's activities again with a table of the region, draft or published."""
    return simulate(call, own_table(call, parse_public_id(PUBLICATION, table)), question, limits=REQUEST)
