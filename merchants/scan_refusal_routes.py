"""URLs of refused scans, for merchants and operators; no logic."""

from typing import Any

from marshmallow import fields

from kernel.actor import NotPermitted
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, Text
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from merchants.clerks.roster import CLERK
from merchants.onboarding import MERCHANT, STORE
from merchants.scan_refusals import RefusedScan, Wanted, refused_scans
from merchants.terminals import TERMINAL
from rewards.vouchers import VOUCHER

routes = Routes("scan refusals", __name__, description="Scans that were refused.")


class RefusedScansQuery(PageQuery):
    """Which refused scans, and which page of them."""

    store = PublicId(STORE, load_default=None)
    terminal = PublicId(TERMINAL, load_default=None)
    refusal = Text(most=64, pattern=r"[a-z][a-z_]*", load_default=None)
    day = Day(load_default=None)


class RegionsRefusedScansQuery(RefusedScansQuery):
    """Which refused scans of a region, and which page of them."""

    merchant = PublicId(MERCHANT, load_default=None)


class GivesRefusedScan(Gives):
    """A scan that was refused: the refusal's code and sentence, where, and by whom."""

    refusal = Text()
    title_zh = Text()
    title_en = Text()
    merchant_id = PublicId(MERCHANT)
    store_id = PublicId(STORE)
    terminal_id = PublicId(TERMINAL)
    clerk_id = PublicId(CLERK, allow_none=True)
    voucher_id = PublicId(VOUCHER, allow_none=True)
    recorded_at = Instant()


class GivesRefusedScans(Gives):
    """A page of refused scans."""

    items = fields.List(fields.Nested(GivesRefusedScan))
    next = fields.String(allow_none=True)


@endpoint(
    routes,
    "GET",
    "/v1/merchant/scan-refusals",
    needs=Permission.MERCHANT_READ,
    query=RefusedScansQuery,
    gives=GivesRefusedScans,
    summary="Scans refused at this merchant's tills, with the reason, newest first",
)
def own_refused_scans(call: Call, asked: dict[str, Any]) -> Page[RefusedScan]:
    """Give refused scans of the caller's own merchant."""
    if call.actor.organisation_id is None:
        raise NotPermitted("this caller belongs to no merchant")
    return _listed(call, {**asked, "merchant": call.actor.organisation_id})


@endpoint(
    routes,
    "GET",
    "/v1/operator/scan-refusals",
    needs=Permission.MERCHANT_MANAGE,
    query=RegionsRefusedScansQuery,
    gives=GivesRefusedScans,
    summary="Scans refused in the region, with the reason, newest first",
)
def all_refused_scans(call: Call, asked: dict[str, Any]) -> Page[RefusedScan]:
    """Give the region's refused scans."""
    return _listed(call, asked)


def _listed(call: Call, asked: dict[str, Any]) -> Page[RefusedScan]:
    wanted = Wanted(
        merchant_id=asked["merchant"],
        store_id=asked["store"],
        terminal_id=asked["terminal"],
        refusal=asked["refusal"],
        day=asked["day"],
    )
    return refused_scans(call, wanted, PageRequest(limit=asked["limit"], after=asked["after"]))
