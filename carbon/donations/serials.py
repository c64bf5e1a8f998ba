"""Every milligram of a region's pool has a serial: given once, shared out or withdrawn once, never both.

Gifts are numbered without a gap in the order in which they come; shares take the oldest that is left. The
region's book is locked by whoever numbers, shares out or withdraws, so they come one after the other; two
exclusion constraints stand behind it.

Lock order: project, the donor's balance, the book, the pool's balance, citizens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text

from carbon.donations.errors import SerialUnknown
from carbon.donations.tables import Donation, PoolLot, PoolSerialUse, PoolShare
from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.tenancy import known_region
from kernel.units import INT64_MAX


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Serials of one donation, both ends counted."""

    donation_id: UUID
    first_serial: int
    last_serial: int

    @property
    def carbon_mg(self) -> int:
        """One milligram a serial."""
        return self.last_serial - self.first_serial + 1


@dataclass(frozen=True, kw_only=True)
class SerialFound:
    """What became of one serial: `waiting` in the pool, `shared` with a citizen, or `withdrawn`."""

    region: str
    serial: int
    piece: Piece
    state: str
    allocation_id: UUID | None


def open_book(call: Call, region_id: str) -> None:
    """Lock the region's book: until the end of this unit nobody else numbers, shares out or withdraws."""
    call.db.execute(_OPEN, {"region": region_id})
    call.db.execute(_LOCK, {"region": region_id}).one()


def number(call: Call, donation: Donation) -> Piece:
    """Give a donation that is being made its serials, the next of its region, and shelve them as a lot."""
    last = call.db.execute(_NUMBER, {"region": donation.region_id, "mg": donation.carbon_mg}).scalar_one()
    first = last - donation.carbon_mg + 1
    return Piece(donation_id=donation.id, first_serial=first, last_serial=last)


def shelve(call: Call, piece: Piece, *, region_id: str) -> None:
    """Make the lot of a numbered donation, whose row stands."""
    call.db.add(
        PoolLot(
            donation_id=piece.donation_id,
            region_id=region_id,
            first_serial=piece.first_serial,
            last_serial=piece.last_serial,
            next_serial=piece.first_serial,
        )
    )
    call.db.flush()  # the next allocation of this unit reads it by SQL


def give_out(call: Call, region_id: str, shares: Sequence[PoolShare]) -> None:
    """Take each share's serials from the oldest lots. The book is open and the ledger moved the kilograms."""
    if not shares:
        return
    wanted = sum(share.carbon_mg for share in shares)
    lots = [
        Piece(donation_id=row.donation_id, first_serial=row.next_serial, last_serial=row.last_serial)
        for row in call.db.execute(_OPEN_LOTS, {"region": region_id, "wanted": wanted})
    ]
    rows, used = _cut(lots, shares)
    for lot, taken in used:
        values = {"donation": lot.donation_id, "seen": lot.first_serial, "taken": taken}
        if call.db.execute(_TAKE, values).rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
            raise BrokenInvariant("a lot was given out past the book")
    call.db.flush()  # the uses' foreign key needs the shares' rows
    call.db.execute(insert(PoolSerialUse), [{"region_id": region_id, **row} for row in rows])


def take_back(call: Call, donation_id: UUID) -> Piece | None:
    """End a donation's lot and return what nobody got of it; None where nothing is left or it has ended.

    The book is open.
    """
    row = call.db.execute(_WITHDRAW, {"donation": donation_id, "now": call.now}).one_or_none()
    if row is None:
        return None
    piece = Piece(donation_id=donation_id, first_serial=row.next_serial, last_serial=row.last_serial)
    call.db.execute(
        insert(PoolSerialUse),
        {
            "region_id": row.region_id,
            "first_serial": piece.first_serial,
            "last_serial": piece.last_serial,
            "donation_id": donation_id,
        },
    )
    return piece


def lot_of(call: Call, donation_id: UUID) -> PoolLot:
    """The lot of a donation that stands."""
    return call.db.get_one(PoolLot, donation_id, populate_existing=True)


def pieces_of(call: Call, citizen_id: UUID, allocation_id: UUID) -> list[Piece]:
    """The serials a share was made of, in their order."""
    uses = call.db.scalars(
        select(PoolSerialUse)
        .where(PoolSerialUse.citizen_id == citizen_id, PoolSerialUse.allocation_id == allocation_id)
        .order_by(PoolSerialUse.first_serial)
    )
    return [
        Piece(donation_id=use.donation_id, first_serial=use.first_serial, last_serial=use.last_serial)
        for use in uses
    ]


def parse_serial(written: str) -> int:
    """A serial out of an address, in plain digits; refuses SerialUnknown."""
    if not re.fullmatch("[1-9][0-9]{0,18}", written) or int(written) > INT64_MAX:
        raise SerialUnknown
    return int(written)


def find_serial(call: Call, region_id: str, serial: int) -> SerialFound:
    """What became of a serial, with its neighbours; refuses NotFound (region), SerialUnknown."""
    known_region(call.db, region_id)
    row = call.db.execute(_FIND, {"region": region_id, "serial": serial}).one_or_none()
    if row is None:
        raise SerialUnknown(region=region_id, serial=serial)
    piece = Piece(donation_id=row.donation_id, first_serial=row.first_serial, last_serial=row.last_serial)
    return SerialFound(
        region=region_id, serial=serial, piece=piece, state=row.state, allocation_id=row.allocation_id
    )


def _cut(
    lots: Sequence[Piece], shares: Sequence[PoolShare]
) -> tuple[list[dict[str, Any]], list[tuple[Piece, int]]]:
    """Each share's serials from the front of the lots, and how many of each lot that uses."""
    rows: list[dict[str, Any]] = []
    used = [0] * len(lots)
    at = 0
    for share in shares:
        missing = share.carbon_mg
        while missing:
            if at == len(lots):
                raise BrokenInvariant("the pool holds more than its lots")
            lot = lots[at]
            taken = min(missing, lot.carbon_mg - used[at])
            first = lot.first_serial + used[at]
            rows.append(
                {
                    "first_serial": first,
                    "last_serial": first + taken - 1,
                    "donation_id": lot.donation_id,
                    "citizen_id": share.citizen_id,
                    "allocation_id": share.allocation_id,
                }
            )
            missing -= taken
            used[at] += taken
            at += used[at] == lot.carbon_mg
    return rows, [(lot, taken) for lot, taken in zip(lots, used, strict=True) if taken]


_OPEN = text("INSERT INTO pool_book (region_id, numbered) VALUES (:region, 0) ON CONFLICT DO NOTHING")
_LOCK = text("SELECT numbered FROM pool_book WHERE region_id = :region FOR UPDATE")
_NUMBER = text(
    "INSERT INTO pool_book AS b (region_id, numbered) VALUES (:region, :mg)"
    " ON CONFLICT (region_id) DO UPDATE SET numbered = b.numbered + excluded.numbered RETURNING numbered"
)
_OPEN_LOTS = text(
    "SELECT donation_id, next_serial, last_serial FROM (SELECT l.*,"
    " sum(last_serial - next_serial + 1) OVER (ORDER BY first_serial) - (last_serial - next_serial + 1)"
    " AS before FROM pool_lot l WHERE region_id = :region AND withdrawn_at IS NULL"
    " AND next_serial <= last_serial) o WHERE before < :wanted ORDER BY first_serial"
)
_TAKE = text(
    "UPDATE pool_lot SET next_serial = next_serial + :taken WHERE donation_id = :donation"
    " AND next_serial = :seen AND next_serial + :taken <= last_serial + 1 AND withdrawn_at IS NULL"
)
_WITHDRAW = text(
    "UPDATE pool_lot SET withdrawn_at = :now WHERE donation_id = :donation AND withdrawn_at IS NULL"
    " AND next_serial <= last_serial RETURNING region_id, next_serial, last_serial"
)
_FIND = text(
    "SELECT l.donation_id, coalesce(u.first_serial, l.next_serial) AS first_serial,"
    " coalesce(u.last_serial, l.last_serial) AS last_serial, u.allocation_id, CASE WHEN u.region_id IS NULL"
    " THEN 'waiting' WHEN u.allocation_id IS NULL THEN 'withdrawn' ELSE 'shared' END AS state FROM pool_lot l"
    " LEFT JOIN pool_serial_use u ON u.region_id = l.region_id"
    " AND int8range(u.first_serial, u.last_serial, '[]') @> CAST(:serial AS bigint)"
    " WHERE l.region_id = :region"
    " AND int8range(l.first_serial, l.last_serial, '[]') @> CAST(:serial AS bigint)"
)
