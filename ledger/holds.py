"""Coins set aside: a voucher is a hold. All holds of one reference act together or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import BrokenInvariant
from ledger.accounts import Account
from ledger.chart import Code, Kind, Unit, allowed_move
from ledger.posting import run_posting


@dataclass(frozen=True)
class Held:
    """What one account contributes to a hold set, in milli-coins."""

    account_id: int
    hold_id: int
    amount: int


@dataclass(frozen=True)
class Spent:
    """The transfers a hold set became, their sum, and whether this call made them."""

    transfer_ids: tuple[int, ...]
    amount: int
    fresh: bool


@dataclass(frozen=True)
class Released:
    """What came back, and of it what ended at once or was given days of grace; milli-coins."""

    amount: int
    ended: int
    graced: int


@dataclass(frozen=True, kw_only=True)
class HoldSet:
    """Whose coins, for what: `reference` names the business fact, such as a voucher and its cycle."""

    holder_id: UUID
    purpose: str
    reference: str


def hold(
    call: Call, held: HoldSet, accounts: Sequence[Account], *, amount: int, until: datetime | None
) -> list[Held]:
    """Set `amount` aside from `accounts` in their order, each giving what it can.

    Refuses `ContentDiffers` (the reference holds another amount), `AccountFrozen`, `NotEnough`.
    """
    if amount <= 0:
        raise BrokenInvariant("a hold is positive")
    rows = run_posting(
        call,
        _HOLD,
        {
            "holder": held.holder_id,
            "accounts": [account.id for account in accounts],
            "amount": amount,
            "purpose": held.purpose,
            "reference": held.reference,
            "until": until,
            "today": call.today,
            "now": call.now,
        },
    )
    return [Held(row.account_id, row.hold_id, row.amount) for row in rows]


def lock_available(call: Call, account: Account) -> int:
    """What a hold may set aside of one account until the end of the transaction; what is due is posted."""
    values = {"holder": account.holder_id, "account": account.id, "today": call.today, "now": call.now}
    call.db.execute(_LOCK, values)
    available: int = call.db.execute(_AVAILABLE, values).scalar_one()
    return max(available, 0)


def spend(
    call: Call, held: HoldSet, contra: Account, *, code: Code, reference: str, occurred_at: datetime
) -> Spent:
    """Post the whole set to `contra`, once.

    Refuses `ContentDiffers`, `AccountFrozen`, `HoldEnded` (released, or spent for something else).
    """
    rows = run_posting(
        call,
        _SPEND,
        {
            "holder": held.holder_id,
            "purpose": held.purpose,
            "held": held.reference,
            "contra": contra.id,
            "code": code.value,
            "reference": reference,
            "hash": spend_hash(held, contra, code=code),
            "occurred": occurred_at,
            "today": call.today,
            "now": call.now,
        },
    )
    return Spent(tuple(row.transfer_id for row in rows), sum(row.amount for row in rows), rows[0].fresh)


def spend_hash(held: HoldSet, contra: Account, *, code: Code) -> bytes:
    """What makes two spends of one hold set the same thing; the chart must allow it."""
    allowed_move(code=code, unit=Unit.COIN, owner=Kind.CITIZEN, contra=contra.kind, amount=-1)
    return digest(canonical_bytes("spend/1", held.reference, contra.id, code.value))


def release(call: Call, held: HoldSet, *, cause: str, grace_on: date | None) -> Released:
    """Give the whole set back. Refuses `HoldEnded` when it was spent; releasing twice changes nothing.

    Coins past their day end at once when the citizen caused the release (`grace_on` None), and live
    until `grace_on` when somebody else did.
    """
    row = run_posting(
        call,
        _RELEASE,
        {
            "holder": held.holder_id,
            "purpose": held.purpose,
            "held": held.reference,
            "cause": cause,
            "grace_on": grace_on,
            "today": call.today,
            "now": call.now,
        },
    )[0]
    return Released(row.released, row.ended, row.graced)


_LOCK = text("SELECT ledger_expire(:holder, :account, :today, :now)")
_AVAILABLE = text(
    "SELECT posted - held FROM ledger_balance WHERE holder_id = :holder AND account_id = :account"
)
_HOLD = text(
    "SELECT account_id, hold_id, amount FROM ledger_hold_coins(:holder, CAST(:accounts AS bigint[]), :amount,"
    " :purpose, :reference, CAST(:until AS timestamptz), :today, :now)"
)
_SPEND = text(
    "SELECT transfer_id, amount, fresh FROM ledger_spend_holds(:holder, :purpose, :held, :contra, :code,"
    " :purpose, :reference, :hash, :occurred, :today, :now)"
)
_RELEASE = text(
    "SELECT released, ended, graced FROM ledger_release_holds(:holder, :purpose, :held, :cause,"
    " CAST(:grace_on AS date), :today, :now)"
)
