"""Which of a citizen's coin credits stand behind an activity, and how much of each is left.

They are the credit that it came with, and what corrections brought it since. Coins that are not justified any
more are taken from the newest first, so that what a correction brought goes before what was there.
"""

import polars as pl

from kernel.bulk_text import array_of, select_frame
from kernel.call import Call
from kernel.errors import BrokenInvariant
from ledger.chart import Unit

SOURCE = "correction"
"""Of the ledger's references: `<activity>/<number>`, and `<activity>/<number>/<place>` for what is taken."""


def shares_to_take(call: Call, rows: pl.DataFrame) -> pl.DataFrame:
    """Cut `down` of each activity into parts of its credits, numbered by `place`.

    `rows` have `coin_transfer_id` and `coin_credited`, as the activity was credited, and `corrections`, how
    often it was corrected since.
    """
    plain = rows.filter(pl.col("corrections") == 0)
    parts = [
        plain.select(
            "citizen_id",
            "id",
            pl.col("coin_transfer_id").alias("credit_id"),
            pl.col("down").alias("amount"),
            pl.lit(0, pl.Int64).alias("place"),
        )
    ]
    again = rows.filter(pl.col("corrections") > 0)
    if not again.is_empty():
        parts.append(_newest_first(again, credits_of(call, again)))
    taken = pl.concat(parts)
    if taken["credit_id"].null_count() or taken["amount"].sum() != rows["down"].sum():
        raise BrokenInvariant("coins to take back stand behind no credit")
    return taken.sort("citizen_id", "id", "place")


def credits_of(call: Call, rows: pl.DataFrame) -> pl.DataFrame:
    """The credits behind corrected activities that have something left, newest first."""
    values = {
        "citizens": array_of(rows["citizen_id"]),
        "ids": array_of(rows["id"]),
        "originals": array_of(rows["coin_transfer_id"]),
        "shares": array_of(rows["coin_credited"]),
        "unit": Unit.COIN.value,
    }
    found = select_frame(call, _CREDITS, values, schema=_CREDIT)
    return found.filter(pl.col("left") > 0).sort("citizen_id", "id", "credit_no", descending=True)


def _newest_first(rows: pl.DataFrame, credits_: pl.DataFrame) -> pl.DataFrame:
    joined = credits_.join(rows.select("citizen_id", "id", "down"), on=["citizen_id", "id"], how="inner")
    until = pl.col("left").cum_sum().over("citizen_id", "id")
    amount = pl.min_horizontal(until, "down") - pl.min_horizontal(until - pl.col("left"), "down")
    place = pl.int_range(pl.len()).over("citizen_id", "id")
    return (
        joined.with_columns(amount=amount, place=place)
        .filter(pl.col("amount") > 0)
        .select("citizen_id", "id", "credit_id", "amount", "place")
    )


_CREDIT = {
    "citizen_id": pl.String,
    "id": pl.String,
    "credit_id": pl.Int64,
    "credit_no": pl.Int64,
    "left": pl.Int64,
}
# A correction's transfers of an activity are found by their references, which begin with its id.
_CREDITS = (
    "WITH asked AS (SELECT * FROM unnest(CAST(%(citizens)s AS uuid[]), CAST(%(ids)s AS uuid[]),"
    " CAST(%(originals)s AS bigint[]), CAST(%(shares)s AS bigint[]))"
    " AS k (citizen, activity, original, share)),"
    " moved AS (SELECT k.citizen, k.activity, k.original, t.id, t.amount, t.reverses_id,"
    "  c.number FROM asked k JOIN activity_correction c ON c.citizen_id = k.citizen"
    "  AND c.activity_id = k.activity JOIN ledger_account a ON a.holder_id = k.citizen AND a.unit = %(unit)s"
    "  JOIN ledger_transfer t ON t.holder_id = a.holder_id AND t.account_id = a.id AND t.code = 'CORRECTION'"
    "  AND (t.reference = 'correction/' || k.activity || '/' || c.number"
    "   OR starts_with(t.reference, 'correction/' || k.activity || '/' || c.number || '/')))"
    " SELECT k.citizen, k.activity, k.original, 0, k.share + coalesce((SELECT CAST(sum(m.amount) AS bigint)"
    "  FROM moved m WHERE m.citizen = k.citizen AND m.activity = k.activity AND m.amount < 0"
    "  AND m.reverses_id = k.original), 0) FROM asked k WHERE k.original IS NOT NULL"
    " UNION ALL SELECT u.citizen, u.activity, u.id, u.number,"
    "  u.amount + coalesce((SELECT CAST(sum(m.amount) AS bigint)"
    "  FROM moved m WHERE m.citizen = u.citizen AND m.activity = u.activity AND m.amount < 0"
    "  AND m.reverses_id = u.id), 0) FROM moved u WHERE u.amount > 0"
)
