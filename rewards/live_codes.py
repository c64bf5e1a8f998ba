"""The codes a phone shows: twenty signed steps ahead, or one number to type.

A code id belongs to one use of one voucher; it is made at the exchange and at each reversal, so a
photograph of an earlier use is worthless. The number is kept as a digest, works once and for 60 s.
"""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text

from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.clock import business_day
from kernel.errors import NotFound, require
from kernel.publications.rules import asks_owner, offline_rule
from kernel.signing import Purpose
from rewards.errors import VoucherClosing, VoucherEnded, VoucherLocked, VoucherPastItsDay, VoucherRedeemed
from rewards.tables import VoucherCode
from rewards.voucher_codes import GRACE_S, ONLINE_ONLY, STEP_S, issue, steps
from rewards.voucher_states import LIVE, USED, State
from rewards.vouchers import Key

CODE_ID_LENGTH = 16
ALIAS_LIFE = timedelta(seconds=60)
ALIAS_PREFIX = "88"
"""No payment code begins so; a till can tell a voucher from a payment by two digits."""
ALIAS_RANDOM_DIGITS = 15
ALIAS_LENGTH = 18


@dataclass(frozen=True, kw_only=True)
class LiveCode:
    """One code and the instants between which a phone shows it."""

    text: str
    shown_from: datetime
    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class Alias:
    """Eighteen digits and when they lapse."""

    digits: str
    ends_at: datetime


def fresh_code_id() -> bytes:
    """Sixteen random bytes: what a code says instead of the voucher's id."""
    return os.urandom(CODE_ID_LENGTH)


def new_code_id(call: Call, key: Key, *, region_id: str, cycle: int) -> None:
    """Give a use of the voucher its own random code id; older ones are known as old from now on."""
    values: dict[str, Any] = {
        "code_id": fresh_code_id(),
        "holder_id": key.holder_id,
        "voucher_id": key.voucher_id,
        "region_id": region_id,
        "cycle": cycle,
        "issued_at": call.now,
    }
    call.db.execute(insert(VoucherCode).values(values))


def live_codes(call: Call, voucher_id: UUID) -> list[LiveCode]:
    """The next ten minutes of codes of the calling citizen's voucher.

    They name the voucher's store where a rule lets terminals honour it without asking; what was handed out
    so is remembered with the voucher. Refuses, in this order: `NotFound`, `VoucherRedeemed`,
    `VoucherClosing`, `VoucherEnded`, `VoucherPastItsDay`, `VoucherLocked`.
    """
    voucher = _usable(call, voucher_id)
    ends, scope_no = steps(call.now, ends_at=voucher.ends_at), ONLINE_ONLY
    rule = None if voucher.scope_no is None else offline_rule(call, voucher.region_id, day=call.today)
    if rule is not None and voucher.cost_fen <= rule.face_fen and ends and not _asks(call, voucher, ends):
        # Locked and judged again: nothing is handed out of a voucher that ends meanwhile.
        call.db.execute(_LOCK, {"holder": voucher.holder_id, "voucher": voucher.id})
        voucher = _usable(call, voucher_id)
        scope_no = voucher.scope_no
        until = ends[-1] + timedelta(seconds=GRACE_S, hours=rule.sync_hours)
        call.db.execute(_HANDED_OUT, {"holder": voucher.holder_id, "voucher": voucher.id, "until": until})
    signer = call.keys.signer(call.db, Purpose.VOUCHER_CODE, now=call.now)
    return [
        LiveCode(
            text=issue(signer, code_id=bytes(voucher.code_id), scope_no=scope_no, not_after=not_after),
            shown_from=not_after - timedelta(seconds=STEP_S),
            not_after=not_after,
        )
        for not_after in ends
    ]


def new_alias(call: Call, voucher_id: UUID) -> Alias:
    """A fresh number to type, in place of the last one; refuses as `live_codes`."""
    voucher = _usable(call, voucher_id)
    number = ALIAS_PREFIX + f"{secrets.randbelow(10**ALIAS_RANDOM_DIGITS):0{ALIAS_RANDOM_DIGITS}d}"
    digits = number + check_digit(number)
    ends_at = min(call.now + ALIAS_LIFE, voucher.ends_at)
    values = {
        "holder": voucher.holder_id,
        "voucher": voucher.id,
        "region": voucher.region_id,
        "digest": alias_digest(digits),
        "cycle": voucher.cycle,
        "ends_at": ends_at,
    }
    call.db.execute(_ALIAS, values)
    return Alias(digits=digits, ends_at=ends_at)


def check_digit(digits: str) -> str:
    """Luhn's digit over `digits`: finds any single wrong digit and most swaps."""
    total = 0
    for place, letter in enumerate(reversed(digits)):
        value = int(letter) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def alias_digest(digits: str) -> bytes:
    """What is kept of a number to type."""
    return digest(canonical_bytes("voucher-alias/1", digits))


def _asks(call: Call, voucher: Row[Any], ends: list[datetime]) -> bool:
    """Whether its owner is asked before it is used while these codes last: no terminal can ask offline."""
    days = (call.today, business_day(ends[-1]))
    return asks_owner(call, voucher.region_id, cost_fen=voucher.cost_fen, days=days)


def _usable(call: Call, voucher_id: UUID) -> Row[Any]:
    values = {"holder": call.actor.known_id, "voucher": voucher_id}
    row = call.db.execute(_WITH_CODE_ID, values).one_or_none()
    if row is None:
        raise NotFound("no such voucher")
    require(row.state not in USED, VoucherRedeemed(cycle=row.cycle))
    if row.state == State.CLOSING:
        raise VoucherClosing(closes_at=row.closes_at.isoformat())
    require(row.state in LIVE, VoucherEnded(state=row.state))
    require(call.now < row.ends_at, VoucherPastItsDay())
    require(row.state == State.ISSUED or row.locked_until <= call.now, VoucherLocked())
    return row


_WITH_CODE_ID = text(
    "SELECT v.holder_id, v.id, v.region_id, v.state, v.cycle, v.scope_no, v.cost_fen, v.ends_at,"
    " v.locked_until, v.closes_at, c.code_id"
    " FROM voucher v JOIN voucher_code c"
    " ON c.holder_id = v.holder_id AND c.voucher_id = v.id AND c.cycle = v.cycle"
    " WHERE v.holder_id = :holder AND v.id = :voucher"
)
_LOCK = text("SELECT 1 FROM voucher WHERE holder_id = :holder AND id = :voucher FOR UPDATE")
_HANDED_OUT = text(
    "UPDATE voucher SET offline_until = greatest(offline_until, :until)"
    " WHERE holder_id = :holder AND id = :voucher"
)
_ALIAS = text(
    "INSERT INTO voucher_alias (holder_id, voucher_id, region_id, digits_digest, cycle, ends_at)"
    " VALUES (:holder, :voucher, :region, :digest, :cycle, :ends_at)"
    " ON CONFLICT (holder_id, voucher_id) DO UPDATE SET digits_digest = excluded.digits_digest,"
    " cycle = excluded.cycle, ends_at = excluded.ends_at, used_at = NULL"
)
