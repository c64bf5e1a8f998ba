"""Posting many credits at once: the same chart, references and buckets as `post`, filled by COPY.

References and transfers live in two tables so that each is copied in its own key order (measured:
twice as fast as one table with both keys). COPY knows no ON CONFLICT: on a unique violation the
savepoint is rolled back, what stands already is found by a join and left out, and the rest goes
again. The caller's chunk is one transaction; lanes by holder and workers come above this file.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from kernel.bulk_text import (
    array_of,
    copied_whole,
    copy_in,
    savepoint,
    select_frame,
    written_bytes,
    written_instant,
)
from kernel.call import Call
from kernel.errors import BrokenInvariant, Busy
from kernel.units import INT64_MAX
from ledger.accounts import Account
from ledger.bulk_accounts import ManyAccounts
from ledger.chart import Code, Kind, Unit, allowed_move
from ledger.errors import NotEnough
from ledger.tables import ID_BLOCK

LONGEST_VALIDITY = timedelta(days=10 * 366 + 31)
"""Ten years to the end of the month, as the posting function has it."""

LOOKS = 4
"""How often a chunk looks for references that others posted meanwhile."""

CLAIM = {"holder_id": pl.String, "reference": pl.String, "payload_hash": pl.Binary}
"""What a reference is claimed by; `holder_id` as UUID text."""
CREDIT = {
    "holder_id": pl.String,
    "transfer_id": pl.Int64,
    "amount": pl.Int64,
    "reference": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
}
"""What is posted under a claimed reference; `reverses_id` may say to which transfer it is linked."""


@dataclass(frozen=True, kw_only=True)
class CreditRun:
    """What all credits of one chunk share. `expires_on` is the policy's day for coins, None for carbon."""

    code: Code
    unit: Unit
    validity_class: str
    contra: Account
    source: str
    batch_id: UUID
    expires_on: date | None


@dataclass(frozen=True)
class BatchClaimed:
    """A chunk's rows with `transfer_id`: ours to post, standing already, and refused."""

    ours: pl.DataFrame
    replayed: pl.DataFrame
    differing: pl.DataFrame


def claim_batch(call: Call, source: str, rows: pl.DataFrame) -> BatchClaimed:
    """Claim the reference of each row, which has the columns of CLAIM; no balance is touched yet.

    Each gets the id of the first transfer that is to be posted under it. One that stands with the same
    payload hash comes back in `replayed` with its transfer's id, one with another hash in `differing`.
    Raises BrokenInvariant when a reference occurs twice in the chunk.
    """
    if rows.is_empty():
        empty = rows.with_columns(pl.lit(None, pl.Int64).alias("transfer_id"))
        return BatchClaimed(empty, empty, empty)
    rows = rows.sort("holder_id", "reference")
    _check_references(rows)
    rows = rows.with_columns(transfer_ids(call, rows.height))
    rows, standing = _claim(call, source, rows)
    if standing.is_empty():
        blank = rows.clear()
        return BatchClaimed(rows, blank, blank)
    same = pl.col("payload_hash") == pl.col("standing_hash")
    standing = standing.with_columns(pl.col("standing_id").alias("transfer_id"))
    return BatchClaimed(rows, standing.filter(same), standing.filter(~same))


def post_claimed(call: Call, run: CreditRun, rows: pl.DataFrame, accounts: ManyAccounts) -> None:
    """Post positive credits (the columns of CREDIT) to citizens' accounts under references claimed before.

    The balances stay locked to the end of the transaction, and a citizen who spends waits for it: a caller
    does the rest of a chunk's work first. Raises BrokenInvariant for a holder without account or balance.
    """
    allowed_move(code=run.code, unit=run.unit, owner=Kind.CITIZEN, contra=run.contra.kind, amount=1)
    if rows.is_empty():
        return
    _check(call, run, rows)
    _post(call, run, rows, accounts)


def correct_claimed(call: Call, run: CreditRun, rows: pl.DataFrame, accounts: ManyAccounts) -> None:
    """Post kilograms to citizens and from them, as `post_claimed` does; refuses NotEnough below a floor."""
    for amount in (1, -1):
        allowed_move(code=run.code, unit=run.unit, owner=Kind.CITIZEN, contra=run.contra.kind, amount=amount)
    if rows.is_empty():
        return
    if (rows["amount"] == 0).any() or run.unit is not Unit.CARBON or run.expires_on is not None:
        raise BrokenInvariant("kilograms are corrected by some, and never end")
    _refuse_to_wrap(rows)
    try:
        with savepoint(call):
            _post(call, run, rows, accounts)
    except IntegrityError as error:
        if not isinstance(error.orig, psycopg.errors.CheckViolation):
            raise
        raise NotEnough from error


def _post(call: Call, run: CreditRun, rows: pl.DataFrame, accounts: ManyAccounts) -> None:
    """Write the lines before the balances are raised, so that who spends waits only for the latter.

    The day on which coins end is known for sure by who holds the balance. It is expected from what stands:
    only where others moved it meanwhile, the lines are written anew behind the locks.
    """
    own = accounts.of(run.unit, run.validity_class)
    rows = rows.join(own, on="holder_id", how="left", maintain_order="left")
    sums = (
        rows.group_by("holder_id", "account_id")
        .agg(pl.col("amount").sum().alias("total"))
        .sort("holder_id", "account_id")
    )
    without = sums["account_id"].null_count()
    if without:
        raise BrokenInvariant(f"{without} of these citizens have no account in {run.unit}")
    expected = _expected_days(call, run, sums)
    try:
        with savepoint(call):
            _write(call, run, rows, expected)
            _require_same(_fill(call, run, sums), expected)
    except _EndsOtherwise:
        _write(call, run, rows, _fill(call, run, sums))


def _write(call: Call, run: CreditRun, rows: pl.DataFrame, days: pl.DataFrame) -> None:
    """Copy the transfers; `days` says when the coins of each account end."""
    ordered = (
        rows.join(days, on=["holder_id", "account_id"], how="left")
        .sort("holder_id", "account_id", "transfer_id")
        .select(
            "holder_id",
            "account_id",
            pl.col("transfer_id").alias("id"),
            pl.lit(run.contra.id).alias("contra_id"),
            "amount",
            pl.lit(run.unit.value).alias("unit"),
            pl.lit(run.code.value).alias("code"),
            (pl.lit(f"{run.source}/") + pl.col("reference")).alias("reference"),
            pl.lit(str(run.batch_id)).alias("batch_id"),
            "expires_on",
            *(["reverses_id"] if "reverses_id" in rows.columns else []),
            written_instant("occurred_at"),
            pl.lit(call.now.isoformat()).alias("recorded_at"),
        )
    )
    copy_in(call, "ledger_transfer", ordered)


def post_batch(call: Call, run: CreditRun, credits_: pl.DataFrame, accounts: ManyAccounts) -> BatchClaimed:
    """Claim and post at once: one row a reference, the columns of CLAIM and CREDIT but for `transfer_id`."""
    claimed = claim_batch(call, run.source, credits_)
    post_claimed(call, run, claimed.ours, accounts)
    return claimed


def _claim(call: Call, source: str, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Claim the rows' references: those that are ours now, and those that stood already.

    A violated key means that its writer has committed, so the next look sees it. Others may commit
    between a look and the COPY after it: then it is looked again, and after LOOKS the chunk is too busy.
    """
    parts: list[pl.DataFrame] = []
    for _ in range(LOOKS):
        if _copied_references(call, source, rows):
            standing = pl.concat(parts) if parts else rows.clear()
            return rows, standing
        found = _standing(call, source, rows)
        parts.append(rows.join(found, on=["holder_id", "reference"], how="inner"))
        rows = rows.join(found, on=["holder_id", "reference"], how="anti", maintain_order="left")
    raise Busy("others post this chunk's references", retry_after_s=1)


def _check(call: Call, run: CreditRun, rows: pl.DataFrame) -> None:
    if (rows["amount"] <= 0).any():
        raise BrokenInvariant("a credit is positive")
    _refuse_to_wrap(rows)
    if (run.unit is Unit.COIN) is not (run.expires_on is not None):
        raise BrokenInvariant("coins end on a day, nothing else does")
    if run.expires_on is not None and not call.today < run.expires_on <= call.today + LONGEST_VALIDITY:
        raise BrokenInvariant(f"coins credited on {call.today} cannot end on {run.expires_on}")


class _EndsOtherwise(Exception):  # noqa: N818 - nothing went wrong
    """Others moved the day on which coins of an account end."""


def _require_same(days: pl.DataFrame, expected: pl.DataFrame) -> None:
    if not days.equals(expected):
        raise _EndsOtherwise


def _refuse_to_wrap(rows: pl.DataFrame) -> None:
    """Polars wraps silently: no sum of the chunk may leave 64 bits."""
    if (rows["amount"].abs() > INT64_MAX // rows.height).any():
        raise BrokenInvariant("the chunk's amounts do not sum within 64 bits")


def _check_references(ordered: pl.DataFrame) -> None:
    """Twins of one chunk would never be found standing: they are told from others' before the COPY."""
    holder, reference = pl.col("holder_id"), pl.col("reference")
    twins = (holder == holder.shift()) & (reference == reference.shift())
    if ordered.select(twins.any()).item():
        raise BrokenInvariant("a reference occurs twice in the chunk")


def _expected_days(call: Call, run: CreditRun, sums: pl.DataFrame) -> pl.DataFrame:
    """When the coins of each account would end if nobody else credited it now; nothing is locked."""
    days: str | None = None
    if run.expires_on is not None:
        values = {
            "holders": array_of(sums["holder_id"]),
            "accounts": array_of(sums["account_id"]),
            "policy": run.expires_on,
        }
        days = call.db.execute(_EXPECTED, values).scalar_one()
    return _of_each(sums, days)


def _fill(call: Call, run: CreditRun, sums: pl.DataFrame) -> pl.DataFrame:
    """Raise the balances (their rows are locked in key order) and fill the buckets; the day of each."""
    values: dict[str, Any] = {
        "holders": array_of(sums["holder_id"]),
        "accounts": array_of(sums["account_id"]),
        "totals": array_of(sums["total"]),
        "policy": run.expires_on,
    }
    row = call.db.execute(_CREDIT, values).one()
    if row.found != sums.height:
        raise BrokenInvariant(f"{sums.height - row.found} of these citizens have no balance in {run.unit}")
    return _of_each(sums, row.days)


def _of_each(sums: pl.DataFrame, days: str | None) -> pl.DataFrame:
    told = [None] * sums.height if days is None else days.split(",")
    ends = pl.Series("expires_on", told, dtype=pl.String).str.to_date()
    return sums.select("holder_id", "account_id", ends)


def _copied_references(call: Call, source: str, rows: pl.DataFrame) -> bool:
    """Copy the references, which come in key order; False, and nothing copied, when one of them stands."""
    frame = rows.select(
        "holder_id",
        pl.lit(source).alias("source"),
        "reference",
        "transfer_id",
        written_bytes("payload_hash"),
    )
    return copied_whole(call, "ledger_reference", frame)


def _standing(call: Call, source: str, rows: pl.DataFrame) -> pl.DataFrame:
    values = {
        "source": source,
        "holders": array_of(rows["holder_id"]),
        "references": array_of(rows["reference"]),
    }
    found = select_frame(
        call,
        _STANDING,
        values,
        schema={
            "holder_id": pl.String,
            "reference": pl.String,
            "standing_id": pl.Int64,
            "standing_hash": pl.String,
        },
    )
    return found.with_columns(pl.col("standing_hash").str.decode("hex"))


def transfer_ids(call: Call, count: int) -> pl.Series:
    """`count` fresh ids out of whole blocks of the sequence."""
    blocks = -(-count // ID_BLOCK)
    starts = call.db.execute(
        text("SELECT nextval('ledger_transfer_id') FROM generate_series(1, :blocks)"), {"blocks": blocks}
    ).scalars()
    ids = [start + step for start in starts for step in range(ID_BLOCK)]
    return pl.Series("transfer_id", ids[:count], dtype=pl.Int64)


_CREDIT = text(
    "SELECT found, array_to_string(days, ',') AS days FROM ledger_credit_many("
    "CAST(:holders AS uuid[]), CAST(:accounts AS bigint[]), CAST(:totals AS bigint[]),"
    " CAST(:policy AS date))"
)
_EXPECTED = text(
    "SELECT string_agg(greatest(CAST(:policy AS date), l.latest)::text, ',' ORDER BY k.place)"
    " FROM unnest(CAST(:holders AS uuid[]), CAST(:accounts AS bigint[])) WITH ORDINALITY"
    " AS k (holder, account, place)"
    # One step in the key for each: the newest bucket lies at its end.
    " LEFT JOIN LATERAL (SELECT c.expires_on AS latest FROM coin_bucket c"
    "  WHERE c.holder_id = k.holder AND c.account_id = k.account"
    "  ORDER BY c.expires_on DESC LIMIT 1) l ON true"
)
_STANDING = (
    "SELECT r.holder_id, r.reference, r.transfer_id, encode(r.payload_hash, 'hex') FROM ledger_reference r"
    " JOIN unnest(CAST(%(holders)s AS uuid[]), CAST(%(references)s AS text[])) AS k (holder_id, reference)"
    " USING (holder_id, reference) WHERE r.source = %(source)s"
)
