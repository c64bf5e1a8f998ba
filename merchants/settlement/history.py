"""What a merchant honoured: redemption by redemption, and totals by store, terminal, clerk or day.

A reversal counts under the day it happened on, as in the statement of that day.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from kernel.call import Call
from kernel.errors import InvalidField, require
from kernel.paging import Page, PageRequest
from merchants.onboarding import known_merchant

GROUPS = ("day", "store", "terminal", "clerk")
LONGEST = timedelta(days=366)
_NOBODY = UUID(int=0)
_COLUMNS = {"day": "business_day", "store": "store_id", "terminal": "terminal_id", "clerk": "clerk_id"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which redemptions; what is None is not asked."""

    store: UUID | None = None
    terminal: UUID | None = None
    clerk: UUID | None = None
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """A redemption, its reversal and its settlement, if there are."""

    redemption_id: UUID
    store_id: UUID
    terminal_id: UUID
    clerk_id: UUID | None
    business_day: date
    redeemed_at: datetime
    coin_milli: int
    payable_fen: int
    reversible_until: datetime
    reversed_at: datetime | None
    settlement_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class Total:
    """What one store, terminal, clerk or day came to; of the four names one is told."""

    redemptions: int
    reversals: int
    coin_milli: int
    payable_fen: int
    day: date | None = None
    store_id: UUID | None = None
    terminal_id: UUID | None = None
    clerk_id: UUID | None = None


def history(call: Call, merchant_id: UUID, wanted: Wanted, page: PageRequest) -> Page[Use]:
    """A merchant's redemptions, newest day first; refuses `NotFound`, `WrongCursor`."""
    known_merchant(call, merchant_id)
    binding = f"redemptions/{merchant_id}/{wanted}"
    day, last = page.position(binding, int, UUID) or (None, None)
    values = {
        "merchant": merchant_id,
        **vars(wanted),
        "before_day": None if day is None else _day(day),
        "before": last,
        "most": page.limit + 1,
    }
    found = [Use(**row._mapping) for row in call.db.execute(_HISTORY, values)]  # noqa: SLF001 - SQLAlchemy's public name
    return page.page(found, binding, lambda use: [use.business_day.toordinal(), str(use.redemption_id)])


def totals(
    call: Call,
    merchant_id: UUID,
    page: PageRequest,
    *,
    by: str,
    first_day: date | None = None,
    last_day: date | None = None,
) -> Page[Total]:
    """Totals of at most a year and a day, today's month where no days are named.

    Refuses, in this order: `NotFound`, `InvalidField` (what it is by, the days), `WrongCursor`.
    """
    known_merchant(call, merchant_id)
    require(by in GROUPS, InvalidField(f"one of {', '.join(GROUPS)}", pointer="/query/by"))
    last = last_day or call.today
    first = first_day or last.replace(day=1)
    short = timedelta() <= last - first <= LONGEST
    require(short, InvalidField(f"at most {LONGEST.days} days, in order", pointer="/query/last_day"))
    binding = f"totals/{merchant_id}/{by}/{first}/{last}"
    kind: type[UUID | int] = int if by == "day" else UUID
    position = page.position(binding, kind)
    values = {
        "merchant": merchant_id,
        "first": first,
        "last": last,
        "after": None if position is None else _after(position[0]),
        "most": page.limit + 1,
    }
    rows = call.db.execute(_TOTALS[by], values).all()
    paged = page.page(rows, binding, lambda row: [_key(row.key)])
    return Page([_total(row, by) for row in paged.items], paged.next)


def _day(ordinal: int) -> date:
    return date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))


def _after(position: UUID | int) -> date | UUID:
    return _day(position) if isinstance(position, int) else position


def _key(key: date | UUID) -> str | int:
    return key.toordinal() if isinstance(key, date) else str(key)


def _total(row: Row[Any], by: str) -> Total:
    key = None if row.key == _NOBODY else row.key
    return Total(
        redemptions=row.redemptions,
        reversals=row.reversals,
        coin_milli=int(row.coin_milli),
        payable_fen=int(row.payable_fen),
        day=key if by == "day" else None,
        store_id=key if by == "store" else None,
        terminal_id=key if by == "terminal" else None,
        clerk_id=key if by == "clerk" else None,
    )


_HISTORY = text(
    "SELECT r.id AS redemption_id, r.store_id, r.terminal_id, r.clerk_id, r.business_day, r.redeemed_at,"
    " r.coin_milli, r.cost_fen AS payable_fen, r.reversible_until, b.reversed_at, l.settlement_id"
    " FROM redemption r LEFT JOIN redemption_reversal b ON b.redemption_id = r.id"
    " LEFT JOIN settlement_line l ON l.subject_id = r.id AND l.what = 'redemption'"
    " WHERE r.merchant_id = :merchant"
    " AND (CAST(:store AS uuid) IS NULL OR r.store_id = CAST(:store AS uuid))"
    " AND (CAST(:terminal AS uuid) IS NULL OR r.terminal_id = CAST(:terminal AS uuid))"
    " AND (CAST(:clerk AS uuid) IS NULL OR r.clerk_id = CAST(:clerk AS uuid))"
    " AND (CAST(:first_day AS date) IS NULL OR r.business_day >= CAST(:first_day AS date))"
    " AND (CAST(:last_day AS date) IS NULL OR r.business_day <= CAST(:last_day AS date))"
    " AND (CAST(:before AS uuid) IS NULL OR (r.business_day, r.id)"
    "  < (CAST(:before_day AS date), CAST(:before AS uuid)))"
    " ORDER BY r.business_day DESC, r.id DESC LIMIT :most"
)


def _totals_by(column: str, kind: str) -> TextClause:
    """Both sides are booked on their own day; nobody's clerk is the zero id."""
    of_use = "u.business_day" if column == "business_day" else f"coalesce(u.{column}, '{_NOBODY}')"
    return text(
        f"SELECT {of_use} AS key, count(*) FILTER (WHERE u.sign = 1) AS redemptions,"  # noqa: S608 - our own columns
        " count(*) FILTER (WHERE u.sign = -1) AS reversals, sum(u.sign * u.coin_milli) AS coin_milli,"
        " sum(u.sign * u.cost_fen) AS payable_fen FROM (SELECT 1 AS sign, business_day, store_id,"
        " terminal_id, clerk_id, coin_milli, cost_fen FROM redemption WHERE merchant_id = :merchant"
        " AND business_day BETWEEN :first AND :last"
        " UNION ALL SELECT -1, b.business_day, r.store_id, r.terminal_id, r.clerk_id, r.coin_milli,"
        " r.cost_fen FROM redemption_reversal b JOIN redemption r ON r.id = b.redemption_id"
        " WHERE b.merchant_id = :merchant AND b.business_day BETWEEN :first AND :last) u"
        f" WHERE CAST(:after AS {kind}) IS NULL OR {of_use} > CAST(:after AS {kind})"
        " GROUP BY 1 ORDER BY 1 LIMIT :most"
    )


_TOTALS = {name: _totals_by(column, "date" if name == "day" else "uuid") for name, column in _COLUMNS.items()}
