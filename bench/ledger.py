"""Credits, holds, redemptions and reads, one at a time."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import text

from app.factory import Product
from app.product_calls import run
from bench.city import REGION, City, long
from bench.figures import Figure, paced
from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import Account, CitizenAccounts, citizen_accounts, institution, open_account
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
