"""When what the caller owns ends: coins by class and day, vouchers by day."""

from typing import Any

from marshmallow import fields

from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from kernel.units import show_coins
from ledger.endings import endings
from rewards.endings import VoucherEnding, voucher_endings
from rewards.vouchers import VOUCHER


class GivesGrace(Gives):
    """Coins that came back after their day, and why they live on."""

    amount = fields.Integer(metadata={"description": "milli-coins that came back; some may be spent since"})
    cause = fields.String(metadata={"description": "such as `deactivated` or `reversal`"})


class GivesEndingDay(Gives):
    """A day on which coins end, and what of that day is held; the first day they are no longer valid."""

    expires_on = Day()
    amount = fields.Integer(metadata={"description": "milli-coins that end if nothing is spent before"})
    amount_shown = fields.Function(lambda day: show_coins(day.amount), metadata={"type": "string"})
    held = fields.Integer(
        metadata={"description": "milli-coins of this day set aside for vouchers and holds"}
    )
    grace = fields.List(fields.Nested(GivesGrace))


class GivesClassEndings(Gives):
    """One validity class. `available` and `held` are the sums of what stands below."""

    validity_class = fields.String()
    available = fields.Integer(metadata={"description": "milli-coins; below 0 after a correction"})
    held = fields.Integer()
    held_past_day = fields.Integer(
        metadata={"description": "of `held`: past its day, so it lives only while it is held"}
    )
    frozen = fields.Boolean()
    days = fields.List(fields.Nested(GivesEndingDay))


class GivesCoinExpiry(Gives):
    """When the caller's coins end, as of today in Shanghai."""

    as_of = Instant()
    today = Day()
    classes = fields.List(fields.Nested(GivesClassEndings))


class GivesVoucherEnding(Gives):
    """A voucher and the first day it can no longer be used."""

    id = PublicId(VOUCHER)
    title_zh = fields.String()
    title_en = fields.String()
    state = fields.String()
    price_coin_milli = fields.Integer()
    expires_on = Day()
    ends_at = Instant()
    closes_at = Instant(allow_none=True)


class GivesVoucherEndings(Gives):
    """A page of vouchers."""

    items = fields.List(fields.Nested(GivesVoucherEnding))
    next = fields.String(allow_none=True)


routes = Routes("expiry", __name__, description="When coins and vouchers of the caller end.")


@endpoint(
    routes,
    "GET",
    "/v1/me/coins/expiry",
    needs=Permission.ME_READ,
    gives=GivesCoinExpiry,
    summary="When my coins end, day by day, and what is held or in grace",
    no_store=True,
)
def my_coin_expiry(call: Call) -> dict[str, Any]:
    """Show every day on which coins end; what has ended is left out even before it is posted."""
    return {"as_of": call.now, "today": call.today, "classes": endings(call, call.actor.known_id)}


@endpoint(
    routes,
    "GET",
    "/v1/me/vouchers/expiry",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesVoucherEndings,
    summary="My vouchers by their last day, the nearest first",
    no_store=True,
)
def my_voucher_expiry(call: Call, query: dict[str, Any]) -> Page[VoucherEnding]:
    """Give a page of the vouchers that coins are held for."""
    return voucher_endings(call, PageRequest(**query))
