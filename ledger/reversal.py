"""Undoing: a spent hold set is mirrored exactly once; a credit is taken back without hurting twice."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text

from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from ledger.accounts import Account
from ledger.chart import Code
from ledger.holds import HoldSet, Spent
from ledger.posting import run_posting


@dataclass(frozen=True, kw_only=True)
class Undo:
    """How a spend is undone.

    With `held_again_as` the coins go straight into a new hold (the voucher lives again). Without it
    they return to the citizen, and what is past its day lives until `grace_on`.
    """

    reference: str
    occurred_at: datetime
    cause: str
    held_again_as: str | None = None
    until: datetime | None = None
    grace_on: date | None = None


def reverse_spend(call: Call, held: HoldSet, undo: Undo) -> Spent:
    """Mirror the posting of a hold set, exactly once whatever the reference.

    Refuses `ContentDiffers`, `HoldEnded` (nothing was spent), `AlreadyReversed` (by another reference).
    """
    rows = run_posting(
        call,
        _REVERSE,
        {
            "holder": held.holder_id,
            "purpose": held.purpose,
            "held": held.reference,
            "again": undo.held_again_as,
            "until": undo.until,
            "code": Code.REDEEM_REVERSAL.value,
            "reference": undo.reference,
            "hash": digest(canonical_bytes("reversal/1", held.reference, undo.held_again_as)),
            "cause": undo.cause,
            "grace_on": undo.grace_on,
            "occurred": undo.occurred_at,
            "today": call.today,
            "now": call.now,
        },
    )
    return Spent(tuple(row.transfer_id for row in rows), sum(row.amount for row in rows), rows[0].fresh)


@dataclass(frozen=True)
class TakenBack:
    """Milli-coins taken, of them first brought back from expiry, and what a fund has to absorb.

    `transfer_id` is None when nothing could be taken.
    """

    transfer_id: int | None
    taken: int
    revived: int
    absorbed: int
    fresh: bool


def take_back(
    call: Call, account: Account, *, credit_id: int, amount: int, source: str, reference: str
) -> TakenBack:
    """Take `amount` of a coin credit back, down to the account's floor; held coins are not touched.

    What of it has already expired is un-expired by a linked row in the same breath, so that nobody
    loses a coin twice. Refuses `AccountUnknown`, `ContentDiffers`; more than is left of the credit is a
    bug of the caller and raises.
    """
    row = run_posting(
        call,
        _TAKE_BACK,
        {
            "holder": account.holder_id,
            "account": account.id,
            "credit": credit_id,
            "amount": amount,
            "source": source,
            "reference": reference,
            "hash": digest(canonical_bytes("take-back/1", account.id, credit_id, amount)),
            "code": Code.CLAW_BACK.value,
            "occurred": call.now,
            "today": call.today,
            "now": call.now,
        },
    )[0]
    return TakenBack(row.transfer_id, row.taken, row.revived, amount - row.taken, row.fresh)


_REVERSE = text(
    "SELECT transfer_id, amount, fresh FROM ledger_reverse_spend(:holder, :purpose, :held,"
    " CAST(:again AS text), CAST(:until AS timestamptz), :code, :purpose, :reference, :hash, :cause,"
    " CAST(:grace_on AS date), :occurred, :today, :now)"
)
_TAKE_BACK = text(
    "SELECT transfer_id, taken, revived, fresh FROM ledger_take_back(:holder, :account, :credit, :amount,"
    " :source, :reference, :hash, :code, :occurred, :today, :now)"
)
