"""URLs of the pool beyond sharing out: plan, serials, withdrawals, the statement of deeds; no logic."""

from typing import Any

from carbon.donations.deed_texts import CURRENT, STATEMENTS
from carbon.donations.giving import DONATION
from carbon.donations.plan import Line, campaigns, plan
from carbon.donations.pool_schemas import (
    GivesDeedStatements,
    GivesPoolCampaign,
    GivesPoolCampaigns,
    GivesSerial,
    GivesWithdrawal,
    TakesGiftWithdrawal,
    TakesPoolCampaign,
)
from carbon.donations.serials import SerialFound, find_serial, parse_serial
from carbon.donations.tables import DonationWithdrawal, PoolCampaign
from carbon.donations.withdrawal import withdraw
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission

routes = Routes("pool", __name__, description="What a region means to do with its pool, and what it did.")


@endpoint(
    routes,
    "POST",
    "/v1/operator/donations/<donation>/withdrawal",
    needs=Permission.DONATION_WITHDRAW,
    takes=TakesGiftWithdrawal,
    gives=GivesWithdrawal,
    status=201,
    idempotent=True,
    summary="Take what was not shared out of a donation back from the pool, with a signed notice",
)
def withdraw_donation(call: Call, why: dict[str, Any], *, donation: str) -> DonationWithdrawal:
    """Withdraw a donation."""
    return withdraw(call, parse_public_id(DONATION, donation), **why)


@endpoint(
    routes,
    "POST",
    "/v1/operator/pool/campaigns",
    needs=Permission.POOL_PLAN,
    takes=TakesPoolCampaign,
    gives=GivesPoolCampaign,
    status=201,
    summary="Add a line to the region's public spending plan",
)
def add_campaign(call: Call, line: Line) -> PoolCampaign:
    """Plan."""
    return plan(call, line)


@endpoint(
    routes,
    "GET",
    "/v1/public/pools/<region>/plan",
    needs=PUBLIC,
    query=PageQuery,
    gives=GivesPoolCampaigns,
    summary="A region's spending plan, the newest line first",
)
def show_plan(call: Call, page: dict[str, Any], *, region: str) -> Page[PoolCampaign]:
    """Show the plan."""
    return campaigns(call, PageRequest(**page), region_id=region)


@endpoint(
    routes,
    "GET",
    "/v1/public/pools/<region>/serials/<serial>",
    needs=PUBLIC,
    gives=GivesSerial,
    summary="What became of one milligram: which donation it came from, and whether it was shared out",
)
def show_serial(call: Call, *, region: str, serial: str) -> SerialFound:
    """Look a serial up."""
    return find_serial(call, region, parse_serial(serial))


@endpoint(
    routes,
    "GET",
    "/v1/public/exclusivity-statements",
    needs=PUBLIC,
    gives=GivesDeedStatements,
    summary="The exclusivity statement that deeds make, in every version",
)
def show_statements(_call: Call) -> dict[str, Any]:
    """Show the statements."""
    return {"current": CURRENT, "items": list(STATEMENTS.values())}
