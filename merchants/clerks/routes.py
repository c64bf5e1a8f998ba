"""URLs of clerks, of their shifts at tills, and of what stores ask; no logic."""

from typing import Any

from flask import Response

from kernel.call import Call
from kernel.errors import Refusal
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.http.problems import refused
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from merchants.clerks.roster import (
    CLERK,
    Listed,
    StoreAsks,
    ask_of_clerks,
    clerks,
    dismiss,
    enter,
    link,
    set_pin,
)
from merchants.clerks.schemas import (
    GivesClerkId,
    GivesClerks,
    GivesShift,
    GivesStoreAsks,
    SignIn,
    TakesClerk,
    TakesLink,
    TakesPin,
    TakesSignIn,
    TakesStoreAsks,
)
from merchants.clerks.shifts import Shift, sign_in, sign_out
from merchants.onboarding import MERCHANT, STORE
from merchants.schemas import TakesWhy, Why
from merchants.tables import Store

routes = Routes("clerks", __name__, description="Who stands at a till.")


@endpoint(
    routes,
    "POST",
    "/v1/merchants/<merchant>/clerks",
    needs=Permission.CLERK_MANAGE,
    takes=TakesClerk,
    gives=GivesClerkId,
    status=201,
    summary="Enter a clerk with a PIN; a number is entered once, so it takes no Idempotency-Key",
)
def enter_clerk(call: Call, clerk: dict[str, Any], *, merchant: str) -> dict[str, Any]:
    """Enter a clerk."""
    return {"id": enter(call, parse_public_id(MERCHANT, merchant), **clerk)}


@endpoint(
    routes,
    "GET",
    "/v1/merchants/<merchant>/clerks",
    needs=Permission.CLERK_MANAGE,
    query=PageQuery,
    gives=GivesClerks,
    summary="A merchant's clerks, newest first",
)
def list_clerks(call: Call, page: dict[str, Any], *, merchant: str) -> Page[Listed]:
    """Give a page of clerks."""
    return clerks(call, parse_public_id(MERCHANT, merchant), PageRequest(**page))


@endpoint(
    routes,
    "POST",
    "/v1/clerks/<clerk>/pin",
    needs=Permission.CLERK_MANAGE,
    takes=TakesPin,
    status=204,
    summary="Give a clerk a new PIN; an open shift ends",
)
def renew_pin(call: Call, given: dict[str, Any], *, clerk: str) -> None:
    """Set a PIN."""
    set_pin(call, parse_public_id(CLERK, clerk), pin=given["pin"])


@endpoint(
    routes,
    "POST",
    "/v1/clerks/<clerk>/dismissal",
    needs=Permission.CLERK_MANAGE,
    takes=TakesWhy,
    status=204,
    summary="Let a clerk sign in no more; an open shift ends",
)
def dismiss_clerk(call: Call, why: Why, *, clerk: str) -> None:
    """Dismiss a clerk."""
    dismiss(call, parse_public_id(CLERK, clerk), reason=why.reason)


@endpoint(
    routes,
    "POST",
    "/v1/stores/<store>/clerk-rules",
    needs=Permission.CLERK_MANAGE,
    takes=TakesStoreAsks,
    gives=GivesStoreAsks,
    status=200,
    summary="Say what a store asks of who stands at its tills",
)
def set_clerk_rules(call: Call, asks: StoreAsks, *, store: str) -> Store:
    """Set what a store asks."""
    return ask_of_clerks(call, parse_public_id(STORE, store), asks)


@endpoint(
    routes,
    "POST",
    "/v1/me/clerk-link",
    needs=Permission.CLERK_LINK,
    takes=TakesLink,
    status=204,
    summary="Say which clerk the caller is, who then honours no voucher of the own",
)
def link_clerk(call: Call, given: dict[str, Any]) -> Response | None:
    """Link; a wrong PIN is answered, not raised, so that its count is kept."""
    outcome = link(call, given["clerk_id"], pin=given["pin"])
    return None if outcome is None else refused(outcome)


@endpoint(
    routes,
    "POST",
    "/v1/terminal/shifts",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesSignIn,
    gives=GivesShift,
    status=201,
    no_store=True,
    summary="Sign in at this till with number and PIN",
)
def open_shift(call: Call, given: SignIn) -> Shift | Response:
    """Open a shift; a wrong PIN is answered, not raised, so that its count is kept."""
    outcome = sign_in(call, number=given.number, pin=given.pin)
    return refused(outcome) if isinstance(outcome, Refusal) else outcome


@endpoint(
    routes,
    "DELETE",
    "/v1/terminal/shifts/current",
    needs=Permission.TERMINAL_REDEEM,
    status=204,
    summary="Sign out at this till",
)
def close_shift(call: Call) -> None:
    """End the caller's shift."""
    sign_out(call)
