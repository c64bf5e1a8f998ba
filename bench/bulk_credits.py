"""Credits by the fifty thousand: through the ledger, by plain SQL, and their rows copied raw."""

from datetime import UTC, date, datetime
from functools import partial
from uuid import UUID

import polars as pl

from app.factory import Product
from app.product_calls import run
from bench.city import REGION, long
from bench.figures import Figure, compared, seconds
from bench.raw_copy import CREDIT_TABLES, raw_copy_seconds
from bench.set_sql import must_be_equal, set_sql
from kernel.bulk_text import new_ids
from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import institution
from ledger.bulk_accounts import ManyAccounts, open_citizen_accounts
from ledger.bulk_posting import CreditRun, post_batch
from ledger.chart import STANDARD, Code, Kind, Unit

ENDS = date(2030, 1, 1)
AT = datetime(2026, 11, 20, tzinfo=UTC)
CHUNK_ROWS = 50_000


def bulk_figures(product: Product, *, rows: int, citizens: int) -> list[Figure]:
    """Credits by COPY through the ledger, beside raw COPY of the same final rows and beside plain SQL.

    The ledger's chunks and those of plain SQL take turns, for citizens of their own.
    """
    ours, theirs = (citizens_with_accounts(product, citizens) for _ in range(2))
    our_credits, their_credits = credits_of(ours, rows), credits_of(theirs, rows)
    our_batch, their_batch = new_id(), new_id()
    through_the_ledger = by_plain_sql = 0.0
    with set_sql(product) as peer:
        for start in range(0, rows, CHUNK_ROWS):
            chunk = our_credits.slice(start, CHUNK_ROWS)
            through_the_ledger += seconds(partial(post_credits, product, our_batch, chunk, ours))
            posted = run(product, partial(credit_run, batch=their_batch))
            by_plain_sql += seconds(partial(peer.post, posted, their_credits.slice(start, CHUNK_ROWS)))
    must_be_equal(product, our_batch, their_batch)
    raw = rows / raw_copy_seconds(product, CREDIT_TABLES, batch_id=our_batch)
    control = Figure(name="raw_copy_credits", value=raw, unit="rows/s")
    plain = _beside("set_sql_credits", rows / by_plain_sql, control)
    bulk = _beside("bulk_credits", rows / through_the_ledger, control)
    return [control, plain, bulk, compared(bulk, plain, short="set_sql")]


def _beside(name: str, value: float, control: Figure) -> Figure:
    return Figure(name=name, value=value, unit="rows/s", control=control.name, ratio=value / control.value)


def citizens_with_accounts(product: Product, count: int) -> ManyAccounts:
    """So many new citizens."""
    return run(product, long(lambda call: open_citizen_accounts(call, new_ids(count), region_id=REGION)))


def post_credits(product: Product, batch: UUID, chunk: pl.DataFrame, accounts: ManyAccounts) -> None:
    """Post a chunk through the ledger, in one transaction."""
    run(product, long(lambda call: post_batch(call, credit_run(call, batch), chunk, accounts)))


def credit_run(call: Call, batch: UUID) -> CreditRun:
    """What all credits of a batch share."""
    return CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        validity_class=STANDARD,
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source="bench-bulk",
        batch_id=batch,
        expires_on=ENDS,
    )


def credits_of(accounts: ManyAccounts, rows: int) -> pl.DataFrame:
    """So many credits of different amounts, the citizens in turn."""
    picked = accounts.frame.select("holder_id")
    repeated = pl.concat([picked] * (rows // picked.height + 1)).head(rows).with_row_index("number")
    return repeated.select(
        "holder_id",
        (pl.col("number") % 9_000 + 1_000).cast(pl.Int64).alias("amount"),
        pl.format("bench/{}", "number").alias("reference"),
        pl.col("number").cast(pl.String).cast(pl.Binary).alias("payload_hash"),
        pl.lit(AT).dt.cast_time_unit("us").alias("occurred_at"),
    )
