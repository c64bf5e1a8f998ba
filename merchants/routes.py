"""URLs of tills, of merchants and of those who take them in; no logic."""

from datetime import date
from typing import Any
from uuid import UUID

from kernel.actor import NotPermitted
from kernel.call import Call
from kernel.clock import parse_day
from kernel.errors import InvalidField
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission
from merchants.onboarding import MERCHANT, STORE, add_merchant, add_store
from merchants.redemption import REDEMPTION, Prepared, Redeemed, confirm, prepare, redeem
from merchants.redemption_batches import redeem_together
from merchants.redemption_reversal import Reversed, reverse
from merchants.schemas import (
    Confirmation,
    GivesLines,
    GivesMerchant,
    GivesPaired,
    GivesPairing,
    GivesPrepared,
    GivesRedeemed,
    GivesRedeemedTogether,
    GivesReversed,
    GivesStatement,
    GivesStore,
    Scan,
    Scans,
    TakesConfirmation,
    TakesNames,
    TakesPairing,
    TakesScan,
    TakesScans,
    TakesTill,
    TakesWhy,
    Why,
)
from merchants.statements import Statement, StatementLine, more_lines, statement
from merchants.tables import Store
from merchants.terminals import TERMINAL, Paired, Pairing, new_terminal, pair, revoke
from rewards.voucher_codes import scanned

routes = Routes("merchants", __name__, description="Tills, redemptions and merchants' statements.")


@endpoint(
    routes,
    "POST",
    "/v1/terminal/pairing",
    needs=PUBLIC,
    takes=TakesPairing,
    gives=GivesPaired,
    status=201,
    no_store=True,
    summary="Turn a one-time pairing code into a till's secret",
)
def pair_till(call: Call, typed: dict[str, Any]) -> Paired:
    """Pair a till."""
    return pair(call, typed["code"], public_key=typed["public_key"])


@endpoint(
    routes,
    "POST",
    "/v1/terminal/redemptions/prepare",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesScan,
    gives=GivesPrepared,
    status=201,
    idempotent=True,
    summary="Reserve a shown voucher for this till and say what would be used",
)
def prepare_redemption(call: Call, scan: Scan) -> Prepared:
    """Reserve a voucher."""
    return prepare(call, scanned(scan.code))


@endpoint(
    routes,
    "POST",
    "/v1/terminal/redemptions/confirm",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesConfirmation,
    gives=GivesRedeemed,
    status=201,
    idempotent=True,
    summary="Use the voucher this till reserved",
)
def confirm_redemption(call: Call, confirmation: Confirmation) -> Redeemed:
    """Use a reserved voucher."""
    return confirm(call, confirmation.session)


@endpoint(
    routes,
    "POST",
    "/v1/terminal/redemptions",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesScan,
    gives=GivesRedeemed,
    status=201,
    idempotent=True,
    summary="Use a shown voucher at once",
)
def redeem_voucher(call: Call, scan: Scan) -> Redeemed:
    """Redeem in one step."""
    return redeem(call, scanned(scan.code))


@endpoint(
    routes,
    "POST",
    "/v1/terminal/redemption-batches",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesScans,
    gives=GivesRedeemedTogether,
    status=201,
    idempotent=True,
    summary="Use up to ten shown vouchers together or none of them; a refusal points at the first at fault",
)
def redeem_vouchers(call: Call, scans: Scans) -> dict[str, Any]:
    """Redeem several, all or nothing."""
    return {"items": redeem_together(call, [scanned(code) for code in scans.codes])}


@endpoint(
    routes,
    "POST",
    "/v1/terminal/redemptions/<redemption>/reversal",
    needs=Permission.REDEMPTION_REVERSE,
    takes=TakesWhy,
    gives=GivesReversed,
    status=201,
    idempotent=True,
    summary="Undo a redemption of this store, in time",
)
def reverse_redemption(call: Call, why: Why, *, redemption: str) -> Reversed:
    """Undo a redemption."""
    return reverse(call, parse_public_id(REDEMPTION, redemption), reason=why.reason)


@endpoint(
    routes,
    "GET",
    "/v1/merchant/statements/<day>",
    needs=Permission.MERCHANT_READ,
    gives=GivesStatement,
    summary="What this merchant honoured on a day: all figures, and the first lines",
)
def day_statement(call: Call, *, day: str) -> Statement:
    """Give a day of the caller's own merchant."""
    return statement(call, _own_merchant(call), _day(day))


@endpoint(
    routes,
    "GET",
    "/v1/merchant/statements/<day>/lines",
    needs=Permission.MERCHANT_READ,
    query=PageQuery,
    gives=GivesLines,
    summary="The lines of a day's statement, page by page; `after` is its `next` or that of a page",
)
def statement_lines(call: Call, page: dict[str, Any], *, day: str) -> Page[StatementLine]:
    """Give lines of a day of the caller's own merchant."""
    return more_lines(call, _own_merchant(call), _day(day), PageRequest(**page))


def _own_merchant(call: Call) -> UUID:
    if call.actor.organisation_id is None:
        raise NotPermitted("this caller belongs to no merchant")
    return call.actor.organisation_id


def _day(day: str) -> date:
    try:
        return parse_day(day)
    except ValueError as error:
        raise InvalidField("a day, such as 2026-11-01", pointer="/path/day") from error


@endpoint(
    routes,
    "POST",
    "/v1/merchants",
    needs=Permission.MERCHANT_MANAGE,
    takes=TakesNames,
    gives=GivesMerchant,
    status=201,
    idempotent=True,
    summary="Take in a merchant",
)
def take_in_merchant(call: Call, names: dict[str, Any]) -> dict[str, Any]:
    """Add a merchant in the caller's region."""
    return {"id": add_merchant(call, **names)}


@endpoint(
    routes,
    "POST",
    "/v1/merchants/<merchant>/stores",
    needs=Permission.MERCHANT_MANAGE,
    takes=TakesNames,
    gives=GivesStore,
    status=201,
    idempotent=True,
    summary="Add a store",
)
def take_in_store(call: Call, names: dict[str, Any], *, merchant: str) -> Store:
    """Add a store of a merchant."""
    return add_store(call, parse_public_id(MERCHANT, merchant), **names)


@endpoint(
    routes,
    "POST",
    "/v1/stores/<store>/terminals",
    needs=Permission.MERCHANT_MANAGE,
    takes=TakesTill,
    gives=GivesPairing,
    status=201,
    no_store=True,
    summary="Make a pairing code for a new till; shown once",
)
def add_till(call: Call, till: dict[str, Any], *, store: str) -> Pairing:
    """Add a till that waits for its code; sent again it makes another, so it is not idempotent."""
    return new_terminal(call, parse_public_id(STORE, store), label=till["label"])


@endpoint(
    routes,
    "POST",
    "/v1/terminals/<terminal>/revocation",
    needs=Permission.MERCHANT_MANAGE,
    takes=TakesWhy,
    status=204,
    summary="Refuse a till from now on",
)
def revoke_till(call: Call, why: Why, *, terminal: str) -> None:
    """Revoke a till."""
    revoke(call, parse_public_id(TERMINAL, terminal), reason=why.reason)
