"""Tills: a one-time pairing code becomes a secret that only the till knows, until it is revoked.

Pairing code and secret are random and stand here as digests. Both are long enough that a plain
SHA-256 hides them; a lost till is revoked, never renamed. So where a till stands and who is paid there
never changes, only whether it is still paired: the facts read at the door may be used again, and
whoever uses them reads the standing again in the transaction that writes.
"""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import TextClause, text, update
from sqlalchemy.orm import Session

from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from ledger.accounts import Account
from ledger.chart import Kind, Unit
from merchants.errors import PairingCodeWrong, TerminalKeyWrong, TerminalNotPaired
from merchants.tables import Store, Terminal

TERMINAL = "trm"
TOKEN_PREFIX = "tpt_"  # noqa: S105 - the mark of a terminal's secret, not a secret
TOKEN_BYTES = 32
PAIRING_LIFE = timedelta(minutes=15)
PAIRING_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRING_LENGTH = 12
MOST_REMEMBERED = 100_000
_HEX_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """A code to type at a new till, shown once."""

    terminal_id: UUID
    code: str
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The till's id and its secret, given once."""

    terminal_id: UUID
    token: str


@dataclass(frozen=True, kw_only=True)
class KnownTerminal:
    """A paired till: where it stands, for whom, and the accounts on which its merchant is paid."""

    id: UUID
    region_id: str
    merchant_id: UUID
    store_id: UUID
    scope_no: int
    coin_account: Account
    yuan_account: Account
    clerk_id: UUID | None = None
    shift_id: UUID | None = None
    """Who signed in at it, where the caller came with a shift."""


def new_terminal(call: Call, store_id: UUID, *, label: str) -> Pairing:
    """Make a till that waits for its pairing code; refuses `NotFound`."""
    store = call.db.get(Store, store_id)
    if store is None or store.region_id != call.region:
        raise NotFound("no such store")
    code = "".join(secrets.choice(PAIRING_LETTERS) for _ in range(PAIRING_LENGTH))
    terminal = Terminal(
        id=new_id(),
        region_id=store.region_id,
        merchant_id=store.merchant_id,
        store_id=store.id,
        label=label,
        state="waiting",
        pairing_digest=_digest("terminal-pairing/1", code),
        pairing_ends_at=call.now + PAIRING_LIFE,
        created_at=call.now,
    )
    call.db.add(terminal)
    call.db.flush()  # the code may be used in the same unit of work
    audit(call, "terminal.added", subject=public_id(TERMINAL, terminal.id))
    return Pairing(terminal_id=terminal.id, code=code, ends_at=terminal.pairing_ends_at)


def pair(call: Call, code: str, *, public_key: str | None = None) -> Paired:
    """Turn a pairing code into the till's secret, once.

    `public_key`: 64 hexadecimal characters of an Ed25519 key made on the till. Refuses, in this order:
    `TerminalKeyWrong`, `PairingCodeWrong`.
    """
    key = None if public_key is None else _key(public_key)
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    paired = call.db.execute(
        update(Terminal)
        .where(
            Terminal.pairing_digest == _digest("terminal-pairing/1", code.strip().upper()),
            Terminal.state == "waiting",
            Terminal.pairing_ends_at > call.now,
        )
        .values(state="paired", token_digest=_token_digest(token), public_key=key, paired_at=call.now)
        .returning(Terminal.id)
    ).scalar_one_or_none()
    if paired is None:
        raise PairingCodeWrong
    audit(call, "terminal.paired", subject=public_id(TERMINAL, paired))
    return Paired(terminal_id=paired, token=token)


def revoke(call: Call, terminal_id: UUID, *, reason: str) -> None:
    """Refuse a till from now on; revoking twice changes nothing. Refuses `NotFound`."""
    terminal = call.db.get(Terminal, terminal_id)
    if terminal is None or terminal.region_id != call.region:
        raise NotFound("no such terminal")
    call.db.execute(
        update(Terminal)
        .where(Terminal.id == terminal_id, Terminal.state != "revoked")
        .values(state="revoked", revoked_at=call.now)
    )
    call.db.execute(_END_SHIFTS, {"terminal": terminal_id, "now": call.now})
    audit(call, "terminal.revoked", subject=public_id(TERMINAL, terminal_id), reason=reason)


def terminal_by_token(session: Session, token: str) -> KnownTerminal | None:
    """The paired till that holds this secret, or None; what the door asks before it makes an actor."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    found = _known(session, _BY_TOKEN, {"token": _token_digest(token)})
    if found is not None:
        if len(_seen_at_door) >= MOST_REMEMBERED:
            _seen_at_door.clear()
        _seen_at_door[found.id] = found
    return found


def calling_terminal(call: Call) -> KnownTerminal:
    """The till behind the call, still paired; refuses `TerminalNotPaired`."""
    found = _known(call.db, _BY_ID, {"id": call.actor.known_id})
    if found is None:
        raise TerminalNotPaired
    return found


def terminal_at_door(call: Call) -> KnownTerminal:
    """The till behind the call as the door knows it; whether it is paired still is asked with the write.

    So is whether the shift of its clerk stands. Refuses `TerminalNotPaired` where the door has not seen it.
    """
    found = _seen_at_door.get(call.actor.known_id) or calling_terminal(call)
    if call.actor.shift_id is None:
        return found
    return replace(found, clerk_id=call.actor.clerk_id, shift_id=call.actor.shift_id)


def _known(session: Session, statement: TextClause, values: dict[str, object]) -> KnownTerminal | None:
    row = session.execute(statement, values).one_or_none()
    if row is None:
        return None
    coins, yuan = (
        Account(holder_id=row.merchant_id, id=account, kind=Kind.MERCHANT, unit=unit)
        for account, unit in ((row.coin_account, Unit.COIN), (row.yuan_account, Unit.CNY))
    )
    return KnownTerminal(
        id=row.id,
        region_id=row.region_id,
        merchant_id=row.merchant_id,
        store_id=row.store_id,
        scope_no=row.scope_no,
        coin_account=coins,
        yuan_account=yuan,
    )


def _key(public_key: str) -> bytes:
    require(_HEX_KEY.fullmatch(public_key), TerminalKeyWrong(pointer="/body/public_key"))
    raw = bytes.fromhex(public_key)
    try:
        Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TerminalKeyWrong(pointer="/body/public_key") from error
    return raw


def _token_digest(token: str) -> bytes:
    return _digest("terminal-token/1", token)


def _digest(domain: str, secret: str) -> bytes:
    return digest(canonical_bytes(domain, secret))


_seen_at_door: dict[UUID, KnownTerminal] = {}
_FACTS = (
    "SELECT t.id, t.region_id, t.merchant_id, t.store_id, s.scope_no,"
    " c.id AS coin_account, y.id AS yuan_account"
    " FROM terminal t JOIN store s ON s.id = t.store_id"
    " JOIN ledger_account c ON c.holder_id = t.merchant_id AND c.kind = 'merchant' AND c.unit = 'coin'"
    " JOIN ledger_account y ON y.holder_id = t.merchant_id AND y.kind = 'merchant' AND y.unit = 'cny'"
    " WHERE t.state = 'paired'"
)
_BY_TOKEN = text(f"{_FACTS} AND t.token_digest = :token")
_END_SHIFTS = text(
    "UPDATE clerk_shift SET ended_at = :now, end_cause = 'terminal_revoked'"
    " WHERE terminal_id = :terminal AND ended_at IS NULL"
)
_BY_ID = text(f"{_FACTS} AND t.id = :id")
