"""A clerk's shift at a till: opened with number and PIN, ended by sign-out, another sign-in, or its hours.

The shift's secret is worth something only behind the till's own: `Bearer <till's secret>.<shift's secret>`.
One clerk stands at one till, and at a till one clerk: a second sign-in of either ends the first, so a login
that is shared shows. Locks go till, clerk, shifts.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import Refusal, require
from kernel.identifiers import new_id, public_id
from merchants.clerks.errors import ClerkNeeded, ClerkUnlinked, ManagerNeeded, OwnVoucher, PinWrong, ShiftOver
from merchants.clerks.pin_attempts import pin_refused
from merchants.clerks.roster import CLERK
from merchants.errors import TerminalNotPaired
from merchants.terminals import TERMINAL, calling_terminal

SHIFT_PREFIX = "tps_"
SHIFT_BYTES = 32
LONGEST_SHIFT = timedelta(hours=12)
MANAGER = "manager"


@dataclass(frozen=True, kw_only=True)
class Shift:
    """An open shift; `token` is given once and sent behind the till's own secret, with a dot between."""

    clerk_id: UUID
    number: str
    role: str
    token: str
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class ClerkAtTill:
    """Who signed in at a till."""

    clerk_id: UUID
    is_manager: bool
    citizen_id: UUID | None


def sign_in(call: Call, *, number: str, pin: str) -> Shift | Refusal:
    """Open a shift at the calling till, in place of its last one and of the clerk's last one.

    Raises `TerminalNotPaired`. Gives back, so that the try stays counted, in this order: `PinWrong` (also of
    a number nobody has: numbers of clerks are no secrets), `PinBlocked`, `TooManyPins`, `ClerkUnlinked`.
    """
    terminal = calling_terminal(call)
    if call.db.execute(_LOCK_TILL, {"terminal": terminal.id}).one_or_none() is None:
        raise TerminalNotPaired
    named = {"merchant": terminal.merchant_id, "number": number, "store": terminal.store_id}
    clerk = call.db.execute(_NAMED, named).one_or_none()
    if clerk is None:
        return PinWrong()
    refusal = pin_refused(call, clerk.id, pin=pin)
    if refusal is not None:
        return refusal
    if clerk.linked_clerks_only and clerk.citizen_id is None:
        return ClerkUnlinked()
    return _open(call, terminal.id, clerk)


def known_shift(session: Session, terminal_id: UUID, token: str) -> Row[tuple[object, ...]] | None:
    """The open shift of a till that has this secret; what the door asks. Its hours are judged inside."""
    if not token.startswith(SHIFT_PREFIX):
        return None
    return session.execute(_BY_TOKEN, {"terminal": terminal_id, "token": shift_digest(token)}).one_or_none()


def sign_out(call: Call) -> None:
    """End the shift behind the call; without one nothing is to end."""
    if call.actor.shift_id is None or call.actor.clerk_id is None:
        return
    call.db.execute(_SIGN_OUT, {"shift": call.actor.shift_id, "now": call.now})
    _told(call, "shift.ended", call.actor.clerk_id, call.actor.known_id)


def clerk_at_till(call: Call, *, manager: bool = False, needed: bool = False) -> ClerkAtTill | None:
    """Who stands at the calling till now; None where nobody signed in and nobody must.

    `needed` asks for somebody whatever the store asks; `manager` for a manager. Refuses, in this order:
    `TerminalNotPaired`, `ShiftOver`, `ClerkNeeded`, `ManagerNeeded`.
    """
    values = {"terminal": call.actor.known_id, "shift": call.actor.shift_id, "now": call.now}
    row = call.db.execute(_AT_TILL, values).one_or_none()
    if row is None:
        raise TerminalNotPaired
    if row.clerk_id is None:
        require(call.actor.shift_id is None, ShiftOver())
        require(not (row.clerk_required or needed or manager), ClerkNeeded())
        return None
    require(row.role == MANAGER or not manager, ManagerNeeded())
    return ClerkAtTill(clerk_id=row.clerk_id, is_manager=row.role == MANAGER, citizen_id=row.citizen_id)


def require_another(clerk: ClerkAtTill | None, owner: UUID) -> None:
    """Refuses `OwnVoucher` where the clerk is known to be its owner."""
    require(clerk is None or clerk.citizen_id != owner, OwnVoucher())


def _open(call: Call, terminal_id: UUID, clerk: Row[tuple[object, ...]]) -> Shift:
    token = SHIFT_PREFIX + secrets.token_urlsafe(SHIFT_BYTES)
    values = {
        "id": new_id(),
        "region": call.region,
        "clerk": clerk.id,
        "terminal": terminal_id,
        "token": shift_digest(token),
        "now": call.now,
        "ends": call.now + LONGEST_SHIFT,
    }
    call.db.execute(_REPLACE, values)
    call.db.execute(_OPEN, values)
    _told(call, "shift.begun", clerk.id, terminal_id)
    return Shift(
        clerk_id=clerk.id, number=clerk.number, role=clerk.role, token=token, ends_at=call.now + LONGEST_SHIFT
    )


def shift_digest(token: str) -> bytes:
    """What is kept of a shift's secret."""
    return digest(canonical_bytes("clerk-shift/1", token))


def _told(call: Call, action: str, clerk_id: UUID, terminal_id: UUID) -> None:
    audit(call, action, subject=public_id(CLERK, clerk_id), terminal=public_id(TERMINAL, terminal_id))


_BY_TOKEN = text(
    "SELECT id, clerk_id FROM clerk_shift"
    " WHERE token_digest = :token AND terminal_id = :terminal AND ended_at IS NULL"
)
_LOCK_TILL = text("SELECT 1 FROM terminal WHERE id = :terminal AND state = 'paired' FOR NO KEY UPDATE")
_NAMED = text(
    "SELECT c.id, c.number, c.role, c.citizen_id, s.linked_clerks_only FROM clerk c, store s"
    " WHERE c.merchant_id = :merchant AND c.number = :number AND c.dismissed_at IS NULL AND s.id = :store"
)
# In the order of their ids, so that two who replace each other's shifts do not wait for each other.
_REPLACE = text(
    "UPDATE clerk_shift SET ended_at = :now, end_cause = 'replaced' WHERE id IN (SELECT id FROM clerk_shift"
    " WHERE (terminal_id = :terminal OR clerk_id = :clerk) AND ended_at IS NULL ORDER BY id FOR UPDATE)"
)
_OPEN = text(
    "INSERT INTO clerk_shift (id, region_id, clerk_id, terminal_id, token_digest, started_at, ends_at)"
    " VALUES (:id, :region, :clerk, :terminal, :token, :now, :ends)"
)
_SIGN_OUT = text(
    "UPDATE clerk_shift SET ended_at = :now, end_cause = 'signed_out' WHERE id = :shift AND ended_at IS NULL"
)
_AT_TILL = text(
    "SELECT s.clerk_required, h.clerk_id, c.role, c.citizen_id FROM terminal t"
    " JOIN store s ON s.id = t.store_id"
    " LEFT JOIN clerk_shift h ON h.id = CAST(:shift AS uuid) AND h.terminal_id = t.id AND h.ended_at IS NULL"
    " AND h.ends_at > :now LEFT JOIN clerk c ON c.id = h.clerk_id"
    " WHERE t.id = :terminal AND t.state = 'paired'"
)
