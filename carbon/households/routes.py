"""URLs of homes: partners and operators register them, meters are read, people look at theirs; no logic."""

from typing import Any

from flask import current_app
from sqlalchemy import select

from carbon.activities.routes import CARD_SECRET
from carbon.households.own import OwnPeriod, own_households, own_periods, shown_to
from carbon.households.readings import take_readings
from carbon.households.registration import (
    HOUSEHOLD,
    MEMBER,
    HouseholdOrder,
    MemberOrder,
    MeterOrder,
    StandingOrder,
    Whole,
    add_member,
    add_meter,
    add_standing,
    end_stay,
    find_household,
    register_household,
    show_household,
    whole,
)
from carbon.households.schemas import (
    GivesHousehold,
    GivesHouseholds,
    GivesOwnHouseholds,
    GivesOwnPeriods,
    GivesReadings,
    TakesDeparture,
    TakesHousehold,
    TakesMember,
    TakesMeter,
    TakesReadings,
    TakesStanding,
)
from carbon.households.tables import Household
from carbon.listing import newest_first
from carbon.partners.registry import PREFIX as PARTNER
from carbon.partners.registry import find_partner, own_partner
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission

routes = Routes("households", __name__, description="Homes, their meters and people, and what they save.")


@endpoint(
    routes,
    "POST",
    "/v1/partner/households",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesHousehold,
    gives=GivesHousehold,
    status=201,
    idempotent=True,
    summary="Register a home with its meters and the people who agreed",
)
def add_household(call: Call, order: HouseholdOrder) -> Whole:
    """Register a home of the partner."""
    return register_household(call, find_partner(call, call.actor.known_id), order, secret=_secret())


@endpoint(
    routes,
    "POST",
    "/v1/operator/partners/<partner>/households",
    needs=Permission.PARTNER_MANAGE,
    takes=TakesHousehold,
    gives=GivesHousehold,
    status=201,
    idempotent=True,
    summary="Register a home for a partner of the region",
)
def add_household_for(call: Call, order: HouseholdOrder, *, partner: str) -> Whole:
    """Register a home of a partner."""
    owner = own_partner(call, parse_public_id(PARTNER, partner))
    return register_household(call, owner, order, secret=_secret())


@endpoint(
    routes,
    "GET",
    "/v1/partner/households",
    needs=Permission.ACTIVITY_PUSH,
    query=PageQuery,
    gives=GivesHouseholds,
    summary="The partner's homes",
)
def list_households(call: Call, page: dict[str, Any]) -> Page[Whole]:
    """List homes."""
    partner = call.actor.known_id
    query = select(Household).where(Household.partner_id == partner)
    found = newest_first(
        call, query, Household.id, PageRequest(**page), binding=f"partner-households/{partner}"
    )
    return Page([whole(call, each) for each in found.items], found.next)


@endpoint(
    routes,
    "GET",
    "/v1/partner/households/<household>",
    needs=Permission.ACTIVITY_PUSH,
    gives=GivesHousehold,
    summary="One home",
)
def show_home(call: Call, *, household: str) -> Whole:
    """Show a home."""
    return show_household(call, call.actor.known_id, parse_public_id(HOUSEHOLD, household))


@endpoint(
    routes,
    "POST",
    "/v1/partner/households/<household>/members",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesMember,
    gives=GivesHousehold,
    status=201,
    summary="Somebody who agreed moves in",
)
def move_in(call: Call, order: MemberOrder, *, household: str) -> Whole:
    """Move in."""
    return add_member(call, _own(call, household), order, secret=_secret())


@endpoint(
    routes,
    "POST",
    "/v1/partner/households/<household>/members/<member>/departure",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesDeparture,
    gives=GivesHousehold,
    status=201,
    summary="Somebody moves out; a month in which it happens is shared by the day",
)
def move_out(call: Call, given: dict[str, Any], *, household: str, member: str) -> Whole:
    """Move out."""
    return end_stay(call, _own(call, household), parse_public_id(MEMBER, member), on=given["on"])


@endpoint(
    routes,
    "POST",
    "/v1/partner/households/<household>/meters",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesMeter,
    gives=GivesHousehold,
    status=201,
    summary="A meter is put in; with `last_register` it replaces the one at its point",
)
def put_meter_in(call: Call, order: MeterOrder, *, household: str) -> Whole:
    """Put a meter in."""
    return add_meter(call, _own(call, household), order, secret=_secret())


@endpoint(
    routes,
    "POST",
    "/v1/partner/households/<household>/standings",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesStanding,
    gives=GivesHousehold,
    status=201,
    summary="The tier of the price and solar panels from a day on",
)
def say_standing(call: Call, order: StandingOrder, *, household: str) -> Whole:
    """Say where a home stands."""
    return add_standing(call, _own(call, household), order)


@endpoint(
    routes,
    "POST",
    "/v1/partner/readings",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesReadings,
    gives=GivesReadings,
    status=201,
    summary="Readings of meters, one or a thousand; each has an outcome, the same again is a duplicate",
)
def push_readings(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Take readings."""
    return {"items": take_readings(call, call.actor.known_id, given["readings"], secret=_secret())}


@endpoint(
    routes,
    "GET",
    "/v1/me/households",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesOwnHouseholds,
    summary="The caller's homes and who shares them",
    no_store=True,
)
def my_households(call: Call, page: dict[str, Any]) -> Page[dict[str, Any]]:
    """List the caller's homes."""
    found = own_households(call, PageRequest(**page))
    return Page([shown_to(each, call.actor.known_id) for each in found.items], found.next)


@endpoint(
    routes,
    "GET",
    "/v1/me/households/<household>/periods",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesOwnPeriods,
    summary="What each period of a home came to, or why it came to nothing",
    no_store=True,
)
def my_periods(call: Call, page: dict[str, Any], *, household: str) -> Page[OwnPeriod]:
    """List the periods of a home of the caller."""
    return own_periods(call, parse_public_id(HOUSEHOLD, household), PageRequest(**page))


def _own(call: Call, household: str) -> Household:
    return find_household(call, call.actor.known_id, parse_public_id(HOUSEHOLD, household))


def _secret() -> bytes:
    return str(current_app.config[CARD_SECRET]).encode()
