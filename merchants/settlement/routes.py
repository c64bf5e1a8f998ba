"""URLs of settlements that merchants and operators read, and of what merchants say to them; no logic."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Response

from kernel.actor import ActorKind, NotPermitted
from kernel.call import Call
from kernel.database import in_transaction
from kernel.errors import NotFound, Refusal, require
from kernel.http.endpoint import Routes, door, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from merchants.settlement.adjustments import Adjustment, adjustments
from merchants.settlement.agreement import Named, confirm, dispute
from merchants.settlement.bundle import bundle
from merchants.settlement.files import Sheet, as_csv, sheet_of
from merchants.settlement.history import Total, Use, Wanted, history, totals
from merchants.settlement.lines import PREFIXES, Line, more_lines
from merchants.settlement.records import SETTLEMENT, Told, settlement_of, settlements
from merchants.settlement.schemas import (
    AdjustmentsQuery,
    GivesAdjustments,
    GivesSettlement,
    GivesSettlementLines,
    GivesSettlements,
    GivesUses,
    GivesUseTotals,
    HistoryQuery,
    SettlementsQuery,
    TakesSettlementDispute,
    TotalsQuery,
)
from merchants.settlement.states import What

routes = Routes(
    "settlements", __name__, description="What merchants are settled for, and what they honoured."
)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@endpoint(
    routes,
    "GET",
    "/v1/settlements",
    needs=Permission.SETTLEMENT_READ,
    query=SettlementsQuery,
    gives=GivesSettlements,
    summary="The caller's own merchant's settlements, or the region's, newest first",
)
def list_settlements(call: Call, asked: dict[str, Any]) -> Page[Told]:
    """List settlements."""
    merchant, state = asked.pop("merchant"), asked.pop("state")
    return settlements(call, PageRequest(**asked), merchant_id=_merchant(call, merchant), state=state)


@endpoint(
    routes,
    "GET",
    "/v1/settlements/<settlement>",
    needs=Permission.SETTLEMENT_READ,
    gives=GivesSettlement,
    summary="A settlement: its period, figures, digest, and what became of it",
)
def show_settlement(call: Call, *, settlement: str) -> Told:
    """Give one settlement."""
    return settlement_of(call, settlement_id(settlement))


@endpoint(
    routes,
    "GET",
    "/v1/settlements/<settlement>/lines",
    needs=Permission.SETTLEMENT_READ,
    query=PageQuery,
    gives=GivesSettlementLines,
    summary="The lines of a settlement in their order, page by page",
)
def settlement_lines(call: Call, page: dict[str, Any], *, settlement: str) -> Page[Line]:
    """Give lines of a settlement."""
    return more_lines(call, settlement_of(call, settlement_id(settlement)).id, PageRequest(**page))


@endpoint(
    routes,
    "GET",
    "/v1/settlements/<settlement>/lines.csv",
    needs=Permission.SETTLEMENT_READ,
    no_store=True,
    summary="All lines of a closed settlement as CSV for a spreadsheet",
)
def settlement_csv(call: Call, *, settlement: str) -> Response:
    """Download the lines as CSV."""
    return _file(call, settlement, as_csv, media_type="text/csv; charset=utf-8", name="lines.csv")


@endpoint(
    routes,
    "GET",
    "/v1/settlements/<settlement>/lines.xlsx",
    needs=Permission.SETTLEMENT_READ,
    no_store=True,
    summary="A closed settlement as a workbook: its figures, and its lines",
)
def settlement_workbook(call: Call, *, settlement: str) -> Response:
    """Download a workbook."""
    return _file(call, settlement, _as_xlsx, media_type=XLSX, name="settlement.xlsx")


@endpoint(
    routes,
    "GET",
    "/v1/settlements/<settlement>/bundle.json",
    needs=Permission.SETTLEMENT_READ,
    no_store=True,
    summary="All that an auditor needs to make the digest and every sum again",
)
def settlement_bundle(call: Call, *, settlement: str) -> Response:
    """Download the bundle."""
    return _file(call, settlement, bundle, media_type="application/json", name="bundle.json")


@endpoint(
    routes,
    "POST",
    "/v1/merchant/settlements/<settlement>/confirmation",
    needs=Permission.SETTLEMENT_CONFIRM,
    gives=GivesSettlement,
    status=201,
    idempotent=True,
    summary="Agree with a closed settlement",
)
def confirm_settlement(call: Call, *, settlement: str) -> Told:
    """Confirm."""
    return confirm(call, settlement_id(settlement))


@endpoint(
    routes,
    "POST",
    "/v1/merchant/settlements/<settlement>/dispute",
    needs=Permission.SETTLEMENT_CONFIRM,
    takes=TakesSettlementDispute,
    gives=GivesSettlement,
    status=201,
    idempotent=True,
    summary="Do not agree with lines of a closed settlement, or with all of it; once, in time",
)
def dispute_settlement(call: Call, given: dict[str, Any], *, settlement: str) -> Told:
    """Dispute."""
    known = settlement_of(call, settlement_id(settlement))
    lines = [_line(number, line) for number, line in enumerate(given["lines"])]
    return dispute(call, known.id, lines=lines, reason=given["reason"])


@endpoint(
    routes,
    "GET",
    "/v1/settlement-adjustments",
    needs=Permission.SETTLEMENT_READ,
    query=AdjustmentsQuery,
    gives=GivesAdjustments,
    summary="Adjustments of the caller's own merchant, or of the region, newest first",
)
def list_adjustments(call: Call, asked: dict[str, Any]) -> Page[Adjustment]:
    """List adjustments."""
    state = asked.pop("state")
    return adjustments(call, PageRequest(**asked), state=state, merchant_id=_merchant(call, None))


@endpoint(
    routes,
    "GET",
    "/v1/merchant/redemptions",
    needs=Permission.MERCHANT_READ,
    query=HistoryQuery,
    gives=GivesUses,
    summary="What the caller's own merchant redeemed, newest first",
)
def own_history(call: Call, asked: dict[str, Any]) -> Page[Use]:
    """Give redemptions of the caller's own merchant."""
    return asked_history(call, own_merchant(call), asked)


@endpoint(
    routes,
    "GET",
    "/v1/merchant/totals",
    needs=Permission.MERCHANT_READ,
    query=TotalsQuery,
    gives=GivesUseTotals,
    summary="What the caller's own merchant redeemed, by day, store, terminal or clerk",
)
def own_totals(call: Call, asked: dict[str, Any]) -> Page[Total]:
    """Give totals of the caller's own merchant."""
    return asked_totals(call, own_merchant(call), asked)


def asked_history(call: Call, merchant_id: UUID, asked: dict[str, Any]) -> Page[Use]:
    """A merchant's redemptions, as a query asks for them."""
    page = PageRequest(limit=asked.pop("limit"), after=asked.pop("after"))
    return history(call, merchant_id, Wanted(**asked), page)


def asked_totals(call: Call, merchant_id: UUID, asked: dict[str, Any]) -> Page[Total]:
    """A merchant's totals, as a query asks for them."""
    page = PageRequest(limit=asked.pop("limit"), after=asked.pop("after"))
    return totals(call, merchant_id, page, **asked)


def own_merchant(call: Call) -> UUID:
    """The merchant that the caller belongs to; refuses `NotPermitted`."""
    if call.actor.organisation_id is None:
        raise NotPermitted("this caller belongs to no merchant")
    return call.actor.organisation_id


def settlement_id(named: str) -> UUID:
    """The id in an address."""
    return parse_public_id(SETTLEMENT, named)


def _merchant(call: Call, asked: UUID | None) -> UUID | None:
    """Whose settlements: of somebody of a merchant its own, and no other's."""
    if call.actor.kind is not ActorKind.MERCHANT:
        return asked
    own = own_merchant(call)
    require(asked in {None, own}, NotFound("no such merchant"))
    return own


def _line(number: int, given: Mapping[str, str]) -> Named:
    what = What(given["what"])
    try:
        return Named(what=what, subject_id=parse_public_id(PREFIXES[what], given["id"]))
    except Refusal as refusal:
        refusal.pointer = f"/body/lines/{number}/id"
        raise


def _as_xlsx(sheet: Sheet) -> Iterator[bytes]:
    from merchants.settlement.workbook import as_xlsx  # noqa: PLC0415 - slow to import, and only used here

    return as_xlsx(sheet)


def _file(
    call: Call,
    settlement: str,
    written: Callable[[Sheet], Iterator[bytes]],
    *,
    media_type: str,
    name: str,
) -> Response:
    sessions = door().sessions

    def run(work: Callable[[Call], Any]) -> Any:
        # The answer streams after this request's transaction; each page opens one of its own.
        return in_transaction(sessions, lambda session: work(replace(call, db=session)))

    sheet = sheet_of(call, settlement_id(settlement), run)
    response = Response(written(sheet), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{settlement}-{name}"'
    return response
