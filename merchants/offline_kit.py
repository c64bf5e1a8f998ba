"""What a till takes along to judge without asking: keys, deny list, rule, and where its chain ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import require
from kernel.publications.rules import OfflineRule, offline_rule
from kernel.signing import Purpose, published_keys
from merchants.clerks.shifts import clerk_at_till
from merchants.errors import OfflineNotAllowed, TerminalWithoutKey
from merchants.offline_records import NO_RECORD
from merchants.terminals import calling_terminal

LIST_AGE = timedelta(days=7)
"""How old keys and deny list may be; a key that was revoked since is believed no longer than this."""
MOST_DENIED = 10_000


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What the till keeps until it sees the server again."""

    terminal_id: UUID
    scope_no: int
    server_time: datetime
    accept_until: datetime
    keys: Sequence[dict[str, Any]]
    deny: Sequence[str]
    rule: OfflineRule
    counter: int
    chain_hash: str


@dataclass(frozen=True)
class ChainEnd:
    """The last record the server has of a till."""

    counter: int
    record_hash: bytes


def kit(call: Call) -> Kit:
    """The calling till's kit of this moment; where a store asks for a clerk, to a till with one at it.

    Refuses, in this order: `TerminalNotPaired`, `ShiftOver`, `ClerkNeeded`, `TerminalWithoutKey`,
    `OfflineNotAllowed`.
    """
    terminal = calling_terminal(call)
    clerk_at_till(call)
    require(terminal_key(call, terminal.id) is not None, TerminalWithoutKey())
    rule = offline_rule(call, terminal.region_id, day=call.today)
    if rule is None:
        raise OfflineNotAllowed
    end = chain_end(call, terminal.id)
    # A code is worthless for good once its step and grace are over; `sync_hours` more is what records have.
    values = {
        "scope": terminal.scope_no,
        "since": call.now + timedelta(hours=rule.sync_hours),
        "most": MOST_DENIED,
    }
    return Kit(
        terminal_id=terminal.id,
        scope_no=terminal.scope_no,
        server_time=call.now,
        accept_until=call.now + LIST_AGE,
        keys=published_keys(call.db, Purpose.VOUCHER_CODE, now=call.now),
        deny=[bytes(code_id).hex() for code_id in call.db.scalars(_DENIED, values)],
        rule=rule,
        counter=end.counter,
        chain_hash=end.record_hash.hex(),
    )


def terminal_key(call: Call, terminal_id: UUID) -> bytes | None:
    """The public key that the till made when it was paired."""
    found = call.db.execute(_KEY, {"terminal": terminal_id}).scalar_one()
    return None if found is None else bytes(found)


def chain_end(call: Call, terminal_id: UUID) -> ChainEnd:
    """Where the till's chain ends here; counter 0 and zero bytes before its first record."""
    row = call.db.execute(_END, {"terminal": terminal_id}).one_or_none()
    if row is None:
        return ChainEnd(0, NO_RECORD)
    return ChainEnd(row.counter, bytes(row.record_hash))


_KEY = text("SELECT public_key FROM terminal WHERE id = :terminal")
_END = text(
    "SELECT counter, record_hash FROM offline_record WHERE terminal_id = :terminal"
    " ORDER BY counter DESC LIMIT 1"
)
# Codes of this store that a phone may still show although their use is over.
_DENIED = text(
    "SELECT c.code_id FROM voucher v JOIN voucher_code c"
    " ON c.holder_id = v.holder_id AND c.voucher_id = v.id"
    " WHERE v.scope_no = :scope AND v.offline_until > :since"
    " AND (c.cycle < v.cycle OR v.state NOT IN ('issued', 'locked'))"
    " ORDER BY v.offline_until DESC, c.code_id LIMIT :most"
)
