"""Undoing: a spent hold set is mirrored exactly once; a credit is taken back without hurting twice."""

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
from sqlalchemy import text

from kernel.bulk_text import array_of, select_frame
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
            "least": None,
        },
    )[0]
    return TakenBack(row.transfer_id, row.taken, row.revived, amount - row.taken, row.fresh)


TAKE = {
    "holder_id": pl.String,
    "account_id": pl.Int64,
    "credit_id": pl.Int64,
    "amount": pl.Int64,
    "reference": pl.String,
}
"""What `take_back_many` takes: positive milli-coins of a credit, each under a reference of its own."""


def take_back_many(
    call: Call, rows: pl.DataFrame, *, code: Code, source: str, least: int | None
) -> pl.DataFrame:
    """Take parts of many credits back, one after the other, as `take_back` does.

    `rows` have the columns of TAKE. With `least` (milli-coins) nothing available goes below it, even where
    the account's floor is lower. Adds `transfer_id`, null where nothing could be taken, and `taken`. The
    caller holds the balances' locks.
    """
    if rows.is_empty():
        return rows.with_columns(transfer_id=pl.lit(None, pl.Int64), taken=pl.lit(0, pl.Int64))
    hashes = [
        digest(canonical_bytes("take-back/1", *fields))
        for fields in rows.select("account_id", "credit_id", "amount").iter_rows()
    ]
    values = {
        **{name: array_of(rows[name]) for name in TAKE},
        "hashes": array_of(pl.Series(hashes, dtype=pl.Binary)),
        "code": code.value,
        "source": source,
        "least": least,
        "today": call.today,
        "now": call.now,
    }
    found = select_frame(call, _TAKE_MANY, values, schema={"transfer_id": pl.Int64, "taken": pl.Int64})
    return pl.concat([rows, found], how="horizontal")


_REVERSE = text(
    "SELECT transfer_id, amount, fresh FROM ledger_reverse_spend(:holder, :purpose, :held,"
    " CAST(:again AS text), CAST(:until AS timestamptz), :code, :purpose, :reference, :hash, :cause,"
    " CAST(:grace_on AS date), :occurred, :today, :now)"
)
_TAKE_BACK = text(
    "SELECT transfer_id, taken, revived, fresh FROM ledger_take_back(:holder, :account, :credit, :amount,"
    " :source, :reference, :hash, :code, :occurred, :today, :now, CAST(:least AS bigint))"
)
_TAKE_MANY = (
    "SELECT t.transfer_id, t.taken FROM (SELECT * FROM unnest(CAST(%(holder_id)s AS uuid[]),"
    " CAST(%(account_id)s AS bigint[]), CAST(%(credit_id)s AS bigint[]), CAST(%(amount)s AS bigint[]),"
    " CAST(%(reference)s AS text[]), CAST(%(hashes)s AS bytea[])) WITH ORDINALITY"
    " AS k (holder, account, credit, amount, reference, hash, place) ORDER BY place) k"
    " CROSS JOIN LATERAL ledger_take_back(k.holder, k.account, k.credit, k.amount, %(source)s, k.reference,"
    " k.hash, %(code)s, %(now)s, %(today)s, %(now)s, CAST(%(least)s AS bigint)) t"
)
