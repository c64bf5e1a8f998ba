"""Credits, holds, redemptions and reads, one at a time and by the hundred thousand."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from sqlalchemy import text

from app.factory import Product
from app.product_calls import run
from bench.city import REGION, City, long
from bench.figures import Figure, paced, rate
from bench.raw_copy import CREDIT_TABLES, raw_copy_seconds
from kernel.bulk_text import new_ids
from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import Account, CitizenAccounts, citizen_accounts, institution, open_account
from ledger.bulk_accounts import open_citizen_accounts
from ledger.bulk_posting import CreditRun, post_batch
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.holds import HoldSet, hold, spend
from ledger.posting import Transfer, post
from ledger.statements import balances

ENDS = date(2030, 1, 1)
AT = datetime(2026, 11, 20, tzinfo=UTC)
THREADS = 8
CONTROL = "one_row_update"


@dataclass(frozen=True)
class Books:
    """Citizens' accounts and a shop's."""

    people: list[CitizenAccounts]
    issuance: Account
    till: Account


def _open(call: Call, city: City) -> Books:
    return Books(
        [citizen_accounts(call, person.id, region_id=REGION) for person in city.people],
        institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        open_account(call, new_id(), kind=Kind.MERCHANT, unit=Unit.COIN, region_id=REGION),
    )


def ledger_figures(product: Product, city: City, *, count: int) -> list[Figure]:
    """Single postings as a request makes them, each committed durably, and balance reads."""
    books = run(product, long(lambda call: _open(call, city)))
    people = books.people

    def credit(number: int) -> None:
        account = people[number % len(people)].coins[STANDARD]
        wanted = Transfer(
            account=account,
            contra=books.issuance,
            amount=1_000,
            code=Code.CREDIT,
            source="bench",
            reference=str(number),
            occurred_at=AT,
            expires_on=ENDS,
        )
        run(product, lambda call: post(call, wanted))

    def held(number: int) -> HoldSet:
        return HoldSet(
            holder_id=people[number % len(people)].carbon.holder_id,
            purpose="bench",
            reference=f"{number}/0",
        )

    def put_aside(number: int) -> None:
        order = people[number % len(people)].spending_order
        run(product, lambda call: hold(call, held(number), order, amount=100, until=None))
        standing.append(number)

    def redeem(place: int) -> None:
        number = standing[place]
        run(
            product,
            lambda call: spend(
                call, held(number), books.till, code=Code.REDEEM, reference=f"{number}/0", occurred_at=AT
            ),
        )

    def one_update(number: int) -> None:
        run(product, lambda call: _update_one_row(call, people[number % len(people)]))

    def read(number: int) -> None:
        run(product, lambda call: balances(call, people[number % len(people)].carbon.holder_id))

    name, standing = CONTROL, list[int]()
    control = paced(one_update, count=count, threads=THREADS)
    credits_ = paced(credit, count=count, threads=THREADS)
    holds = paced(put_aside, count=count, threads=THREADS)
    spends = paced(redeem, count=len(standing), threads=THREADS)
    return [
        *control.figures(name),
        *credits_.figures("single_credit", control=name, beside=control.per_second),
        *holds.figures("hold", control=name, beside=control.per_second),
        *spends.figures("spend_of_a_hold", control=name, beside=control.per_second),
        *paced(read, count=count, threads=THREADS).figures("balance_read"),
    ]


def _update_one_row(call: Call, who: CitizenAccounts) -> None:
    call.db.execute(
        text("UPDATE ledger_balance SET frozen = frozen WHERE holder_id = :holder AND account_id = :id"),
        {"holder": who.carbon.holder_id, "id": who.carbon.id},
    )


def bulk_figures(product: Product, *, rows: int, citizens: int) -> list[Figure]:
    """Credits by COPY through the ledger, beside raw COPY of the same final rows into the same tables."""
    accounts = run(
        product,
        long(lambda call: open_citizen_accounts(call, new_ids(citizens), region_id=REGION)),
    )
    frame = _credits(accounts.frame, rows)
    batch = new_id()

    def through_the_ledger() -> None:
        for start in range(0, rows, 50_000):
            chunk = frame.slice(start, 50_000)
            run(product, long(lambda call, part=chunk: post_batch(call, _run(call, batch), part, accounts)))  # type: ignore[misc]  # the chunk is bound now

    ledger = rate(through_the_ledger, count=rows)
    raw = rows / raw_copy_seconds(product, CREDIT_TABLES, batch_id=batch)
    return [
        Figure(name="raw_copy_credits", value=raw, unit="rows/s"),
        Figure(
            name="bulk_credits", value=ledger, unit="rows/s", control="raw_copy_credits", ratio=ledger / raw
        ),
    ]


def _run(call: Call, batch: Any) -> CreditRun:
    return CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        validity_class=STANDARD,
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source="bench-bulk",
        batch_id=batch,
        expires_on=ENDS,
    )


def _credits(accounts: pl.DataFrame, rows: int) -> pl.DataFrame:
    picked = accounts.select("holder_id")
    repeated = pl.concat([picked] * (rows // picked.height + 1)).head(rows).with_row_index("number")
    return repeated.select(
        "holder_id",
        (pl.col("number") % 9_000 + 1_000).cast(pl.Int64).alias("amount"),
        pl.format("bench/{}", "number").alias("reference"),
        pl.col("number").cast(pl.String).cast(pl.Binary).alias("payload_hash"),
        pl.lit(AT).dt.cast_time_unit("us").alias("occurred_at"),
    )
