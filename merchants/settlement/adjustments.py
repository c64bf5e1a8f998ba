"""Corrections of what was settled: one person proposes, another decides, and the ledger says ADJUST.

An adjustment is an amount of one funder, up or down, or takes a settled use back whole: its cost from the
merchant, and its coins to the citizen, who has at least the region's days of grace to spend them. It is
booked when it is approved, and stands as a line in the next settlement that can bear it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from kernel.publications.rules import grace
from ledger.accounts import find_account
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.posting import Transfer, post
from merchants.redemption import merchant_account
from merchants.settlement.errors import (
    AdjustmentDecided,
    NotSettled,
    ProposerCannotDecide,
    SettlementElsewhere,
    TakenBackBefore,
)
from merchants.settlement.records import SETTLEMENT, owed, settlement_of
from merchants.settlement.states import Standing, State

ADJUSTMENT = "adj"
SOURCE = "adjustment"
MOST_FEN = 100_000_000
"""Of one adjustment: a million yuan."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """An amount of one funder, + to the merchant, or a settled use to take back; one of the two."""

    reason: str
    funder_id: UUID | None = None
    payable_fen: int | None = None
    redemption_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """An adjustment and what became of it; `settled_in` is the settlement that has its line."""

    id: UUID
    region_id: str
    merchant_id: UUID
    settlement_id: UUID
    redemption_id: UUID | None
    coin_milli: int
    payable_fen: int
    shares: list[dict[str, Any]]
    reason: str
    state: Standing
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decided_on: date | None
    decision_reason: str | None
    settled_in: UUID | None

    @property
    def owed(self) -> list[dict[str, Any]]:
        """What each funder owes more or less."""
        return owed(self.shares)


def propose(call: Call, settlement_id: UUID, correction: Correction) -> Adjustment:
    """Propose to correct a settlement that is closed.

    Refuses, in this order: `NotFound` (also of the funder), `SettlementElsewhere` (open), `NotSettled`,
    `TakenBackBefore`.
    """
    settlement = settlement_of(call, settlement_id)
    require(settlement.state is not State.OPEN, SettlementElsewhere(state=settlement.state.value))
    if correction.redemption_id is not None:
        coins, shares = _taking_back(call, settlement_id, correction.redemption_id)
    else:
        coins, shares = 0, _amount(call, correction)
    made = new_id()
    values = {
        "id": made,
        "region": settlement.region_id,
        "merchant": settlement.merchant_id,
        "settlement": settlement_id,
        "redemption": correction.redemption_id,
        "coin": coins,
        "payable": sum(share["fen"] for share in shares),
        "shares": Jsonb(shares),
        "reason": correction.reason,
        "by": call.actor.principal,
        "now": call.now,
    }
    done = call.db.execute(_PROPOSE, values)
    require(done.rowcount == 1, TakenBackBefore())  # type: ignore[attr-defined]  # cursor results have it
    named = public_id(SETTLEMENT, settlement_id)
    audit(call, "adjustment.proposed", subject=public_id(ADJUSTMENT, made), settlement=named)
    return adjustment_of(call, made)


def decide(call: Call, adjustment_id: UUID, *, decision: Standing, reason: str) -> Adjustment:
    """Approve an adjustment, which books it, or reject it.

    Refuses, in this order: `NotFound`, `ProposerCannotDecide`, `AdjustmentDecided`.
    """
    known = adjustment_of(call, adjustment_id)
    require(known.proposed_by != call.actor.principal, ProposerCannotDecide())
    values = {
        "id": adjustment_id,
        "to": decision.value,
        "by": call.actor.principal,
        "now": call.now,
        "today": call.today,
        "reason": reason,
    }
    done = call.db.execute(_DECIDE, values)
    require(done.rowcount == 1, AdjustmentDecided())  # type: ignore[attr-defined]  # cursor results have it
    if decision is Standing.APPROVED:
        _book(call, known)
    subject = public_id(ADJUSTMENT, adjustment_id)
    audit(call, f"adjustment.{decision.value}", subject=subject, reason=reason)
    announce(call, f"adjustment.{decision.value}", region_id=known.region_id, subject=subject)
    return adjustment_of(call, adjustment_id)


def adjustment_of(call: Call, adjustment_id: UUID) -> Adjustment:
    """An adjustment of the caller's region; refuses `NotFound`."""
    row = call.db.execute(_ONE, {"id": adjustment_id}).one_or_none()
    if row is None or row.region_id != call.region:
        raise NotFound("no such adjustment")
    return _adjustment(row)


def adjustments(
    call: Call, page: PageRequest, *, state: str | None = None, merchant_id: UUID | None = None
) -> Page[Adjustment]:
    """Adjustments of the caller's region, newest first; in one state, or of one merchant."""
    binding = f"adjustments/{call.region}/{state}/{merchant_id}"
    position = page.position(binding, UUID)
    values = {
        "region": call.region,
        "state": state,
        "merchant": merchant_id,
        "before": position[0] if position else None,
        "most": page.limit + 1,
    }
    found = [_adjustment(row) for row in call.db.execute(_LISTED, values)]
    return page.page(found, binding, lambda item: [str(item.id)])


def _taking_back(call: Call, settlement_id: UUID, redemption_id: UUID) -> tuple[int, list[dict[str, Any]]]:
    values = {"settlement": settlement_id, "redemption": redemption_id}
    line = call.db.execute(_LINE, values).one_or_none()
    if line is None or line.was_reversed:
        raise NotSettled(pointer="/body/redemption_id")
    return -line.coin_milli, [
        {"funder_id": share["funder_id"], "fen": -share["fen"]} for share in line.shares
    ]


def _amount(call: Call, correction: Correction) -> list[dict[str, Any]]:
    funder, fen = correction.funder_id, correction.payable_fen
    if funder is None or not fen:
        raise BrokenInvariant("a correction is an amount of a funder, or a use to take back")
    known = call.db.execute(_FUNDER, {"id": funder, "region": call.region}).one_or_none()
    require(known is not None, NotFound("no such funder", pointer="/body/funder_id"))
    return [{"funder_id": str(funder), "fen": fen}]


def _book(call: Call, adjustment: Adjustment) -> None:
    account = merchant_account(call, adjustment.merchant_id, Unit.CNY)
    for share in adjustment.shares:
        funder = find_account(call, UUID(share["funder_id"]), kind=Kind.FUNDER, unit=Unit.CNY)
        transfer = Transfer(
            account=account,
            contra=funder,
            amount=share["fen"],
            code=Code.ADJUST,
            source=SOURCE,
            reference=f"{adjustment.id}/{share['funder_id']}",
            occurred_at=call.now,
        )
        post(call, transfer)
    if adjustment.coin_milli:
        _coins_back(call, adjustment)


def _coins_back(call: Call, adjustment: Adjustment) -> None:
    """From what the merchant got to whom it came from, for days of grace at least."""
    values = {"redemption": adjustment.redemption_id}
    holder: UUID = call.db.execute(_HOLDER, values).scalar_one()
    citizen = find_account(call, holder, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
    ends = call.today + grace(call, adjustment.region_id, day=call.today) + timedelta(days=1)
    transfer = Transfer(
        account=citizen,
        contra=merchant_account(call, adjustment.merchant_id, Unit.COIN),
        amount=-adjustment.coin_milli,
        code=Code.ADJUST,
        source=SOURCE,
        reference=f"{adjustment.id}/coins",
        occurred_at=call.now,
        expires_on=ends,
    )
    post(call, transfer)


def _adjustment(row: Row[Any]) -> Adjustment:
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Adjustment(**{**told, "state": Standing(row.state)})


_TOLD = (
    "SELECT a.*, l.settlement_id AS settled_in FROM settlement_adjustment a LEFT JOIN settlement_line l"
    " ON l.subject_id = a.id AND l.what = 'adjustment'"
)
_ONE = text(f"{_TOLD} WHERE a.id = :id")
_LISTED = text(
    f"{_TOLD} WHERE a.region_id = :region"
    " AND (CAST(:state AS text) IS NULL OR a.state = CAST(:state AS text))"
    " AND (CAST(:merchant AS uuid) IS NULL OR a.merchant_id = CAST(:merchant AS uuid))"
    " AND (CAST(:before AS uuid) IS NULL OR a.id < CAST(:before AS uuid)) ORDER BY a.id DESC LIMIT :most"
)
_LINE = text(
    "SELECT l.coin_milli, l.shares, EXISTS (SELECT 1 FROM redemption_reversal b"
    " WHERE b.redemption_id = l.subject_id) AS was_reversed FROM settlement_line l"
    " WHERE l.subject_id = :redemption AND l.what = 'redemption' AND l.settlement_id = :settlement"
)
_FUNDER = text("SELECT 1 FROM funder WHERE id = :id AND region_id = :region")
_HOLDER = text("SELECT holder_id FROM redemption WHERE id = :redemption")
_PROPOSE = text(
    "INSERT INTO settlement_adjustment (id, region_id, merchant_id, settlement_id, redemption_id, coin_milli,"
    " payable_fen, shares, reason, state, proposed_by, proposed_at) VALUES (:id, :region, :merchant,"
    " :settlement, CAST(:redemption AS uuid), :coin, :payable, :shares, :reason, 'proposed', :by, :now)"
    " ON CONFLICT DO NOTHING"
)
_DECIDE = text(
    "UPDATE settlement_adjustment SET state = :to, decided_by = :by, decided_at = :now, decided_on = :today,"
    " decision_reason = :reason WHERE id = :id AND state = 'proposed' AND proposed_by <> :by"
)
