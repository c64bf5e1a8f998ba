"""URLs of operators who close, answer, adjust and pay settlements, and look into a merchant; no logic."""

from typing import Any

from kernel.call import Call
from kernel.errors import InvalidField, require
from kernel.http.endpoint import Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.paging import Page
from kernel.permission import Permission
from merchants.onboarding import MERCHANT
from merchants.settlement.adjustments import ADJUSTMENT, Adjustment, Correction, decide, propose
from merchants.settlement.agreement import answer
from merchants.settlement.closing import close_now
from merchants.settlement.history import Total, Use
from merchants.settlement.payment import pay
from merchants.settlement.records import Told, settlement_of
from merchants.settlement.routes import asked_history, asked_totals, settlement_id
from merchants.settlement.schemas import (
    Amount,
    GivesAdjustment,
    GivesSettlement,
    GivesUses,
    GivesUseTotals,
    HistoryQuery,
    TakesAdjustmentAmount,
    TakesAdjustmentDecision,
    TakesSettlementAnswer,
    TakesSettlementPayment,
    TakesTakingBack,
    TotalsQuery,
)
from merchants.settlement.states import Standing

routes = Routes("settling", __name__, description="Closing, answering, adjusting and paying settlements.")


@endpoint(
    routes,
    "POST",
    "/v1/operator/merchants/<merchant>/settlements",
    needs=Permission.SETTLEMENT_CLOSE,
    gives=GivesSettlement,
    status=201,
    idempotent=True,
    summary="Close what is due of a merchant now; a long one stays open and the schedule goes on with it",
)
def close_settlement(call: Call, *, merchant: str) -> Told:
    """Close."""
    return settlement_of(call, close_now(call, parse_public_id(MERCHANT, merchant)))


@endpoint(
    routes,
    "POST",
    "/v1/operator/settlements/<settlement>/answer",
    needs=Permission.SETTLEMENT_ADJUST,
    takes=TakesSettlementAnswer,
    gives=GivesSettlement,
    status=201,
    idempotent=True,
    summary="Answer a dispute; what is upheld becomes proposed adjustments",
)
def answer_dispute(call: Call, given: dict[str, Any], *, settlement: str) -> Told:
    """Answer."""
    corrections = [
        _correction(amount, f"/body/corrections/{number}/payable_fen")
        for number, amount in enumerate(given["corrections"])
    ]
    return answer(
        call,
        settlement_id(settlement),
        ruling=given["ruling"],
        reason=given["reason"],
        corrections=corrections,
    )


@endpoint(
    routes,
    "POST",
    "/v1/operator/settlements/<settlement>/adjustments",
    needs=Permission.SETTLEMENT_ADJUST,
    takes=TakesAdjustmentAmount,
    gives=GivesAdjustment,
    status=201,
    idempotent=True,
    summary="Propose an amount more or less for the next settlement",
)
def propose_amount(call: Call, amount: Amount, *, settlement: str) -> Adjustment:
    """Propose an amount."""
    return propose(call, settlement_id(settlement), _correction(amount, "/body/payable_fen"))


@endpoint(
    routes,
    "POST",
    "/v1/operator/settlements/<settlement>/takings-back",
    needs=Permission.SETTLEMENT_ADJUST,
    takes=TakesTakingBack,
    gives=GivesAdjustment,
    status=201,
    idempotent=True,
    summary="Propose to take a settled use back: its cost, and the coins for the citizen",
)
def propose_taking_back(call: Call, given: dict[str, Any], *, settlement: str) -> Adjustment:
    """Propose to take a use back."""
    return propose(call, settlement_id(settlement), Correction(**given))


@endpoint(
    routes,
    "POST",
    "/v1/operator/settlement-adjustments/<adjustment>/decision",
    needs=Permission.SETTLEMENT_APPROVE,
    takes=TakesAdjustmentDecision,
    gives=GivesAdjustment,
    status=201,
    idempotent=True,
    summary="Approve or reject an adjustment; not by who proposed it",
)
def decide_adjustment(call: Call, given: dict[str, Any], *, adjustment: str) -> Adjustment:
    """Decide."""
    decision = Standing(given["decision"])
    return decide(call, parse_public_id(ADJUSTMENT, adjustment), decision=decision, reason=given["reason"])


@endpoint(
    routes,
    "POST",
    "/v1/operator/settlements/<settlement>/payment",
    needs=Permission.SETTLEMENT_PAY,
    takes=TakesSettlementPayment,
    gives=GivesSettlement,
    status=201,
    idempotent=True,
    summary="Mark a confirmed settlement paid by a line of the bank's statement; not by who closed it",
)
def pay_settlement(call: Call, given: dict[str, Any], *, settlement: str) -> Told:
    """Pay."""
    return pay(call, settlement_id(settlement), bank_statement_id=given["bank_statement_id"])


@endpoint(
    routes,
    "GET",
    "/v1/operator/merchants/<merchant>/redemptions",
    needs=Permission.MERCHANT_MANAGE,
    query=HistoryQuery,
    gives=GivesUses,
    summary="What a merchant of the region redeemed, newest first",
)
def merchants_history(call: Call, asked: dict[str, Any], *, merchant: str) -> Page[Use]:
    """Give a merchant's redemptions."""
    return asked_history(call, parse_public_id(MERCHANT, merchant), asked)


@endpoint(
    routes,
    "GET",
    "/v1/operator/merchants/<merchant>/totals",
    needs=Permission.MERCHANT_MANAGE,
    query=TotalsQuery,
    gives=GivesUseTotals,
    summary="What a merchant of the region redeemed, by day, store, terminal or clerk",
)
def merchants_totals(call: Call, asked: dict[str, Any], *, merchant: str) -> Page[Total]:
    """Give a merchant's totals."""
    return asked_totals(call, parse_public_id(MERCHANT, merchant), asked)


def _correction(amount: Amount, pointer: str) -> Correction:
    require(amount.payable_fen != 0, InvalidField("an amount is not nothing", pointer=pointer))
    return Correction(reason=amount.reason, funder_id=amount.funder_id, payable_fen=amount.payable_fen)
