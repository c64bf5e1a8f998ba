"""What a merchant honoured on one business day, line by line, with a digest anyone can make again.

Lines are redemptions and reversals under the day they happened; the same figures stand in the ledger
as rows against the merchant's accounts, which reconciliation compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.clock import day_bounds
from ledger.chart import Unit
from merchants.onboarding import known_merchant
from merchants.redemption import merchant_account

MOST_LINES = 20_000
"""A day of one merchant that is longer is read from the settlement file."""


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """One redemption (+) or reversal (-), in milli-coins and fen."""

    redemption_id: UUID
    what: str
    store_id: UUID
    terminal_id: UUID
    coin_milli: int
    payable_fen: int
    happened_at: datetime


@dataclass(frozen=True, kw_only=True)
class FunderTotal:
    """What one funder owes for the day, in fen."""

    funder_id: UUID
    payable_fen: int


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A day: lines in order, totals, who owes how much, and the digest over all lines."""

    merchant_id: UUID
    day: date
    lines: Sequence[StatementLine]
    coin_milli: int
    payable_fen: int
    by_funder: Sequence[FunderTotal]
    digest: str


def statement(call: Call, merchant_id: UUID, day: date) -> Statement:
    """The statement of one merchant for one business day; refuses `NotFound`."""
    known_merchant(call, merchant_id)
    rows = call.db.execute(_LINES, {"merchant": merchant_id, "day": day, "most": MOST_LINES}).all()
    lines = [
        StatementLine(
            redemption_id=row.id,
            what=row.what,
            store_id=row.store_id,
            terminal_id=row.terminal_id,
            coin_milli=row.coin_milli,
            payable_fen=row.payable_fen,
            happened_at=row.happened_at,
        )
        for row in rows
    ]
    owed = call.db.execute(_BY_FUNDER, {"merchant": merchant_id, "day": day}).all()
    return Statement(
        merchant_id=merchant_id,
        day=day,
        lines=lines,
        coin_milli=sum(line.coin_milli for line in lines),
        payable_fen=sum(line.payable_fen for line in lines),
        by_funder=[FunderTotal(funder_id=row.funder_id, payable_fen=int(row.fen)) for row in owed],
        digest=statement_digest(merchant_id, day, lines).hex(),
    )


def statement_digest(merchant_id: UUID, day: date, lines: Sequence[StatementLine]) -> bytes:
    """SHA-256 over the merchant, the day and every figure of every line, in order."""
    told = tuple(
        (
            line.redemption_id,
            line.what,
            line.store_id,
            line.terminal_id,
            line.coin_milli,
            line.payable_fen,
            line.happened_at,
        )
        for line in lines
    )
    return digest(canonical_bytes("merchant-statement/1", merchant_id, day, told))


def in_ledger(call: Call, merchant_id: UUID, day: date) -> tuple[int, int]:
    """The same day from the ledger alone: (milli-coins received, fen owed)."""
    start, end = day_bounds(day)
    bounds = {"start": start, "end": end}
    coin = merchant_account(call, merchant_id, Unit.COIN)
    fen = merchant_account(call, merchant_id, Unit.CNY)
    coins = call.db.execute(_COINS, {"account": coin.id, **bounds}).scalar_one()
    owed = call.db.execute(_OWED, {"holder": merchant_id, "account": fen.id, **bounds}).scalar_one()
    return int(coins), int(owed)


_LINES = text(
    "SELECT id, 'redemption' AS what, store_id, terminal_id, coin_milli, cost_fen AS payable_fen,"
    " redeemed_at AS happened_at FROM redemption WHERE merchant_id = :merchant AND business_day = :day"
    " UNION ALL SELECT r.id, 'reversal', r.store_id, r.terminal_id, -r.coin_milli, -r.cost_fen, b.reversed_at"
    " FROM redemption_reversal b JOIN redemption r ON r.id = b.redemption_id"
    " WHERE b.merchant_id = :merchant AND b.business_day = :day"
    " ORDER BY happened_at, id, what LIMIT :most"
)
_BY_FUNDER = text(
    "SELECT funder_id, sum(fen) AS fen FROM ("
    " SELECT (p->>'funder_id')::uuid AS funder_id, (p->>'cost_fen')::bigint AS fen"
    " FROM redemption r, jsonb_array_elements(r.payables) p"
    " WHERE r.merchant_id = :merchant AND r.business_day = :day"
    " UNION ALL SELECT (p->>'funder_id')::uuid, -(p->>'cost_fen')::bigint"
    " FROM redemption_reversal b JOIN redemption r ON r.id = b.redemption_id,"
    " jsonb_array_elements(r.payables) p WHERE b.merchant_id = :merchant AND b.business_day = :day"
    ") shares GROUP BY funder_id ORDER BY funder_id"
)
_COINS = text(
    "SELECT coalesce(-sum(amount), 0) FROM ledger_transfer WHERE contra_id = :account"
    " AND occurred_at >= :start AND occurred_at < :end"
)
_OWED = text(
    "SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE holder_id = :holder AND account_id = :account"
    " AND code IN ('PAYABLE', 'PAYABLE_REVERSAL') AND occurred_at >= :start AND occurred_at < :end"
)
