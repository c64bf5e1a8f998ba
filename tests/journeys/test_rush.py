"""Two hundred phones at a time for a hundred items through a real server: a hundred are sold, to the coin."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.factory import create_product
from app.product_calls import run
from bench.city import found_city, offer
from bench.rush import sign_in_many
from bench.rush_clients import rush
from kernel.database import create_engine, sessions_on
from kernel.identifiers import new_id, public_id
from tests.conftest import Database, cloned_database, settings_for
from tests.journeys.served import Served
from tests.merchants.world import sound

CITIZENS, ITEMS, PARALLEL = 260, 100, 200
PRICE_COIN_MILLI = 1000


@pytest.fixture(scope="module")
def rushed(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Any]]:
    """The database after a rush, and what the crowd was told."""
    with cloned_database() as url:
        product = create_product(settings_for(url, cache_url))
        found_city(product, citizens=1, tills=1)
        people = sign_in_many(product, CITIZENS)
        reward = run(product, lambda call: offer(call, stock=ITEMS))
        product.close()
        served, engine = (
            Served(url, cache_url, tmp_path_factory.mktemp("rush") / "web.log"),
            create_engine(url),
        )
        try:
            served.start()
            asked = {
                "port": served.port,
                "reward": public_id("rwd", reward),
                "parallel": PARALLEL,
                "asks": [[who.token, new_id().hex] for who in people],
            }
            yield Database(url, engine, sessions_on(engine)), asyncio.run(rush(asked))
        finally:
            served.kill()
            engine.dispose()


def test_exactly_as_many_are_sold_as_there_are_and_all_others_are_told_so(
    rushed: tuple[Database, Any],
) -> None:
    # Who was told to wait came again when told to; in the end each has a clear answer.
    assert rushed[1]["told"] == {"201": ITEMS, "409 out_of_stock": CITIZENS - ITEMS}


def test_nobody_is_charged_without_a_voucher_and_nobody_has_one_for_nothing(
    rushed: tuple[Database, Any],
) -> None:
    database, _ = rushed
    (sold,) = database.rows(
        "SELECT count(*) AS vouchers, count(DISTINCT holder_id) AS people FROM voucher WHERE state = 'issued'"
    )
    assert (sold.vouchers, sold.people) == (ITEMS, ITEMS)
    held = database.rows(
        "SELECT holder_id, sum(held) AS n FROM ledger_balance GROUP BY 1 HAVING sum(held) <> 0"
    )
    buyers = {row.holder_id for row in database.rows("SELECT holder_id FROM voucher")}
    assert {row.holder_id: int(row.n) for row in held} == dict.fromkeys(buyers, PRICE_COIN_MILLI)
    (left,) = database.rows(
        "SELECT sum(s.remaining) AS n FROM reward_stock s JOIN reward r ON r.id = s.reward_id"
        " WHERE r.stock_total = :items",
        items=ITEMS,
    )
    assert left.n == 0
    database.run(sound)
