"""Credits, holds, redemptions and reads, one at a time and by the hundred thousand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import perf_counter
from typing import Any, TypeVar

import polars as pl
import psycopg
from psycopg import sql
from sqlalchemy import text

from app.factory import Product
from app.product_calls import run
from bench.figures import Figure, paced, rate
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.signing import Purpose
from kernel.tenancy import Region
from ledger.accounts import Account, CitizenAccounts, citizen_accounts, institution, open_account
from ledger.bulk_accounts import open_citizen_accounts
from ledger.bulk_posting import CreditRun, post_batch
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.holds import HoldSet, hold, spend
from ledger.posting import Transfer, post
from ledger.statements import balances

Result = TypeVar("Result")
REGION = "CN-GD-SZ"
ENDS = date(2030, 1, 1)
AT = datetime(2026, 11, 20, tzinfo=UTC)
THREADS = 8


@dataclass(frozen=True)
class City:
    """Citizens with accounts and a shop."""

    people: list[CitizenAccounts]
    issuance: Account
    till: Account

    @staticmethod
    def found(product: Product, *, citizens: int) -> "City":
        """Plant regions, keys, citizens and a shop."""

        def plant(call: Call) -> City:
            for code, parent in (("CN", None), ("CN-GD", "CN"), (REGION, "CN-GD")):
                call.db.add(Region(id=code, parent_id=parent, name_zh=code, name_en=code, holder_id=new_id()))
                call.db.flush()  # the child's foreign key needs the parent
            for purpose in Purpose:
                call.keys.add_key(call.db, purpose, now=call.now, signs_from=call.now)
            return City(
                [citizen_accounts(call, new_id(), region_id=REGION) for _ in range(citizens)],
                institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
                open_account(call, new_id(), kind=Kind.MERCHANT, unit=Unit.COIN, region_id=REGION),
            )

        return run(product, _long(plant))


def _long(work: Callable[[Call], Result]) -> Callable[[Call], Result]:
    """The same work without the limits of a request."""

    def unlimited(call: Call) -> Result:
        call.db.execute(text("SET LOCAL statement_timeout = 0"))
        return work(call)

    return unlimited


def ledger_figures(product: Product, city: City) -> list[Figure]:
    """Single postings as a request makes them, each committed durably, and balance reads."""
    people = city.people

    def credit(number: int) -> None:
        account = people[number % len(people)].coins[STANDARD]
        wanted = Transfer(
            account=account,
            contra=city.issuance,
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
            purpose="voucher",
            reference=f"{number}/0",
        )

    def put_aside(number: int) -> None:
        order = people[number % len(people)].spending_order
        run(product, lambda call: hold(call, held(number), order, amount=100, until=None))

    def redeem(number: int) -> None:
        run(
            product,
            lambda call: spend(
                call, held(number), city.till, code=Code.REDEEM, reference=f"{number}/0", occurred_at=AT
            ),
        )

    def one_update(number: int) -> None:
        run(product, lambda call: _update_one_row(call, people[number % len(people)]))

    def read(number: int) -> None:
        run(product, lambda call: balances(call, people[number % len(people)].carbon.holder_id))

    count = 4 * len(people)
    control = paced(one_update, count=count, threads=THREADS)
    name = "one_row_update"
    return [
        *control.figures(name),
        *paced(credit, count=count, threads=THREADS).figures(
            "single_credit", control=name, beside=control.per_second
        ),
        *paced(put_aside, count=count, threads=THREADS).figures(
            "hold", control=name, beside=control.per_second
        ),
        *paced(redeem, count=count, threads=THREADS).figures(
            "spend_of_a_hold", control=name, beside=control.per_second
        ),
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
        _long(
            lambda call: open_citizen_accounts(call, [new_id() for _ in range(citizens)], region_id=REGION)
        ),
    )
    frame = _credits(accounts, rows)
    batch = new_id()

    def through_the_ledger() -> None:
        for start in range(0, rows, 50_000):
            chunk = frame.slice(start, 50_000)
            run(product, _long(lambda call, part=chunk: post_batch(call, _run(call, batch), part)))  # type: ignore[misc]  # the chunk is bound now

    ledger = rate(through_the_ledger, count=rows)
    raw = rows / _raw_copy_seconds(product, batch)
    return [
        Figure(name="raw_copy", value=raw, unit="rows/s"),
        Figure(name="bulk_credits", value=ledger, unit="rows/s", control="raw_copy", ratio=ledger / raw),
    ]


def _run(call: Call, batch: Any) -> CreditRun:
    return CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source="bench-bulk",
        batch_id=batch,
        expires_on=ENDS,
    )


def _credits(accounts: pl.DataFrame, rows: int) -> pl.DataFrame:
    picked = accounts.select("holder_id", pl.col(STANDARD).alias("account_id"))
    repeated = pl.concat([picked] * (rows // picked.height + 1)).head(rows).with_row_index("number")
    return repeated.select(
        "holder_id",
        "account_id",
        (pl.col("number") % 9_000 + 1_000).cast(pl.Int64).alias("amount"),
        pl.format("bench/{}", "number").alias("reference"),
        pl.col("number").cast(pl.String).cast(pl.Binary).alias("payload_hash"),
        pl.lit(AT).dt.cast_time_unit("us").alias("occurred_at"),
    )


def _raw_copy_seconds(product: Product, batch: Any) -> float:
    """The rows that stand, copied into empty twins of the two tables with the same keys; seconds of it."""
    took = 0.0
    url = product.settings.database_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as connection:
        for table, where in (
            ("ledger_reference", "source = 'bench-bulk'"),
            ("ledger_transfer", "batch_id = %s"),
        ):
            twin = sql.Identifier(f"bench_{table}")
            connection.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(twin, sql.Identifier(table))
            )
            chosen = sql.SQL("COPY (SELECT * FROM {} WHERE {} ORDER BY 1, 2, 3) TO STDOUT").format(
                sql.Identifier(table),
                sql.SQL(where),
            )
            values = [batch] if "%s" in where else []
            with connection.cursor() as cursor, cursor.copy(chosen, values) as source:
                data = b"".join(bytes(block) for block in source)
            start = perf_counter()
            with connection.cursor() as cursor, cursor.copy(_into(twin)) as sink:
                sink.write(data)
            connection.commit()
            took += perf_counter() - start
    return took


def _into(table: sql.Identifier) -> sql.Composed:
    return sql.SQL("COPY {} FROM STDIN").format(table)
