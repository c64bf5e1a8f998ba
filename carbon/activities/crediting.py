"""Activities are credited in groups: one posting of each unit a citizen, scenario, business day and chunk.

The activities keep the posting's id and their own share, so a statement's line opens into them.
"""

from dataclasses import dataclass
from uuid import UUID

import polars as pl

from kernel.call import Call
from kernel.publications.rules import STANDARD, first_invalid_day
from ledger.accounts import institution
from ledger.bulk_accounts import ManyAccounts
from ledger.bulk_posting import CreditRun, claim_batch, post_claimed, transfer_ids
from ledger.chart import NO_CLASS, Code, Kind, Unit

SOURCE = "activity"
_GROUP = ("citizen_id", "scenario", "business_day")


@dataclass(frozen=True)
class Credits:
    """A chunk's rows with `coin_transfer_id` and `carbon_transfer_id`, and the postings that are to come."""

    rows: pl.DataFrame
    postings: pl.DataFrame


def claim_credits(call: Call, rows: pl.DataFrame) -> Credits:
    """Group assessed rows into postings, of kilograms and of the coins for them, and claim these.

    Both are named by the first activity that is credited with them, which is new: see `named_activity`.
    """
    groups = (
        rows.filter(pl.col("carbon_mg") > 0)
        .group_by(_GROUP)
        .agg(
            pl.col("carbon_mg", "coin_milli").sum(),
            pl.col("occurred_at").max(),
            pl.col("activity_id").first().alias("reference"),
            # The reference is new: nothing can stand under it.
            pl.col("claim_hash").first().alias("payload_hash"),
        )
        .with_columns(holder_id=pl.col("citizen_id"))
    )
    postings = claim_batch(call, SOURCE, groups).ours.rename({"transfer_id": "carbon_transfer_id"})
    ids = transfer_ids(call, postings.height).alias("coin_transfer_id")
    postings = postings.with_columns(pl.when(pl.col("coin_milli") > 0).then(ids))
    found = postings.select(*_GROUP, "carbon_transfer_id", "coin_transfer_id")
    rows = rows.join(found, on=_GROUP, how="left", maintain_order="left").with_columns(
        pl.when(pl.col("carbon_mg") > 0).then("carbon_transfer_id").alias("carbon_transfer_id"),
        pl.when(pl.col("coin_milli") > 0).then("coin_transfer_id").alias("coin_transfer_id"),
    )
    return Credits(rows, postings)


def post_credits(
    call: Call, postings: pl.DataFrame, accounts: ManyAccounts, *, region_id: str, batch_id: UUID
) -> None:
    """Post what was claimed: coins last, because a citizen who spends some waits from then to the commit."""
    ends = first_invalid_day(call, region_id, validity_class=STANDARD, credited_on=call.today)
    carbon = CreditRun(
        code=Code.CREDIT_CARBON,
        unit=Unit.CARBON,
        validity_class=NO_CLASS,
        contra=institution(call, region_id, kind=Kind.SOURCE, unit=Unit.CARBON),
        source=SOURCE,
        batch_id=batch_id,
        expires_on=None,
    )
    coins = CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        validity_class=STANDARD,
        contra=institution(call, region_id, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source=SOURCE,
        batch_id=batch_id,
        expires_on=ends,
    )
    post_claimed(call, carbon, _credit(postings, "carbon_transfer_id", amount="carbon_mg"), accounts)
    of_coins = postings.filter(pl.col("coin_milli") > 0)
    post_claimed(call, coins, _credit(of_coins, "coin_transfer_id", amount="coin_milli"), accounts)


def _credit(postings: pl.DataFrame, transfer: str, *, amount: str) -> pl.DataFrame:
    return postings.select(
        "holder_id",
        pl.col(transfer).alias("transfer_id"),
        pl.col(amount).alias("amount"),
        "reference",
        "occurred_at",
    )


def credits_activities(reference: str) -> bool:
    """Whether a posting stands for activities."""
    return reference.startswith(f"{SOURCE}/")


def named_activity(reference: str) -> UUID | None:
    """The activity that names such a posting (`activity/<id>`); None where its batch does.

    Those of two former forms stand in the ledger for ever: `activity/<id>/coin` and
    `activity/<batch>/<file>/<line>/<scenario>/<day>`.
    """
    first, _, rest = reference.removeprefix(f"{SOURCE}/").partition("/")
    return UUID(first) if not rest or rest in set(Unit) else None
