"""URLs of a citizen's vouchers and of what operators do with them; no logic."""

from collections.abc import Iterator
from typing import Any

from flask import Response

from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from rewards.errors import VoucherPastItsDay
from rewards.exchange import Wanted, exchange
from rewards.live_codes import Alias, live_codes, new_alias
from rewards.qr_images import qr_png, qr_svg
from rewards.schemas import (
    GivesAlias,
    GivesCodes,
    GivesReleased,
    GivesVoucher,
    GivesVouchers,
    Order,
    Reason,
    TakesExchange,
    TakesReason,
)
from rewards.vouchers import VOUCHER, GivenBack, Owned, all_owned, cancel, deactivate, key_of, owned

routes = Routes("rewards", __name__, description="The vouchers that coins become.")


@endpoint(
    routes,
    "POST",
    "/v1/me/vouchers",
    needs=Permission.VOUCHER_EXCHANGE,
    takes=TakesExchange,
    gives=GivesVoucher,
    status=201,
    idempotent=True,
    summary="Exchange coins for a voucher",
)
def buy(call: Call, order: Order) -> Owned:
    """Exchange and show the voucher."""
    wanted = Wanted(price_coin_milli=order.price_coin_milli, scope_no=order.scope_no, unit_no=order.unit_no)
    return owned(call, exchange(call, order.reward_id, wanted).voucher_id)


@endpoint(
    routes,
    "GET",
    "/v1/me/vouchers",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesVouchers,
    summary="My vouchers, newest first",
)
def mine(call: Call, query: dict[str, Any]) -> Page[Owned]:
    """Give a page of the caller's vouchers."""
    return all_owned(call, PageRequest(limit=query["limit"], after=query["after"]))


@endpoint(
    routes,
    "GET",
    "/v1/me/vouchers/<voucher>",
    needs=Permission.ME_READ,
    gives=GivesVoucher,
    summary="One of my vouchers",
)
def one(call: Call, *, voucher: str) -> Owned:
    """Give one voucher."""
    return owned(call, parse_public_id(VOUCHER, voucher))


@endpoint(
    routes,
    "GET",
    "/v1/me/vouchers/<voucher>/codes",
    needs=Permission.ME_READ,
    gives=GivesCodes,
    no_store=True,
    summary="The codes of the next ten minutes",
)
def codes(call: Call, *, voucher: str) -> dict[str, Any]:
    """Give twenty codes; no cache may keep them."""
    return {"items": live_codes(call, parse_public_id(VOUCHER, voucher))}


@endpoint(
    routes,
    "POST",
    "/v1/me/vouchers/<voucher>/alias",
    needs=Permission.ME_READ,
    gives=GivesAlias,
    status=201,
    no_store=True,
    summary="A number to type, for 60 seconds",
)
def alias(call: Call, *, voucher: str) -> Alias:
    """Make a number to type."""
    return new_alias(call, parse_public_id(VOUCHER, voucher))


@endpoint(
    routes,
    "GET",
    "/v1/me/vouchers/<voucher>/qr.svg",
    needs=Permission.ME_READ,
    no_store=True,
    summary="The present code as SVG",
)
def svg(call: Call, *, voucher: str) -> Response:
    """Draw the present code."""
    text, title = _present(call, voucher)

    def drawn() -> Iterator[str]:
        yield qr_svg(text, title)

    # Drawn while the answer is sent, so that no transaction is open meanwhile.
    return Response(drawn(), content_type="image/svg+xml; charset=utf-8")


@endpoint(
    routes,
    "GET",
    "/v1/me/vouchers/<voucher>/qr.png",
    needs=Permission.ME_READ,
    no_store=True,
    summary="The present code as PNG",
)
def png(call: Call, *, voucher: str) -> Response:
    """Draw the present code."""
    text, title = _present(call, voucher)

    def drawn() -> Iterator[bytes]:
        yield qr_png(text, title)

    return Response(drawn(), content_type="image/png")


@endpoint(
    routes,
    "POST",
    "/v1/me/vouchers/<voucher>/cancellation",
    needs=Permission.VOUCHER_CANCEL,
    gives=GivesReleased,
    status=201,
    idempotent=True,
    summary="Give a voucher back for its coins",
)
def give_back(call: Call, *, voucher: str) -> GivenBack:
    """Cancel one voucher of the caller."""
    return cancel(call, parse_public_id(VOUCHER, voucher))


@endpoint(
    routes,
    "POST",
    "/v1/vouchers/<voucher>/deactivation",
    needs=Permission.VOUCHER_DEACTIVATE,
    takes=TakesReason,
    gives=GivesReleased,
    status=201,
    idempotent=True,
    summary="Withdraw an unused voucher, with a reason its owner reads",
)
def withdraw(call: Call, why: Reason, *, voucher: str) -> GivenBack:
    """Deactivate a voucher of the caller's region."""
    return deactivate(call, key_of(call, parse_public_id(VOUCHER, voucher)), reason=why.reason)


def _present(call: Call, voucher: str) -> tuple[str, str]:
    voucher_id = parse_public_id(VOUCHER, voucher)
    shown = live_codes(call, voucher_id)
    if not shown:
        raise VoucherPastItsDay
    mine = owned(call, voucher_id)
    return shown[0].text, f"兑换券:{mine.title_zh} · Voucher: {mine.title_en}"
