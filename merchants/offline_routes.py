"""URLs of tills that work without asking, and of the cases that come of it; no logic."""

from typing import Any

from kernel.actor import NotPermitted
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from merchants.offline import Taken, hand_in
from merchants.offline_conflicts import Conflict, conflicts
from merchants.offline_kit import Kit, kit
from merchants.offline_schemas import (
    GivesOfflineConflicts,
    GivesOfflineKit,
    GivesOfflineTaken,
    TakesOfflineRecords,
    records_of,
)

routes = Routes("offline", __name__, description="Tills that honour vouchers without asking.")


@endpoint(
    routes,
    "GET",
    "/v1/terminal/offline-kit",
    needs=Permission.TERMINAL_REDEEM,
    gives=GivesOfflineKit,
    no_store=True,
    summary="What this till takes along: keys, deny list, rule, and where its chain ends",
)
def offline_kit(call: Call) -> Kit:
    """Give the kit."""
    return kit(call)


@endpoint(
    routes,
    "POST",
    "/v1/terminal/offline-batches",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesOfflineRecords,
    gives=GivesOfflineTaken,
    status=201,
    idempotent=True,
    summary="Hand in what this till accepted without asking, up to the first broken link",
)
def offline_batch(call: Call, body: dict[str, Any]) -> Taken:
    """Take records."""
    return hand_in(call, records_of(body))


@endpoint(
    routes,
    "GET",
    "/v1/merchant/offline-conflicts",
    needs=Permission.MERCHANT_READ,
    query=PageQuery,
    gives=GivesOfflineConflicts,
    summary="Cases in which this merchant is a party, newest first",
)
def own_conflicts(call: Call, page: dict[str, Any]) -> Page[Conflict]:
    """Give cases of the caller's own merchant."""
    if call.actor.organisation_id is None:
        raise NotPermitted("this caller belongs to no merchant")
    return conflicts(call, PageRequest(**page), merchant_id=call.actor.organisation_id)


@endpoint(
    routes,
    "GET",
    "/v1/operator/offline-conflicts",
    needs=Permission.MERCHANT_MANAGE,
    query=PageQuery,
    gives=GivesOfflineConflicts,
    summary="Cases of the region, newest first",
)
def all_conflicts(call: Call, page: dict[str, Any]) -> Page[Conflict]:
    """Give the region's cases."""
    return conflicts(call, PageRequest(**page))
