"""From what a till read to the voucher behind it, its row locked.

The signature is checked before anything is looked up. A code id that is not the voucher's present one
was used up by a redemption or a reversal, however fresh its signature.
"""

import re

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.signing import Purpose, verification_keys
from rewards.errors import AliasMistyped, AliasUnknown, CodeForAnotherStore, CodeSeen
from rewards.live_codes import ALIAS_LENGTH, ALIAS_PREFIX, alias_digest, check_digit
from rewards.voucher_codes import Till, verify
from rewards.vouchers import Held, Key, take

_DIGITS = re.compile(rf"{ALIAS_PREFIX}[0-9]{{{ALIAS_LENGTH - len(ALIAS_PREFIX)}}}", re.ASCII)


def presented(call: Call, code: str, *, scope_no: int) -> Held:
    """The voucher that `code` shows at a store, locked and fresh; its state is not judged here.

    Refuses, in this order, for a number to type: `AliasMistyped`, `AliasUnknown`; for a code: all that
    `verify` refuses; for both `NotFound`, `CodeSeen`, `CodeForAnotherStore`.
    """
    key, cycle = _by_alias(call, code) if is_alias(code) else _by_code(call, code, scope_no=scope_no)
    voucher = take(call, key)
    require(voucher.cycle == cycle, CodeSeen())
    require(voucher.scope_no in {None, scope_no}, CodeForAnotherStore())
    return voucher


def is_alias(code: str) -> bool:
    """Whether it is a number to type rather than a code."""
    return _DIGITS.fullmatch(code) is not None


def _by_alias(call: Call, digits: str) -> tuple[Key, int]:
    require(check_digit(digits[:-1]) == digits[-1], AliasMistyped())
    row = call.db.execute(_USE_ALIAS, {"digest": alias_digest(digits), "now": call.now}).one_or_none()
    if row is None:
        raise AliasUnknown
    return Key(holder_id=row.holder_id, voucher_id=row.voucher_id), row.cycle


def _by_code(call: Call, code: str, *, scope_no: int) -> tuple[Key, int]:
    keys = verification_keys(call.db, Purpose.VOUCHER_CODE, now=call.now)
    till = Till(scope_no=scope_no, seen=lambda code_id: _used_up(call, code_id))
    frame = verify(code, keys=keys, till=till, now=call.now)
    row = call.db.execute(_FIND, {"code": frame.code_id}).one_or_none()
    if row is None:
        raise NotFound("no such voucher")
    return Key(holder_id=row.holder_id, voucher_id=row.voucher_id), row.cycle


def _used_up(call: Call, code_id: bytes) -> bool:
    return call.db.execute(_USED_UP, {"code": code_id}).one_or_none() is not None


_FIND = text("SELECT holder_id, voucher_id, cycle FROM voucher_code WHERE code_id = :code")
_USED_UP = text(
    "SELECT 1 FROM voucher_code c JOIN voucher v ON v.holder_id = c.holder_id AND v.id = c.voucher_id"
    " WHERE c.code_id = :code AND c.cycle <> v.cycle"
)
_USE_ALIAS = text(
    "UPDATE voucher_alias SET used_at = :now"
    " WHERE digits_digest = :digest AND used_at IS NULL AND ends_at > :now"
    " RETURNING holder_id, voucher_id, cycle"
)
