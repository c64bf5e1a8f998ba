"""Activities are credited in groups: one posting a citizen, scenario, business day and chunk.

The activities keep the posting's id and their own share, so a statement's line opens into them.
"""

from dataclasses import dataclass
from uuid import UUID

import polars as pl

from kernel.call import Call
from kernel.publications.rules import STANDARD, first_invalid_day
from ledger.accounts import institution
from ledger.bulk_posting import BatchClaimed, CreditRun, claim_batch, post_claimed
from ledger.chart import Code, Kind, Unit

SOURCE = "activity"
_GROUP = ("citizen_id", "scenario", "business_day")


@dataclass(frozen=True)
class Credits:
    """A chunk's rows with `coin_transfer_id` and `carbon_transfer_id`, and the postings that are to come."""

    rows: pl.DataFrame
    carbon: BatchClaimed
    coins: BatchClaimed


def claim_credits(call: Call, rows: pl.DataFrame, *, region_id: str, batch_id: UUID) -> Credits:
    """Group assessed rows into postings of coins and kilograms, and claim these.

    A posting is named by the first activity that is credited with it, which is new: see `named_activity`.
    """
    ends = first_invalid_day(call, region_id, validity_class=STANDARD, credited_on=call.today)
    carbon = CreditRun(
        code=Code.CREDIT_CARBON,
        unit=Unit.CARBON,
        contra=institution(call, region_id, kind=Kind.SOURCE, unit=Unit.CARBON),
        source=SOURCE,
        batch_id=batch_id,
        expires_on=None,
    )
    coins = CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        contra=institution(call, region_id, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source=SOURCE,
        batch_id=batch_id,
        expires_on=ends,
    )
    rows, of_carbon = _claim(
        call, carbon, rows, account="carbon_account_id", amount="carbon_mg", into="carbon_transfer_id"
    )
    rows, of_coins = _claim(
        call, coins, rows, account="account_id", amount="coin_milli", into="coin_transfer_id"
    )
    return Credits(rows, of_carbon, of_coins)


def post_credits(call: Call, credits_: Credits) -> None:
    """Post them: coins last, because a citizen who spends some waits from then on to the commit."""
    post_claimed(call, credits_.carbon)
    post_claimed(call, credits_.coins)


def credits_activities(reference: str) -> bool:
    """Whether a posting stands for activities."""
    return reference.startswith(f"{SOURCE}/")


def named_activity(reference: str) -> UUID | None:
    """The activity that names such a posting (`activity/<id>/coin`); None where its batch does."""
    first, _, unit = reference.removeprefix(f"{SOURCE}/").partition("/")
    return UUID(first) if unit in set(Unit) else None


def _claim(
    call: Call, run: CreditRun, rows: pl.DataFrame, *, account: str, amount: str, into: str
) -> tuple[pl.DataFrame, BatchClaimed]:
    groups = (
        rows.filter(pl.col(amount) > 0)
        .group_by(*_GROUP, account)
        .agg(
            pl.col(amount).sum().alias("amount"),
            pl.col("occurred_at").max(),
            pl.col("activity_id", "claim_hash").first(),
        )
        .with_columns(reference=pl.col("activity_id") + f"/{run.unit.value}")
    )
    credits_ = groups.select(
        pl.col("citizen_id").alias("holder_id"),
        pl.col(account).alias("account_id"),
        "amount",
        "reference",
        pl.col("claim_hash").alias("payload_hash"),  # the reference is new: nothing can stand under it
        "occurred_at",
    )
    claimed = claim_batch(call, run, credits_)
    ours = claimed.ours.select("reference", pl.col("transfer_id").alias(into))
    ids = groups.join(ours, on="reference", how="left").select(*_GROUP, into)
    rows = rows.join(ids, on=_GROUP, how="left", maintain_order="left")
    return rows.with_columns(pl.when(pl.col(amount) > 0).then(into).alias(into)), claimed
