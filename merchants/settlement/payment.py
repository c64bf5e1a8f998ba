"""Paying a settlement, once, by a line of the bank's statement that pays nothing else.

One that comes to nothing has no such line: its own id stands for it, whatever was sent.
"""

from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from kernel.identifiers import public_id
from ledger.accounts import institution
from ledger.chart import Code, Kind, Unit
from ledger.posting import Transfer, post
from merchants.settlement.errors import (
    BankStatementUsed,
    PayerClosedIt,
    SettlementElsewhere,
    SettlementPaid,
)
from merchants.settlement.figures import SOURCE
from merchants.settlement.records import SETTLEMENT, Told, held_settlement, move, settlement_of
from merchants.settlement.states import State


def pay(call: Call, settlement_id: UUID, *, bank_statement_id: str) -> Told:
    """Mark a confirmed settlement paid; with the same bank statement again it stays as it is.

    Refuses, in this order: `NotFound`, `SettlementPaid`, `SettlementElsewhere`, `PayerClosedIt`,
    `BankStatementUsed`.
    """
    settlement = held_settlement(call, settlement_id)
    bank = public_id(SETTLEMENT, settlement_id) if settlement.payable_fen == 0 else bank_statement_id
    if settlement.payment is not None:
        same = settlement.payment["bank_statement_id"] == bank
        require(same, SettlementPaid(bank_statement_id=settlement.payment["bank_statement_id"]))
        return settlement
    require(settlement.state is State.CONFIRMED, SettlementElsewhere(state=settlement.state.value))
    require(settlement.closed_by != call.actor.principal, PayerClosedIt())
    if settlement.payable_fen is None:
        raise BrokenInvariant("a confirmed settlement has its figures")
    values = {
        "settlement": settlement_id,
        "region": settlement.region_id,
        "bank": bank,
        "fen": settlement.payable_fen,
        "by": call.actor.principal,
        "now": call.now,
    }
    noted = call.db.execute(_NOTE, values)
    require(noted.rowcount == 1, BankStatementUsed())  # type: ignore[attr-defined]  # cursor results have it
    if settlement.payable_fen:
        _book(call, settlement, settlement.payable_fen)
    move(call, settlement, State.PAID, reason=bank, event="settlement.paid")
    return settlement_of(call, settlement_id)


def _book(call: Call, settlement: Told, fen: int) -> None:
    region = settlement.region_id
    post(
        call,
        Transfer(
            account=institution(call, region, kind=Kind.SETTLED, unit=Unit.CNY),
            contra=institution(call, region, kind=Kind.BANK, unit=Unit.CNY),
            amount=-fen,
            code=Code.PAID,
            source=SOURCE,
            reference=f"{settlement.id}/paid",
            occurred_at=call.now,
        ),
    )


_NOTE = text(
    "INSERT INTO settlement_payment (settlement_id, region_id, principal, recorded_at, bank_statement_id,"
    " paid_fen) VALUES (:settlement, :region, :by, :now, :bank, :fen) ON CONFLICT DO NOTHING"
)
