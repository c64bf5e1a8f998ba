"""Tills: a one-time pairing code becomes a secret that only the till knows, until it is revoked.

Pairing code and secret are random and stand here as digests. Both are long enough that a plain
SHA-256 hides them; a lost till is revoked, never renamed.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from merchants.errors import PairingCodeWrong, TerminalKeyWrong, TerminalNotPaired
from merchants.tables import Store, Terminal

TERMINAL = "trm"
TOKEN_PREFIX = "tpt_"  # noqa: S105 - the mark of a terminal's secret, not a secret
TOKEN_BYTES = 32
PAIRING_LIFE = timedelta(minutes=15)
PAIRING_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRING_LENGTH = 12
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
    """A paired till: where it stands and for whom."""

    id: UUID
    region_id: str
    merchant_id: UUID
    store_id: UUID
    scope_no: int


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
    audit(call, "terminal.revoked", subject=public_id(TERMINAL, terminal_id), reason=reason)


def terminal_by_token(session: Session, token: str) -> KnownTerminal | None:
    """The paired till that holds this secret, or None; what the door asks before it makes an actor."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    return _known(session, Terminal.token_digest == _token_digest(token))


def calling_terminal(call: Call) -> KnownTerminal:
    """The till behind the call, still paired; refuses `TerminalNotPaired`."""
    found = _known(call.db, Terminal.id == call.actor.known_id)
    if found is None:
        raise TerminalNotPaired
    return found


def _known(session: Session, condition: ColumnElement[bool]) -> KnownTerminal | None:
    row = session.execute(
        select(Terminal.id, Terminal.region_id, Terminal.merchant_id, Terminal.store_id, Store.scope_no)
        .join(Store, Store.id == Terminal.store_id)
        .where(condition, Terminal.state == "paired")
    ).one_or_none()
    if row is None:
        return None
    return KnownTerminal(
        id=row.id,
        region_id=row.region_id,
        merchant_id=row.merchant_id,
        store_id=row.store_id,
        scope_no=row.scope_no,
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
