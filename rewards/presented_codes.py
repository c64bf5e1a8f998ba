"""From what a till read to the voucher behind it, its row locked, in one round trip.

The signature is checked before anything is looked up, with keys this process has seen: a public key
never changes, but it may be retired. So what they let through is confirmed by the row of the key, read
with the voucher, and what they refuse is judged again with the keys of this moment. A code id that is
not the voucher's present one was used up by a redemption or a reversal, however fresh its signature.
"""

import re
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Row, TextClause, text

from kernel.call import Call
from kernel.errors import NotFound, Refusal, require
from kernel.signing import Purpose, VerificationKeys, verification_keys
from rewards.errors import AliasMistyped, AliasUnknown, CodeForAnotherStore, CodeSeen
from rewards.live_codes import ALIAS_LENGTH, ALIAS_PREFIX, alias_digest, check_digit
from rewards.voucher_codes import CodeFrame, Till, verify
from rewards.voucher_states import State
from rewards.vouchers import Held, Key

STANDS = "stands"
_DIGITS = re.compile(rf"{ALIAS_PREFIX}[0-9]{{{ALIAS_LENGTH - len(ALIAS_PREFIX)}}}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Shown(Held):
    """A taken voucher with what a till says of it and where its funders are charged."""

    title_zh: str
    title_en: str
    funder_accounts: dict[str, int]
    """The yuan account of each funder, by the funder's id."""
    asks_owner_s: int | None
    """How long the owner has to say yes before it is used; absent where nobody is asked."""
    till_standing: str
    """What speaks against the till and clerk that were named; `STANDS` where nothing does."""


@dataclass(frozen=True, kw_only=True)
class AtTill:
    """Where a code is shown, and whose shift it is; what of them stands is read with the voucher."""

    terminal_id: UUID
    shift_id: UUID | None = None


class _KeysSeen:
    """The public keys that this process read last; never believed without the row behind them."""

    def __init__(self) -> None:
        self.last = VerificationKeys({})

    def read(self, call: Call) -> VerificationKeys:
        """The keys of this moment."""
        self.last = verification_keys(call.db, Purpose.VOUCHER_CODE, now=call.now)
        return self.last


_SEEN = _KeysSeen()


def presented(call: Call, code: str, *, scope_no: int, till: AtTill | None = None) -> Shown:
    """The voucher that `code` shows at a store, locked and fresh; its state is not judged here.

    `till` names the terminal and shift whose standing is read with it. Refuses, in this order, for a
    number to type: `AliasMistyped`, `AliasUnknown`; for a code: all that `verify` refuses; for both
    `NotFound`, `CodeSeen`, `CodeForAnotherStore`.
    """
    by = _by_alias if is_alias(code) else _by_code
    voucher, cycle = by(call, code, scope_no=scope_no, till=till)
    require(voucher.cycle == cycle, CodeSeen())
    require(voucher.scope_no in {None, scope_no}, CodeForAnotherStore())
    return voucher


def reserved(call: Call, session: UUID, *, till: AtTill | None = None) -> Shown | None:
    """The voucher that a scan reserved, locked; None when the reservation was replaced or used."""
    row = _take(call, _TAKE_SESSION, {"session": session}, till)
    return None if row is None else _shown(row)


def taken(call: Call, key: Key, *, till: AtTill | None = None) -> Shown:
    """A voucher known by its key, locked, as `presented` shows it; refuses `NotFound`."""
    row = _take(call, _TAKE, {"holder": key.holder_id, "voucher": key.voucher_id}, till)
    if row is None:
        raise NotFound("no such voucher")
    return _shown(row)


def keys_now(call: Call) -> VerificationKeys:
    """The public keys of this moment."""
    return _SEEN.read(call)


def is_alias(code: str) -> bool:
    """Whether it is a number to type rather than a code."""
    return _DIGITS.fullmatch(code) is not None


def _by_alias(call: Call, digits: str, *, scope_no: int, till: AtTill | None) -> tuple[Shown, int]:  # noqa: ARG001 - one signature for both ways in
    require(check_digit(digits[:-1]) == digits[-1], AliasMistyped())
    used = call.db.execute(_USE_ALIAS, {"digest": alias_digest(digits), "now": call.now}).one_or_none()
    if used is None:
        raise AliasUnknown
    key = Key(holder_id=used.holder_id, voucher_id=used.voucher_id)
    return taken(call, key, till=till), used.cycle


def _by_code(call: Call, code: str, *, scope_no: int, till: AtTill | None) -> tuple[Shown, int]:
    # Whether a code id is used up is told by the voucher's cycle, once its row is locked.
    store = Till(scope_no=scope_no, seen=lambda _code_id: False)
    keys, fresh = _SEEN.last, False
    try:
        frame = verify(code, keys=keys, till=store, now=call.now)
    except Refusal:
        keys, fresh = _SEEN.read(call), True
        frame = verify(code, keys=keys, till=store, now=call.now)
    named = {"code": frame.code_id, "purpose": Purpose.VOUCHER_CODE.value, "kid": frame.kid}
    row = _take(call, _TAKE_CODE, named, till)
    if not fresh and not (row is not None and _confirms(call, row, keys.find(frame.kid))):
        frame = _judged_anew(call, code, store)
    if row is None:
        raise NotFound("no such voucher")
    return _shown(row), row.code_cycle


def _confirms(call: Call, row: Row[Any], used: Ed25519PublicKey | None) -> bool:
    """Whether the key that let a code through is the ring's key of that number, and not retired."""
    if used is None or row.public_key is None:
        return False
    stands = row.retired_at is None or row.retired_at > call.now
    return stands and bytes(row.public_key) == used.public_bytes_raw()


def _judged_anew(call: Call, code: str, store: Till) -> CodeFrame:
    return verify(code, keys=_SEEN.read(call), till=store, now=call.now)


def _take(call: Call, statement: TextClause, values: dict[str, Any], till: AtTill | None) -> Row[Any] | None:
    named = {
        "till": None if till is None else till.terminal_id,
        "shift": None if till is None else till.shift_id,
        "now": call.now,
        "today": call.today,
    }
    return call.db.execute(statement, {**values, **named}).one_or_none()


def _shown(row: Row[Any]) -> Shown:
    made: dict[str, Any] = {
        "key": Key(holder_id=row.holder_id, voucher_id=row.id),
        "state": State(row.state),
        "funding": tuple(row.funding),
        "funder_accounts": row.funder_accounts or {},
    }
    plain = {name: getattr(row, name) for name in _COLUMNS if name not in made}
    return Shown(**made, **plain)


_COLUMNS = tuple(field.name for field in fields(Shown))
# By name: terminals stand above this folder and are not imported from here.
_WHAT = (
    "v.*, r.title_zh, r.title_en,"
    " (SELECT jsonb_object_agg(a.holder_id, a.id) FROM jsonb_array_elements(v.funding) f"
    "  JOIN ledger_account a ON a.holder_id = CAST(f ->> 'funder_id' AS uuid)"
    "  WHERE a.kind = 'funder' AND a.unit = 'cny') AS funder_accounts,"
    " (SELECT CAST(p.content ->> 'seconds' AS integer) FROM publication p WHERE p.region_id = v.region_id"
    "  AND p.kind = 'owner_confirmation' AND p.subject = 'standard' AND p.state = 'published'"
    "  AND p.effective_from <= :today"
    "  AND (p.ends_on IS NULL OR p.ends_on > :today)"
    "  AND CAST(p.content ->> 'from_cost_fen' AS bigint) <= v.cost_fen) AS asks_owner_s,"
    " CASE WHEN CAST(:till AS uuid) IS NULL THEN 'stands' ELSE coalesce(till_standing("
    "  CAST(:till AS uuid), CAST(:shift AS uuid), v.holder_id, CAST(:now AS timestamptz)),"
    "  'terminal_not_paired') END AS till_standing"
)
_TAKE_CODE = text(
    f"SELECT {_WHAT}, c.cycle AS code_cycle, k.public_key, k.retired_at FROM voucher_code c"  # noqa: S608 - our own text
    " JOIN voucher v ON v.holder_id = c.holder_id AND v.id = c.voucher_id"
    " JOIN reward r ON r.id = v.reward_id"
    " LEFT JOIN signing_key k ON k.purpose = :purpose AND k.kid = :kid"
    " WHERE c.code_id = :code FOR UPDATE OF v"
)
_TAKE = text(
    f"SELECT {_WHAT} FROM voucher v JOIN reward r ON r.id = v.reward_id"  # noqa: S608 - our own text
    " WHERE v.holder_id = :holder AND v.id = :voucher FOR UPDATE OF v"
)
_TAKE_SESSION = text(
    f"SELECT {_WHAT} FROM voucher v JOIN reward r ON r.id = v.reward_id"  # noqa: S608 - our own text
    " WHERE v.lock_session = :session FOR UPDATE OF v"
)
_USE_ALIAS = text(
    "UPDATE voucher_alias SET used_at = :now"
    " WHERE digits_digest = :digest AND used_at IS NULL AND ends_at > :now"
    " RETURNING holder_id, voucher_id, cycle"
)
