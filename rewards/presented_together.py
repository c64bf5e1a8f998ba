"""Several codes shown at once: read in their order before anything is locked, no voucher named twice.

Numbers to type are used up first, in the order of their digests, then whoever asked takes the vouchers,
citizen by citizen. So two who read the same codes in other orders never wait for each other in a ring.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.errors import NotFound, Refusal, require
from rewards.errors import AliasMistyped, AliasUnknown, CodeForAnotherStore, CodeSeen, CodeTwice
from rewards.live_codes import alias_digest, check_digit
from rewards.presented_codes import AtTill, Shown, is_alias, keys_now, taken
from rewards.voucher_codes import Till, verify
from rewards.vouchers import Key


@dataclass(frozen=True, kw_only=True)
class Named:
    """Which use of which voucher the code at a place names."""

    place: int
    key: Key
    cycle: int


@contextmanager
def at_place(place: int) -> Iterator[None]:
    """What is refused inside points at the code."""
    try:
        yield
    except Refusal as refusal:
        refusal.pointer = pointer_of(place)
        refusal.facts["place"] = place
        raise


def pointer_of(place: int) -> str:
    """Where a code stands in the body."""
    return f"/body/codes/{place}"


def named_vouchers(call: Call, codes: Sequence[str], *, scope_no: int) -> list[Named]:
    """What each code names; a number to type is used up by it.

    Refuses the first code at fault, in this order for each: `AliasMistyped`, `AliasUnknown`, all that
    `verify` refuses, `NotFound`, `CodeTwice`.
    """
    store, keys = Till(scope_no=scope_no, seen=lambda _code_id: False), keys_now(call)
    marks: list[bytes] = []
    for place, code in enumerate(codes):
        with at_place(place):
            if is_alias(code):
                require(check_digit(code[:-1]) == code[-1], AliasMistyped())
                marks.append(alias_digest(code))
            else:
                marks.append(verify(code, keys=keys, till=store, now=call.now).code_id)
    found = _found(call, [mark for code, mark in zip(codes, marks, strict=True) if is_alias(code)], marks)
    named, before = list[Named](), set[UUID]()
    for place, (code, mark) in enumerate(zip(codes, marks, strict=True)):
        with at_place(place):
            require(codes.index(code) == place, CodeTwice())
            row = found.get(mark)
            if row is None:
                raise AliasUnknown if is_alias(code) else NotFound
            require(row.voucher_id not in before, CodeTwice())
            before.add(row.voucher_id)
            key = Key(holder_id=row.holder_id, voucher_id=row.voucher_id)
            named.append(Named(place=place, key=key, cycle=row.cycle))
    return named


def taken_as_named(call: Call, named: Named, *, scope_no: int, till: AtTill) -> Shown:
    """The voucher that a code names, locked and fresh; refuses `CodeSeen`, `CodeForAnotherStore`."""
    voucher = taken(call, named.key, till=till)
    require(voucher.cycle == named.cycle, CodeSeen())
    require(voucher.scope_no in {None, scope_no}, CodeForAnotherStore())
    return voucher


def _found(call: Call, aliases: list[bytes], marks: list[bytes]) -> dict[bytes, Row[Any]]:
    rows = list(call.db.execute(_CODES, {"codes": marks}))
    if aliases:
        rows += call.db.execute(_USE_ALIASES, {"digests": aliases, "now": call.now})
    return {bytes(row.mark): row for row in rows}


_CODES = text(
    "SELECT code_id AS mark, holder_id, voucher_id, cycle FROM voucher_code"
    " WHERE code_id = ANY (CAST(:codes AS bytea[]))"
)
_USE_ALIASES = text(
    "UPDATE voucher_alias a SET used_at = :now FROM (SELECT digits_digest FROM voucher_alias"
    " WHERE digits_digest = ANY (CAST(:digests AS bytea[])) AND used_at IS NULL AND ends_at > :now"
    " ORDER BY digits_digest FOR UPDATE) open WHERE a.digits_digest = open.digits_digest"
    " RETURNING a.digits_digest AS mark, a.holder_id, a.voucher_id, a.cycle"
)
