"""What a merchant honoured on one business day, line by line, with a digest anyone can make again.

Lines are redemptions, reversals and what funders bear of offline conflicts, under the day they were
booked; the same figures stand in the ledger as rows against the merchant's accounts, which reconciliation
compares. Figures and digest are made in one reading of all lines, however many: they speak of the same
moment, and only some lines are in memory.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.canonical import canonical_bytes
from kernel.clock import day_bounds
from kernel.paging import Page, PageRequest
from ledger.chart import Unit
from merchants.onboarding import known_merchant
from merchants.redemption import merchant_account

FIRST_LINES = 1000
"""So many lines stand in the statement itself; those that follow are read page by page."""
_AT_ONCE = 1000
_WHAT = ("redemption", "reversal", "conflict")


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """One redemption (+), reversal (-) or conflict that funders bear (+), in milli-coins and fen."""

    redemption_id: UUID
    """Of a conflict, its own id."""
    what: str
    store_id: UUID
    terminal_id: UUID
    coin_milli: int
    payable_fen: int
    happened_at: datetime

    @property
    def used_id(self) -> UUID | None:
        """The redemption it is about; None of a conflict."""
        return None if self.what == _WHAT[2] else self.redemption_id

    @property
    def conflict_id(self) -> UUID | None:
        """The conflict it is about; None of any other line."""
        return self.redemption_id if self.what == _WHAT[2] else None


@dataclass(frozen=True, kw_only=True)
class FunderTotal:
    """What one funder owes for the day, in fen."""

    funder_id: UUID
    payable_fen: int


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A day: how many lines, totals, who owes how much, and the digest, all over all lines.

    `lines` are the first of them in order; `next` continues with `more_lines`, None when these are all.
    """

    merchant_id: UUID
    day: date
    line_count: int
    lines: Sequence[StatementLine]
    next: str | None
    coin_milli: int
    payable_fen: int
    by_funder: Sequence[FunderTotal]
    digest: str


@dataclass
class _Totals:
    """What is counted while the lines pass by."""

    lines: int = 0
    coin_milli: int = 0
    payable_fen: int = 0
    owed: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, row: Row[Any]) -> None:
        self.lines += 1
        self.coin_milli += row.coin_milli
        self.payable_fen += row.payable_fen
        for share in row.payables:
            self.owed[share["funder_id"]] += -share["cost_fen"] if row.reversal == 1 else share["cost_fen"]

    def by_funder(self) -> list[FunderTotal]:
        return [FunderTotal(funder_id=UUID(who), payable_fen=fen) for who, fen in sorted(self.owed.items())]


def statement(call: Call, merchant_id: UUID, day: date, *, first: int = FIRST_LINES) -> Statement:
    """The statement of one merchant for one business day with its `first` lines; refuses `NotFound`."""
    known_merchant(call, merchant_id)
    totals, shown = _Totals(), list[StatementLine]()
    sha256 = hashlib.sha256(_head(merchant_id, day))
    values = {"merchant": merchant_id, "day": day}
    for row in call.db.execute(_ALL_LINES, values, execution_options={"yield_per": _AT_ONCE}):
        totals.add(row)
        sha256.update(_told(row))
        if len(shown) <= first:
            shown.append(_line(row))
    page = PageRequest(limit=first).page(shown, _binding(merchant_id, day), _position)
    return Statement(
        merchant_id=merchant_id,
        day=day,
        line_count=totals.lines,
        lines=page.items,
        next=page.next,
        coin_milli=totals.coin_milli,
        payable_fen=totals.payable_fen,
        by_funder=totals.by_funder(),
        digest=sha256.hexdigest(),
    )


def more_lines(call: Call, merchant_id: UUID, day: date, page: PageRequest) -> Page[StatementLine]:
    """Lines of a statement in their order, behind a cursor of it; refuses `NotFound`, `WrongCursor`."""
    known_merchant(call, merchant_id)
    binding = _binding(merchant_id, day)
    after, reversal = page.position(binding, UUID, int) or (None, None)
    values = {
        "merchant": merchant_id,
        "day": day,
        "after": after,
        "reversal": reversal,
        "most": page.limit + 1,
    }
    rows = call.db.execute(_FIRST_LINES if after is None else _LINES_AFTER, values)
    return page.page([_line(row) for row in rows], binding, _position)


def statement_digest(merchant_id: UUID, day: date, lines: Iterable[StatementLine]) -> bytes:
    """SHA-256 over the merchant, the day and every figure of every line, in order."""
    sha256 = hashlib.sha256(_head(merchant_id, day))
    for line in lines:
        sha256.update(_told(line))
    return sha256.digest()


def _head(merchant_id: UUID, day: date) -> bytes:
    return canonical_bytes("merchant-statement/2", merchant_id, day)


def _told(line: StatementLine | Row[Any]) -> bytes:
    return canonical_bytes(
        "merchant-statement-line/2",
        line.redemption_id,
        line.what,
        line.store_id,
        line.terminal_id,
        line.coin_milli,
        line.payable_fen,
        line.happened_at,
    )


def _line(row: Row[Any]) -> StatementLine:
    return StatementLine(
        redemption_id=row.redemption_id,
        what=row.what,
        store_id=row.store_id,
        terminal_id=row.terminal_id,
        coin_milli=row.coin_milli,
        payable_fen=row.payable_fen,
        happened_at=row.happened_at,
    )


def _binding(merchant_id: UUID, day: date) -> str:
    return f"statement/{merchant_id}/{day}"


def _position(line: StatementLine) -> list[str | int]:
    return [str(line.redemption_id), _WHAT.index(line.what)]


def in_ledger(call: Call, merchant_id: UUID, day: date) -> tuple[int, int]:
    """The same day from the ledger alone: (milli-coins received, fen owed)."""
    start, end = day_bounds(day)
    bounds = {"start": start, "end": end}
    coin = merchant_account(call, merchant_id, Unit.COIN)
    fen = merchant_account(call, merchant_id, Unit.CNY)
    coins = call.db.execute(_COINS, {"account": coin.id, **bounds}).scalar_one()
    owed = call.db.execute(_OWED, {"holder": merchant_id, "account": fen.id, **bounds}).scalar_one()
    return int(coins), int(owed)


_LINES = (
    f"SELECT id AS redemption_id, 0 AS reversal, '{_WHAT[0]}' AS what, store_id, terminal_id, coin_milli,"  # noqa: S608 - our own text
    " cost_fen AS payable_fen, payables, redeemed_at AS happened_at FROM redemption"
    " WHERE merchant_id = :merchant AND business_day = :day"
    f" UNION ALL SELECT r.id, 1, '{_WHAT[1]}', r.store_id, r.terminal_id, -r.coin_milli, -r.cost_fen,"
    " r.payables, b.reversed_at FROM redemption_reversal b JOIN redemption r ON r.id = b.redemption_id"
    " WHERE b.merchant_id = :merchant AND b.business_day = :day"
    f" UNION ALL SELECT id, 2, '{_WHAT[2]}', store_id, terminal_id, 0, cost_fen, payables, recorded_at"
    " FROM offline_conflict WHERE merchant_id = :merchant AND business_day = :day AND liable = 'funders'"
)
_ORDER = "happened_at, redemption_id, reversal"
_ALL_LINES = text(f"{_LINES} ORDER BY {_ORDER}")
_FIRST_LINES = text(f"{_LINES} ORDER BY {_ORDER} LIMIT :most")
_LINES_AFTER = text(
    f"WITH line AS ({_LINES}) SELECT * FROM line WHERE ({_ORDER}) > (SELECT {_ORDER} FROM line"  # noqa: S608 - our own text
    f" WHERE redemption_id = :after AND reversal = :reversal) ORDER BY {_ORDER} LIMIT :most"
)
_COINS = text(
    "SELECT coalesce(-sum(amount), 0) FROM ledger_transfer WHERE contra_id = :account"
    " AND occurred_at >= :start AND occurred_at < :end"
)
_OWED = text(
    "SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE holder_id = :holder AND account_id = :account"
    " AND code IN ('PAYABLE', 'PAYABLE_REVERSAL') AND occurred_at >= :start AND occurred_at < :end"
)
