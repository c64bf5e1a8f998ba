"""Exchange and redemption over HTTP, as phones and tills ask for them, each durable when it is answered.

Every request has a key of its own and another citizen's turn. Controls of the same minutes: an endpoint
that does nothing behind the same door, and the update of one row from as many threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from app.factory import Product
from app.product_calls import run
from bench.city import City, Person
from bench.figures import Figure, Paced, paced
from bench.served import Clients, asked_again
from bench.wsgi import NOTHING
from kernel.call import Call
from kernel.identifiers import parse_public_id, public_id
from kernel.signing import Purpose, Signer
from rewards.voucher_codes import ONLINE_ONLY, issue, steps
from rewards.vouchers import VOUCHER

CONTROL, ROW = "empty_endpoint_http", "one_row_update"
THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Street:
    """Who exchanges and scans, and the server that they ask."""

    product: Product
    city: City
    clients: Clients


def scan_figures(street: Street, *, count: int, row_updates: float) -> list[Figure]:
    """`count` requests of each kind, beside an empty endpoint and `row_updates` a second."""
    people = street.city.people
    vouchers: list[str] = []

    def exchanged(number: int) -> None:
        who, key = people[number % len(people)], f"bench-exchange-{number:06}"
        asked_again(lambda: vouchers.append(exchange(street, who, key=key)))

    def redeemed(number: int) -> None:
        asked_again(lambda: redeem(street, shown(number), number, key=f"bench-redeem-{number:06}"))

    take_turns = partial(paced, count=count, threads=THREADS)
    take_turns(partial(_nothing, street), seconds_max=1)  # the first requests of a server import and connect
    empty = take_turns(partial(_nothing, street))
    exchanges = take_turns(exchanged)
    shown = phones(street, vouchers)
    redemptions = paced(redeemed, count=len(vouchers), threads=THREADS)
    return [
        *empty.figures(CONTROL),
        *_figures("exchange_http", exchanges, empty, row_updates),
        *_figures("redemption_http", redemptions, empty, row_updates),
    ]


def _figures(name: str, measured: Paced, empty: Paced, row_updates: float) -> list[Figure]:
    return [
        *measured.figures(name, control=CONTROL, beside=empty.per_second),
        Figure(
            name=f"{name}_beside_row_update",
            value=measured.per_second,
            unit="/s",
            control=ROW,
            ratio=measured.per_second / row_updates,
        ),
    ]


def _nothing(street: Street, number: int) -> None:
    people = street.city.people
    street.clients.post(NOTHING, {}, token=people[number % len(people)].token)


def exchange(street: Street, who: Person, *, key: str) -> str:
    """Give a citizen's coins for a voucher; its public id."""
    told = street.clients.post(
        "/v1/me/vouchers",
        {"reward_id": public_id("rwd", street.city.reward_id)},
        token=who.token,
        key=key,
    )
    return str(told["id"])


def redeem(street: Street, code: str, number: int, *, key: str) -> None:
    """Let a till, which takes its turn by `number`, redeem what a phone shows."""
    tills = street.city.till_tokens
    street.clients.post("/v1/terminal/redemptions", {"code": code}, token=tills[number % len(tills)], key=key)


def phones(street: Street, vouchers: list[str]) -> Callable[[int], str]:
    """What the phone with voucher `number` shows at the moment it is asked: its code of these 30 seconds."""
    clock = street.product.door.clock

    def read(call: Call) -> tuple[dict[UUID, Row[Any]], Signer]:
        rows = call.db.execute(_VOUCHERS, {"ids": ids})
        return {row.id: row for row in rows}, call.keys.signer(call.db, Purpose.VOUCHER_CODE, now=call.now)

    ids = [parse_public_id(VOUCHER, voucher) for voucher in vouchers]
    found, signer = run(street.product, read)

    def shown(number: int) -> str:
        row = found[ids[number]]
        ends = steps(clock.now(), ends_at=row.ends_at)[0]
        return issue(signer, code_id=bytes(row.code_id), scope_no=ONLINE_ONLY, not_after=ends)

    return shown


_VOUCHERS = text(
    "SELECT v.id, v.ends_at, c.code_id FROM voucher v"
    " JOIN voucher_code c ON c.holder_id = v.holder_id AND c.voucher_id = v.id AND c.cycle = v.cycle"
    " WHERE v.id = ANY (:ids)"
)
