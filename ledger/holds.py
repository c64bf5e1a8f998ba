"""Coins set aside: a voucher is a hold. All holds of one reference act together or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
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
    until `grace_on` when somebody else did (or to the day after the last that has ended, if that is later:
    the caller may have waited across midnight).
    """
    return _release(call, _values(call, held, cause=cause, grace_on=grace_on))


def release_late(call: Call, held: HoldSet, *, cause: str, since: date, grace_on: date) -> Released:
    """Release a set that was due on the day `since`; what ended after that day lives until `grace_on`.

    What was past its day then ends, as on that day. Nothing is remembered of which coin was spent, and each
    set is looked at for itself: coins that ended in between and may be its own count as its own, so that
    nobody loses coins because a job was late.
    """
    values = {**_values(call, held, cause=cause, grace_on=None), "since": since, "grace": grace_on}
    call.db.execute(_LOCK_HELD, values)
    call.db.execute(_EXPIRE_HELD, values)  # the holder's other coins have ended on their days
    graced = int(call.db.execute(_GRACE, values).scalar_one())
    back = _release(call, values)
    return Released(back.amount, back.ended, graced)


def _values(call: Call, held: HoldSet, *, cause: str, grace_on: date | None) -> dict[str, Any]:
    return {
        "holder": held.holder_id,
        "purpose": held.purpose,
        "held": held.reference,
        "cause": cause,
        "grace_on": grace_on,
        "today": call.today,
        "now": call.now,
    }


def _release(call: Call, values: dict[str, Any]) -> Released:
    row = run_posting(call, _RELEASE, values)[0]
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
_LOCK_HELD = text("SELECT ledger_lock_held(:holder, :purpose, :held)")
_EXPIRE_HELD = text(
    "SELECT ledger_expire(h.holder_id, h.account_id, :today, :now) FROM ledger_hold h"
    " WHERE h.holder_id = :holder AND h.purpose = :purpose AND h.reference = :held"
)
# Of what the release makes due, as much as the buckets of the days in between have that was not posted as
# ended, is given a bucket before it is released; what is due beyond that then ends as in any release. A
# bucket's own `expired` does not serve: other sets that came back past their day are marked there too. Which
# buckets are past the balance says, not the caller's day, and the day of grace lies behind them: a bucket
# ends once, and who waited for the lock across midnight comes when today's has ended.
_GRACE = text(
    """
    WITH graced AS MATERIALIZED (
        SELECT h.account_id, h.id,
            least(b.posted - b.held + h.amount - k.later, k.between_days) AS amount,
            greatest(CAST(:grace AS date), k.newest + 1) AS grace_on
        FROM ledger_hold h
        JOIN ledger_balance b ON b.holder_id = h.holder_id AND b.account_id = h.account_id
        CROSS JOIN LATERAL (
            SELECT CAST(coalesce(sum(c.credited) FILTER (WHERE c.expires_on >= b.next_expiry), 0) AS bigint)
                    AS later,
                CAST(coalesce(sum(c.credited - least(c.expired, coalesce(-t.amount, 0)))
                    FILTER (WHERE c.expires_on < b.next_expiry), 0) AS bigint) AS between_days,
                max(c.expires_on) FILTER (WHERE c.expires_on < b.next_expiry) AS newest
            FROM coin_bucket c
            LEFT JOIN ledger_reference r ON r.holder_id = c.holder_id AND r.source = 'expiry'
                AND r.reference = c.account_id || '/' || c.expires_on
            LEFT JOIN ledger_transfer t ON t.holder_id = c.holder_id AND t.account_id = c.account_id
                AND t.id = r.transfer_id
            WHERE c.holder_id = h.holder_id AND c.account_id = h.account_id AND c.expires_on > :since) k
        WHERE h.holder_id = :holder AND h.purpose = :purpose AND h.reference = :held
        AND NOT EXISTS (SELECT FROM ledger_hold_end e WHERE e.holder_id = h.holder_id
            AND e.account_id = h.account_id AND e.id = h.id)),
    bucket AS (
        INSERT INTO coin_bucket AS c (holder_id, account_id, expires_on, credited)
        SELECT :holder, account_id, grace_on, amount FROM graced WHERE amount > 0
        ON CONFLICT (holder_id, account_id, expires_on)
        DO UPDATE SET credited = c.credited + excluded.credited),
    due AS (
        UPDATE ledger_balance b SET next_expiry = least(b.next_expiry, g.grace_on) FROM graced g
        WHERE b.holder_id = :holder AND b.account_id = g.account_id AND g.amount > 0),
    noted AS (
        INSERT INTO coin_regrace (holder_id, account_id, hold_id, amount, grace_on, cause)
        SELECT :holder, account_id, id, amount, grace_on, :cause FROM graced WHERE amount > 0)
    SELECT coalesce(sum(amount), 0) FROM graced WHERE amount > 0
    """
)
