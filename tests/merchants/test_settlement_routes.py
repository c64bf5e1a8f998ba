"""A settlement is paid over HTTP by a bank's id that has one way to be written."""

from functools import partial

import pytest

from app.factory import Product
from app.identity.roles import Role
from kernel.actor import ActorKind
from kernel.clock import FixedClock
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from merchants.settlement.agreement import confirm
from merchants.settlement.closing import close_next
from merchants.settlement.records import settlements
from tests.conftest import Database
from tests.merchants.offline_world import Town, found_town
from tests.merchants.settlement_world import CLOSING, publish_terms
from tests.merchants.test_till_routes import Ask, ask, staff_token
from tests.rewards.world import actor

__all__ = ["ask"]


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    return found_town(product, database, clock)


def test_a_banks_id_that_is_written_otherwise_is_refused_with_its_pointer(town: Town, ask: Ask) -> None:
    town.run(publish_terms)
    me = town.citizen()
    town.till().scan(town.codes(me, town.buy(me))[0])
    while town.database.run(partial(close_next, merchant_id=town.merchant_id), now=CLOSING):
        pass
    (told,) = town.run(lambda call: list(settlements(call, PageRequest()).items))
    merchant = actor(ActorKind.MERCHANT, organisation=town.merchant_id)
    town.database.run(lambda call: confirm(call, told.id), now=CLOSING, actor=merchant)
    publisher = staff_token(town, Role.OPERATOR_PUBLISHER)
    address = f"/v1/operator/settlements/{public_id('stl', told.id)}/payment"
    for written in ("x-1 ", "X-1 ", "x-1", "\uff38-1"):
        refused = ask(publisher, "POST", address, {"bank_statement_id": written})
        assert refused.status_code == 422
        assert [each["pointer"] for each in refused.json["errors"]] == ["/body/bank_statement_id"]
    paid = ask(publisher, "POST", address, {"bank_statement_id": "X-1"})
    assert (paid.status_code, paid.json["payment"]["bank_statement_id"]) == (201, "X-1")
