"""What a holder sees: balances as of today, when coins end, and the lines behind them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.paging import Page, PageRequest
from ledger.chart import Code, Kind, Unit


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Milli-coins that end on a day unless they are spent before; first invalid day."""

    expires_on: date
    amount: int


@dataclass(frozen=True, kw_only=True)
class Balance:
    """One account today: `available` leaves out what is held and what has ended but is not posted yet."""

    account_id: int
    kind: Kind
    unit: Unit
    validity_class: str
    posted: int
    held: int
    available: int
    frozen: bool
    schedule: tuple[Ending, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One transfer as its holder reads it."""

    transfer_id: int
    account_id: int
    unit: Unit
    validity_class: str
    code: Code
    amount: int
    reference: str
    reverses_id: int | None
    expires_on: date | None
    occurred_at: datetime
    recorded_at: datetime


def balances(call: Call, holder_id: UUID) -> list[Balance]:
    """The holder's guarded accounts with their expiry schedule, in account order."""
    values = {"holder": holder_id, "today": call.today}
    return [_balance(row, today=call.today) for row in call.db.execute(_BALANCES, values)]


def _balance(row: Row[Any], *, today: date) -> Balance:
    free = row.posted - row.held
    buckets = list(zip(row.days, row.credits, strict=True))
    return Balance(
        account_id=row.id,
        kind=Kind(row.kind),
        unit=Unit(row.unit),
        validity_class=row.validity_class,
        posted=row.posted,
        held=row.held,
        # Only coins end; kilograms have no buckets and no day.
        available=free - (expirable(free, buckets, on=today) if row.unit == Unit.COIN else 0),
        frozen=row.frozen,
        schedule=schedule(free, buckets, today=today),
    )


def expirable(available: int, buckets: list[tuple[date, int]], *, on: date) -> int:
    """Coins that have ended by `on`: what is available beyond all buckets that end later.

    Equal to first-expiring-first-out lots (`ledger.md`, Expiry); buckets are (expires_on, credited).
    """
    return max(0, available - sum(credited for day, credited in buckets if day > on))


def schedule(available: int, buckets: list[tuple[date, int]], *, today: date) -> tuple[Ending, ...]:
    """How many coins end on each coming day if nothing is spent."""
    rest = available - expirable(available, buckets, on=today)
    endings = []
    for day in sorted(day for day, _ in buckets if day > today):
        ending = expirable(rest, buckets, on=day)
        rest -= ending
        if ending:
            endings.append(Ending(expires_on=day, amount=ending))
    return tuple(endings)


def lines(call: Call, holder_id: UUID, page: PageRequest) -> Page[Line]:
    """The holder's transfers, newest first."""
    binding = f"lines/{holder_id}"
    position = page.position(binding, int)
    rows = call.db.execute(
        _LINES,
        {
            "holder": holder_id,
            "before": position[0] if position else 2**63 - 1,
            "most": page.limit + 1,
        },
    ).all()
    found = [
        Line(
            transfer_id=row.id,
            account_id=row.account_id,
            unit=Unit(row.unit),
            validity_class=row.validity_class,
            code=Code(row.code),
            amount=row.amount,
            reference=row.reference,
            reverses_id=row.reverses_id,
            expires_on=row.expires_on,
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
        for row in rows
    ]
    return page.page(found, binding, lambda line: [line.transfer_id])


# One statement, so that a balance and its buckets are of one moment. What has ended bears on nothing now:
# so a balance costs the same after any number of years.
_BALANCES = text(
    "SELECT a.id, a.kind, a.unit, a.validity_class, b.posted, b.held, b.frozen, k.days, k.credits"
    " FROM ledger_account a JOIN ledger_balance b ON b.holder_id = a.holder_id AND b.account_id = a.id"
    " CROSS JOIN LATERAL (SELECT coalesce(array_agg(c.expires_on), '{}') AS days,"
    "  coalesce(array_agg(c.credited), '{}') AS credits FROM coin_bucket c"
    "  WHERE c.holder_id = a.holder_id AND c.account_id = a.id AND c.expires_on > :today) k"
    " WHERE a.holder_id = :holder ORDER BY a.id"
)
# One short descending scan of the key, whatever accounts the holder has: a page costs the same at any age.
# The accounts are few and read once; joined directly, they were looked up anew for each line.
_LINES = text(
    "WITH own AS MATERIALIZED (SELECT id, unit, validity_class FROM ledger_account WHERE holder_id = :holder)"
    " SELECT t.id, t.account_id, t.code, t.amount, t.reference, t.reverses_id, t.expires_on, t.occurred_at,"
    " t.recorded_at, own.unit, own.validity_class FROM"
    " (SELECT * FROM ledger_transfer WHERE holder_id = :holder AND id < :before"
    "  ORDER BY id DESC LIMIT :most) t JOIN own ON own.id = t.account_id ORDER BY t.id DESC"
)
