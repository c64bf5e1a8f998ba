"""Each event reaches its owner with ids and figures alone, and is made of what the services announce."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from app.factory import Product
from app.notifications.webhooks.deliveries import prepare_deliveries
from app.notifications.webhooks.endpoints import Wanted, register
from app.notifications.webhooks.events import EVENTS, documented
from app.notifications.webhooks.tables import WebhookDelivery
from carbon.activities.batch_records import Content, Opening, move, open_batch
from carbon.activities.batch_states import State
from carbon.partners.bindings import give_consent, withdraw_consent
from carbon.partners.consent_texts import CONSENT_TEXTS, GENERAL
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.identifiers import new_id, public_id
from merchants.offline_conflicts import CONFLICT
from merchants.redemption import redeem
from merchants.redemption_reversal import reverse
from merchants.settlement.agreement import confirm
from merchants.settlement.payment import pay
from tests.app.notifications.webhooks.test_deliveries import waiting_news
from tests.app.notifications.webhooks.world import a_partner, as_manager, batches_done, switched_on
from tests.conftest import NOW, Database, at
from tests.ledger.world import citizen
from tests.merchants.offline_world import found_town
from tests.merchants.settlement_world import CLOSING, closed, publish_terms, used
from tests.merchants.world import bought, code_of, customer, market
from tests.rewards.world import acting

MERCHANTS = [each.name for each in EVENTS if "merchant" in each.audience]
EXAMPLES = {each.name: each.example for each in EVENTS}


def listen(call: Call, merchant_id: UUID) -> None:
    """An endpoint of a merchant that wants everything."""
    theirs = replace(call, actor=as_manager(merchant_id))
    wanted = Wanted(url="https://till.example.com/", events=MERCHANTS, description="tills")
    endpoint = register(theirs, wanted).endpoint
    endpoint.state, endpoint.verified_at = "on", call.now
    call.db.flush()


def sent(call: Call) -> list[dict[str, Any]]:
    """What is told of everything announced so far."""
    call.db.flush()
    prepare_deliveries(call, waiting_news(call))
    rows = call.db.query(WebhookDelivery).order_by(WebhookDelivery.happened_at, WebhookDelivery.id)
    return [orjson.loads(row.body) for row in rows]


def like_its_example(event: dict[str, Any]) -> None:
    """The names, the kinds and the order of the data are those that are published."""
    body = documented()[event["type"]]["post"]["requestBody"]["content"]["application/json"]
    assert list(Draft202012Validator(body["schema"]).iter_errors(event)) == []
    assert list(event["data"]) == list(EXAMPLES[event["type"]])


def test_a_redemption_its_reversal_and_the_next_use_are_told_to_the_merchant(call: Call) -> None:
    place, me = market(call), customer(call)
    listen(call, place.merchant_id)
    key = bought(call, place, me)
    used = redeem(place.at_till(call), code_of(call, me, key))
    later = at(call, NOW + timedelta(minutes=1))
    reverse(place.at_till(later), used.id, reason="scanned by mistake")
    last = at(call, NOW + timedelta(minutes=2))
    again = redeem(place.at_till(last), code_of(last, me, key))
    told = sent(last)
    assert [each["type"] for each in told] == [
        "voucher.redeemed.v1",
        "redemption.reversed.v1",
        "voucher.redeemed.v1",
    ]
    first, undone, second = (each["data"] for each in told)
    assert first["redemption_id"] == undone["redemption_id"] == public_id("red", used.id)
    assert second["redemption_id"] == public_id("red", again.id)
    assert (first["payable_fen"], undone["lives_again"]) == (used.payable_fen, True)
    assert told[0]["timestamp"] == "2026-11-20T04:00:00Z"
    for each in told:
        like_its_example(each)
        everything = orjson.dumps(each).decode()
        for secret in (str(me.id), public_id("ctz", me.id), "mistake"):
            assert secret not in everything


def test_another_merchant_hears_nothing_of_it(call: Call) -> None:
    place, me = market(call), customer(call)
    listen(call, new_id())
    redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    assert sent(call) == []


def test_an_offline_conflict_is_told_to_the_merchant(
    product: Product, database: Database, clock: FixedClock
) -> None:
    town = found_town(product, database, clock)
    town.run(lambda call: listen(call, town.merchant_id))
    me, first, second = town.citizen(), town.offline_till(), town.offline_till()
    key = town.buy(me)
    code = town.codes(me, key)[0]
    for till in (first, second):
        till.scan(code)
        till.connected = True
        till.sync()
    told = town.run(sent)
    (case,) = [each for each in told if each["type"] == "offline.conflict.v1"]
    row = town.rows("offline_conflict")[0]
    assert case["data"] == {
        "conflict_id": public_id(CONFLICT, row.id),
        "store_id": public_id("sto", row.store_id),
        "terminal_id": public_id("trm", row.terminal_id),
        "cause": "redeemed",
        "liable": row.liable,
        "cost_fen": row.cost_fen,
    }
    like_its_example(case)


def test_a_closed_and_a_paid_settlement_are_told_with_figures_alone(call: Call) -> None:
    place, me = market(call), customer(call)
    publish_terms(call)
    used(call, place, me)
    listen(call, place.merchant_id)
    (settlement,) = closed(call, place)
    late = at(call, CLOSING)
    merchant = acting(late, ActorKind.MERCHANT, organisation=place.merchant_id)
    confirm(merchant, settlement.id)
    pay(acting(late, ActorKind.OPERATOR), settlement.id, bank_statement_id="BANK-1")
    told = [each for each in sent(late) if each["type"].startswith("settlement.")]
    assert [each["type"] for each in told] == ["settlement.closed.v1", "settlement.paid.v1"]
    for each in told:
        assert each["data"]["settlement_id"] == public_id("stl", settlement.id)
        assert each["data"]["payable_fen"] == settlement.payable_fen
        assert "BANK-1" not in orjson.dumps(each).decode()
        like_its_example(each)


def test_batches_that_end_are_told_to_their_partner_and_cancelled_ones_are_not(call: Call) -> None:
    endpoint, _ = switched_on(call)
    batches_done(call, endpoint.owner_id)
    for state in (State.FAILED, State.CANCELLED):
        opening = Opening(reference=state.value, adapter="csv")
        batch = open_batch(call, endpoint.owner_id, opening, begun=Content(digest=bytes(32), lines=1))
        batch.failure = "file_too_large" if state is State.FAILED else None
        move(call, batch, state, reason="a test")
    told = sent(call)
    assert [(each["type"], each["data"]["failure"]) for each in told] == [
        ("batch.done.v1", None),
        ("batch.failed.v1", "file_too_large"),
    ]
    for each in told:
        like_its_example(each)


def test_a_withdrawn_consent_is_told_without_saying_whose(call: Call) -> None:
    endpoint, _ = switched_on(call)
    me = citizen(call)
    mine = acting(call, ActorKind.CITIZEN, me.id)
    consent = give_consent(mine, endpoint.owner_id, text_version=CONSENT_TEXTS[GENERAL].version)
    assert withdraw_consent(mine, me.id, endpoint.owner_id)
    assert not withdraw_consent(mine, me.id, endpoint.owner_id)
    (told,) = sent(call)
    assert told["type"] == "consent.withdrawn.v1"
    assert told["data"] == {
        "consent_id": public_id("con", consent.id),
        "withdrawn_at": "2026-11-20T04:00:00Z",
    }
    like_its_example(told)


def test_names_are_of_the_standards_letters_and_end_with_a_version() -> None:
    for each in EVENTS:
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+\.v[0-9]+", each.name)
        assert re.search("[\u4e00-\u9fff]", each.zh)
        assert not re.search("holder|citizen|person|phone|station|card|occurred", " ".join(each.example))


def test_the_document_describes_every_event(product: Product) -> None:
    client = product.flask.test_client()
    webhooks = client.get("/openapi.json").get_json()["webhooks"]
    assert sorted(webhooks) == sorted(each.name for each in EVENTS)
    for name, said in webhooks.items():
        content = said["post"]["requestBody"]["content"]["application/json"]
        assert list(Draft202012Validator(content["schema"]).iter_errors(content["example"])) == []
        assert content["example"]["type"] == name
    listed = client.get("/v1/public/webhook-events").get_json()["items"]
    assert [each["name"] for each in listed] == [each.name for each in EVENTS]


@pytest.mark.parametrize("owner", ["merchant", "partner"])
def test_every_owner_has_something_to_be_told(owner: str) -> None:
    assert len([each for each in EVENTS if owner in each.audience]) >= 4


def test_news_of_a_partner_nobody_listens_for_writes_nothing(call: Call) -> None:
    batches_done(call, a_partner(call), 3)
    assert sent(call) == []
