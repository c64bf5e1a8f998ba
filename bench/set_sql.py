"""A peer of the bulk writer: the same credits by plain SQL, a staging table and five statements a chunk.

This is how one who knows SQL would post them without an engine: every reference once and for all, balances
and buckets raised by sums, the same final rows in the same tables. Only ids differ.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from psycopg import sql

from app.factory import Product
from bench.delivery import must
from kernel.bulk_text import written_bytes, written_instant
from ledger.bulk_posting import CreditRun


@dataclass(frozen=True)
class SetSql:
    """A connection with the staging tables."""

    connection: psycopg.Connection

    def post(self, run: CreditRun, credits_: pl.DataFrame) -> None:
        """Post a chunk in one transaction, as `ledger.bulk_posting.post_batch` does."""
        values: dict[str, Any] = {
            "code": run.code.value,
            "unit": run.unit.value,
            "class": run.validity_class,
            "contra": run.contra.id,
            "source": run.source,
            "batch": run.batch_id,
            "policy": run.expires_on,
        }
        staged = credits_.select(
            "holder_id", "amount", "reference", written_bytes("payload_hash"), written_instant("occurred_at")
        )
        with self.connection.transaction(), self.connection.cursor() as cursor:
            with cursor.copy("COPY bench_staged FROM STDIN (FORMAT csv)") as sink:
                sink.write(staged.write_csv(include_header=False))
            for statement in _STATEMENTS:
                cursor.execute(statement, values)


@contextmanager
def set_sql(product: Product) -> Iterator[SetSql]:
    """A connection of one's own to the product's database, with empty staging tables."""
    with _connected(product) as connection:
        connection.execute(_STAGING)
        yield SetSql(connection)


def must_be_equal(product: Product, one: UUID, other: UUID) -> None:
    """Raise BrokenInvariant unless two batches left equal transfers, references, balances and buckets."""
    with _connected(product) as connection:
        for query in _LEFT:
            pair = [sql.SQL(query).format(batch=sql.Literal(batch)) for batch in (one, other)]
            counted = sql.SQL(
                "WITH a AS ({}), b AS ({}) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b),"
                " (SELECT count(*) FROM (SELECT * FROM a EXCEPT ALL SELECT * FROM b) x)"
            ).format(*pair)
            ((ours, theirs, only_ours),) = connection.execute(counted).fetchall()
            must(
                ours == theirs > 0 and not only_ours,
                f"{ours} rows, {theirs} by plain SQL, {only_ours} differ: {query}",
            )


def _connected(product: Product) -> psycopg.Connection:
    url = product.settings.database_url.replace("postgresql+psycopg", "postgresql")
    return psycopg.connect(url, autocommit=True)


_STAGING = """
CREATE TEMP TABLE bench_staged
    (holder_id uuid, amount bigint, reference text, payload_hash bytea, occurred_at timestamptz)
    ON COMMIT DELETE ROWS;
CREATE TEMP TABLE bench_fresh (holder_id uuid, reference text, transfer_id bigint) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE bench_sums (holder_id uuid, account_id bigint, total bigint, day date)
    ON COMMIT DELETE ROWS
"""
# Who was there before keeps its reference, and nothing is posted under it again.
_CLAIM = """
WITH claimed AS (
    INSERT INTO ledger_reference (holder_id, source, reference, transfer_id, payload_hash)
    SELECT holder_id, %(source)s, reference, nextval('ledger_transfer_id'), payload_hash
    FROM bench_staged ORDER BY holder_id, reference
    ON CONFLICT DO NOTHING RETURNING holder_id, reference, transfer_id
)
INSERT INTO bench_fresh SELECT holder_id, reference, transfer_id FROM claimed
"""
_SUM = """
INSERT INTO bench_sums
SELECT s.holder_id, a.id, s.total,
    greatest(%(policy)s, (SELECT max(c.expires_on) FROM coin_bucket c
                          WHERE c.holder_id = s.holder_id AND c.account_id = a.id))
FROM (SELECT holder_id, sum(amount)::bigint AS total
      FROM bench_staged JOIN bench_fresh USING (holder_id, reference) GROUP BY holder_id) s
JOIN ledger_account a ON a.holder_id = s.holder_id AND a.kind = 'citizen' AND a.unit = %(unit)s
    AND a.validity_class = %(class)s
"""
_RAISE = """
UPDATE ledger_balance b SET posted = b.posted + s.total, next_expiry = least(b.next_expiry, s.day)
FROM bench_sums s WHERE b.holder_id = s.holder_id AND b.account_id = s.account_id
"""
_FILL = """
INSERT INTO coin_bucket AS c (holder_id, account_id, expires_on, credited)
SELECT holder_id, account_id, day, total FROM bench_sums ORDER BY 1, 2, 3
ON CONFLICT (holder_id, account_id, expires_on) DO UPDATE SET credited = c.credited + excluded.credited
"""
_TRANSFER = """
INSERT INTO ledger_transfer (holder_id, account_id, id, contra_id, amount, unit, code, reference, batch_id,
    expires_on, occurred_at, recorded_at)
SELECT s.holder_id, u.account_id, f.transfer_id, %(contra)s, s.amount, %(unit)s, %(code)s,
    %(source)s || '/' || s.reference, %(batch)s, u.day, s.occurred_at, now()
FROM bench_staged s JOIN bench_fresh f USING (holder_id, reference) JOIN bench_sums u USING (holder_id)
ORDER BY 1, 2, 3
"""
_STATEMENTS = (
    "ANALYZE bench_staged",
    _CLAIM,
    "ANALYZE bench_fresh",
    _SUM,
    "ANALYZE bench_sums",
    _RAISE,
    _FILL,
    _TRANSFER,
)
_TRANSFERS_LEFT = """
SELECT contra_id, amount, unit, code, reference, movement_id, hold_id, reverses_id, expires_on, occurred_at
FROM ledger_transfer WHERE batch_id = {batch}
"""
_REFERENCES_LEFT = """
SELECT r.source, r.reference, r.payload_hash FROM ledger_reference r
JOIN ledger_transfer t ON t.id = r.transfer_id WHERE t.batch_id = {batch}
"""
_BALANCES_LEFT = """
SELECT b.posted, b.held, b.floor, b.frozen, b.next_expiry, c.expires_on, c.credited, c.expired
FROM (SELECT DISTINCT holder_id, account_id FROM ledger_transfer WHERE batch_id = {batch}) t
JOIN ledger_balance b USING (holder_id, account_id) JOIN coin_bucket c USING (holder_id, account_id)
"""
_LEFT = (_TRANSFERS_LEFT, _REFERENCES_LEFT, _BALANCES_LEFT)
"""What a batch left, without the ids and holders that are its own."""
