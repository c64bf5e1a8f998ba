"""A scan at a till: which voucher is shown, may it be used here, and what is remembered of a no.

A refused scan is rolled back whole; the row that says where, when and why is written afterwards in the
same request, and never holds the code itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import Refusal, require
from kernel.identifiers import new_id
from merchants.clerks.errors import ClerkNeeded, OwnVoucher, ShiftOver
from merchants.errors import TerminalNotPaired, TooManyWrongNumbers
from merchants.tables import ScanRefusal
from merchants.terminals import KnownTerminal
from rewards.errors import AliasUnknown, VoucherForAnotherMerchant, VoucherRedeemed
from rewards.presented_codes import STANDS, AtTill, Shown, is_alias, presented
from rewards.voucher_states import USED
from rewards.vouchers import Held, require_usable

WRONG_NUMBERS = 5
WRONG_NUMBERS_WITHIN = timedelta(seconds=60)


def scan(call: Call, terminal: KnownTerminal, code: str) -> Shown:
    """The voucher that `code` shows, locked, fit to be used at this till now.

    Refuses, in this order: `TooManyWrongNumbers`, what `presented` refuses, what
    `require_standing` refuses, what `require_fit` refuses.
    """
    with refusals_noted(call, terminal) as seen:
        if is_alias(code):
            limit_guesses(call, terminal)
        voucher = presented(call, code, scope_no=terminal.scope_no, till=at_till(terminal))
        require_standing(voucher)
        seen.append(voucher.key.voucher_id)
        require_fit(call, terminal, voucher)
    return voucher


def at_till(terminal: KnownTerminal) -> AtTill:
    """The till and the shift of its clerk, as whoever takes a voucher names them."""
    return AtTill(terminal_id=terminal.id, shift_id=terminal.shift_id)


def require_standing(voucher: Shown) -> None:
    """Refuses `TerminalNotPaired`, `ClerkNeeded`, `ShiftOver` or `OwnVoucher`, as till and clerk stand."""
    if voucher.till_standing != STANDS:
        raise _STANDINGS[voucher.till_standing]


def require_fit(call: Call, terminal: KnownTerminal, voucher: Shown) -> None:
    """Whether a taken voucher may be used at this till now.

    Refuses, in this order: `VoucherForAnotherMerchant`, `VoucherRedeemed`, `VoucherEnded`,
    `VoucherPastItsDay`, `VoucherLocked`.
    """
    ours = voucher.merchant_id in {None, terminal.merchant_id} and voucher.region_id == terminal.region_id
    require(ours, VoucherForAnotherMerchant())
    if voucher.state in USED:
        raise _already_redeemed(call, terminal, voucher)
    require_usable(voucher, call.now)


@contextmanager
def refusals_noted(call: Call, terminal: KnownTerminal) -> Iterator[list[UUID]]:
    """Whatever is refused inside leaves a row behind; the list takes the voucher once it is known."""
    seen: list[UUID] = []
    try:
        yield seen
    except Refusal as refusal:
        voucher = seen[0] if seen else None
        call.after_refusal(partial(_note, terminal=terminal, refusal=refusal.code, voucher_id=voucher))
        raise


def _note(call: Call, *, terminal: KnownTerminal, refusal: str, voucher_id: UUID | None) -> None:
    call.db.add(
        ScanRefusal(
            id=new_id(),
            region_id=terminal.region_id,
            merchant_id=terminal.merchant_id,
            store_id=terminal.store_id,
            terminal_id=terminal.id,
            clerk_id=terminal.clerk_id,
            refusal=refusal,
            voucher_id=voucher_id,
            recorded_at=call.now,
        )
    )


def limit_guesses(call: Call, terminal: KnownTerminal) -> None:
    """Refuses `TooManyWrongNumbers`: five wrong numbers to type in a minute make a till wait."""
    values = {
        "terminal": terminal.id,
        "since": call.now - WRONG_NUMBERS_WITHIN,
        "refusal": AliasUnknown.code,
        "most": WRONG_NUMBERS,
    }
    wrong = call.db.execute(_RECENT, values).scalar_one()
    require(wrong < WRONG_NUMBERS, TooManyWrongNumbers(retry_after_s=60))


def _already_redeemed(call: Call, terminal: KnownTerminal, voucher: Held) -> VoucherRedeemed:
    row = call.db.execute(
        _REDEEMED, {"voucher": voucher.key.voucher_id, "cycle": voucher.cycle}
    ).one_or_none()
    if row is None:
        return VoucherRedeemed()
    return VoucherRedeemed(
        redeemed_at=row.redeemed_at.isoformat(), at_this_terminal=row.terminal_id == terminal.id
    )


_STANDINGS: dict[str, type[Refusal]] = {
    each.code: each for each in (TerminalNotPaired, ClerkNeeded, ShiftOver, OwnVoucher)
}
"""What the database says of till and clerk, by the code of the refusal that it is."""
_RECENT = text(
    "SELECT count(*) FROM (SELECT 1 FROM scan_refusal WHERE terminal_id = :terminal AND recorded_at > :since"
    " AND refusal = :refusal LIMIT :most) recent"
)
_REDEEMED = text(
    "SELECT redeemed_at, terminal_id FROM redemption WHERE voucher_id = :voucher AND cycle = :cycle"
)
