"""The story over HTTP: shelf, exchange, codes, till, reversal, statement; and what is refused on the way."""

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from PIL import Image

from kernel.actor import ANONYMOUS, Actor, ActorKind
from kernel.clock import FixedClock
from kernel.http.endpoint import Door, install_door
from kernel.http.openapi import ProblemApi
from kernel.http.problems import answer_all_errors
from kernel.identifiers import new_id, public_id
from kernel.permission import Permission
from kernel.units import INT64_MAX
from merchants.routes import routes as merchant_routes
from merchants.terminals import terminal_by_token
from rewards.catalogue.desk_routes import routes as desk_routes
from rewards.catalogue.routes import routes as shelf_routes
from rewards.routes import routes as reward_routes
from tests.conftest import KEYS, NOW, REGION, Database
from tests.ledger.world import Citizen
from tests.merchants.world import sound
from tests.qr_reading import read_code
from tests.rewards.world import actor, publish_rules, rich_citizen


@dataclass
class City:
    """A served application whose callers are named in a header, and tills by their own secret."""

    client: FlaskClient
    callers: dict[str, Actor]
    clock: FixedClock
    database: Database
    citizen: Citizen

    def ask(self, who: str, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {"X-Who": who, "Idempotency-Key": key or new_id().hex}
        return self.client.open(path, method=method, json=body, headers=headers)


@pytest.fixture
def city(database: Database) -> City:
    database.run(publish_rules)
    me = database.run(lambda call: rich_citizen(call, 20_000))
    stranger = database.run(rich_citizen)
    callers = {
        "citizen": actor(ActorKind.CITIZEN, me.id),
        "stranger": actor(ActorKind.CITIZEN, stranger.id),
        "operator": actor(ActorKind.OPERATOR),
        "publisher": actor(ActorKind.OPERATOR),
        "nobody": Actor(kind=ActorKind.CITIZEN, id=new_id(), region_id=REGION),
    }
    clock = FixedClock(NOW)
    app = Flask("test")
    app.testing = True
    app.config.update(API_TITLE="t", API_VERSION="1", OPENAPI_VERSION="3.1.0")

    def identify() -> Actor:
        who = request.headers.get("X-Who", "")
        with database.sessions() as session:
            till = terminal_by_token(session, who)
        if till is None:
            return callers.get(who, ANONYMOUS)
        return Actor(
            kind=ActorKind.TERMINAL,
            id=till.id,
            region_id=till.region_id,
            organisation_id=till.merchant_id,
            permissions=frozenset({Permission.TERMINAL_REDEEM, Permission.REDEMPTION_REVERSE}),
        )

    install_door(app, Door(sessions=database.sessions, clock=clock, keys=KEYS, identify=identify))
    api = ProblemApi(app)
    for room in (shelf_routes, desk_routes, reward_routes, merchant_routes):
        api.register_blueprint(room)
    answer_all_errors(app)
    return City(app.test_client(), callers, clock, database, me)


def _open_shop(city: City) -> tuple[str, str, str]:
    """A merchant, a store, a paired till and a reward, all through the front door."""
    names = {"name_zh": "示例", "name_en": "Example"}
    merchant = city.ask("operator", "POST", "/v1/merchants", names).json["id"]
    store = city.ask("operator", "POST", f"/v1/merchants/{merchant}/stores", names).json["id"]
    pairing = city.ask("operator", "POST", f"/v1/stores/{store}/terminals", {"label": "till"})
    assert pairing.headers["Cache-Control"] == "no-store"
    paired = city.ask("", "POST", "/v1/terminal/pairing", {"code": pairing.json["code"]})
    assert paired.status_code == 201
    funder = city.ask("operator", "POST", "/v1/funders", names).json["id"]
    offer = {
        "title_zh": "面包一份",
        "title_en": "Bread",
        "price_coin_milli": 3000,
        "cost_fen": 500,
        "funding": [{"funder_id": funder, "parts": 1}],
        "valid_days": 30,
        "limit_per_person": 5,
        "stock": 10,
        "sells_from": "2026-11-01T00:00:00+08:00",
        "sells_until": "2027-11-01T00:00:00+08:00",
        "merchant_id": merchant,
    }
    reward = city.ask("operator", "POST", "/v1/rewards", offer)
    assert reward.status_code == 201, reward.json
    published = f"/v1/rewards/{reward.json['id']}/publication"
    seen = {"reason": "checked", "picture_sha256": None}
    assert city.ask("publisher", "POST", published, seen).status_code == 201
    return merchant, paired.json["token"], reward.json["id"]


def test_a_voucher_travels_from_the_shelf_to_the_merchants_statement(city: City) -> None:
    merchant, till, reward = _open_shop(city)
    shelf = city.ask("", "GET", f"/v1/rewards?region={REGION}")
    assert [(item["id"], item["remaining"]) for item in shelf.json["items"]] == [(reward, 10)]
    bought = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}, key="exchange-1")
    again = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}, key="exchange-1")
    assert (bought.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert bought.json == again.json
    voucher = f"/v1/me/vouchers/{bought.json['id']}"
    codes = city.ask("citizen", "GET", f"{voucher}/codes")
    assert (len(codes.json["items"]), codes.headers["Cache-Control"]) == (20, "no-store")
    code = codes.json["items"][0]["text"]
    prepared = city.ask(till, "POST", "/v1/terminal/redemptions/prepare", {"code": code})
    assert (prepared.status_code, prepared.json["coin_milli"]) == (201, 3000)
    done = city.ask(till, "POST", "/v1/terminal/redemptions/confirm", {"session": prepared.json["session"]})
    assert (done.status_code, done.json["payable_fen"]) == (201, 500)
    undo = f"/v1/terminal/redemptions/{done.json['id']}/reversal"
    assert city.ask(till, "POST", undo, {"reason": "wrong item"}).json["lives_again"] is True
    fresh = city.ask("citizen", "GET", f"{voucher}/codes").json["items"][0]["text"]
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in fresh)
    assert city.ask(till, "POST", "/v1/terminal/redemptions", {"code": wide}).status_code == 201
    city.callers["clerk"] = actor(ActorKind.MERCHANT, None, _merchant_id(merchant))
    told = city.ask("clerk", "GET", "/v1/merchant/statements/2026-11-20").json
    assert [line["coin_milli"] for line in told["lines"]] == [3000, -3000, 3000]
    assert (told["coin_milli"], told["payable_fen"], len(told["digest"])) == (3000, 500, 64)
    assert (told["line_count"], told["next"]) == (3, None)
    lines = "/v1/merchant/statements/2026-11-20/lines"
    first = city.ask("clerk", "GET", f"{lines}?limit=2").json
    rest = city.ask("clerk", "GET", f"{lines}?limit=2&after={first['next']}").json
    assert (first["items"] + rest["items"], rest["next"]) == (told["lines"], None)
    city.database.run(sound)


def _merchant_id(public: str) -> Any:
    from kernel.identifiers import parse_public_id  # noqa: PLC0415 - only here

    return parse_public_id("mer", public)


def test_a_lock_that_ran_out_is_no_longer_shown(city: City) -> None:
    _, till, reward = _open_shop(city)
    bought = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json
    voucher = f"/v1/me/vouchers/{bought['id']}"
    code = city.ask("citizen", "GET", f"{voucher}/codes").json["items"][0]["text"]
    assert city.ask(till, "POST", "/v1/terminal/redemptions/prepare", {"code": code}).status_code == 201
    assert city.ask("citizen", "GET", voucher).json["state"] == "locked"
    city.clock.advance(timedelta(seconds=60))
    assert city.ask("citizen", "GET", voucher).json["state"] == "issued"
    assert city.ask("citizen", "GET", "/v1/me/vouchers").json["items"][0]["state"] == "issued"


def test_the_pictures_show_the_present_code_and_are_kept_by_no_cache(city: City) -> None:
    _, till, reward = _open_shop(city)
    voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
    png = city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}/qr.png")
    svg = city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}/qr.svg")
    assert (png.content_type, png.headers["Cache-Control"]) == ("image/png", "no-store")
    assert svg.content_type.startswith("image/svg+xml")
    assert "<title" in svg.text
    assert "面包一份" in svg.text
    assert "<desc" in svg.text
    shown = read_code(Image.open(BytesIO(png.data)))
    assert city.ask(till, "POST", "/v1/terminal/redemptions", {"code": shown}).status_code == 201


@pytest.mark.parametrize("taken_s", [0, 1, 15, 29])
def test_a_screenshot_is_refused_at_the_till_after_ninety_seconds_whenever_it_was_taken(
    city: City, taken_s: int
) -> None:
    _, till, reward = _open_shop(city)
    voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
    city.clock.advance(timedelta(seconds=taken_s))
    code = _screenshot(city, voucher)
    city.clock.advance(timedelta(seconds=90))
    late = city.ask(till, "POST", "/v1/terminal/redemptions", {"code": code})
    assert (late.status_code, late.json["code"]) == (410, "code_too_old")
    assert city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}").json["state"] == "issued"
    fresh = city.ask(till, "POST", "/v1/terminal/redemptions", {"code": _screenshot(city, voucher)})
    assert fresh.status_code == 201


def test_a_screenshot_holds_up_to_the_last_second_of_its_grace_and_not_one_longer(city: City) -> None:
    _, till, reward = _open_shop(city)
    for waited_s, answered in ((61, (410, "code_too_old")), (60, (201, None))):
        city.clock.at = NOW  # a step begins
        voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
        code = _screenshot(city, voucher)
        city.clock.advance(timedelta(seconds=waited_s))
        answer = city.ask(till, "POST", "/v1/terminal/redemptions", {"code": code})
        assert (answer.status_code, answer.json.get("code")) == answered


def _screenshot(city: City, voucher: str) -> str:
    """What is read off the picture that the phone shows now."""
    png = city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}/qr.png")
    return read_code(Image.open(BytesIO(png.data)))


def test_a_number_to_type_is_made_and_used(city: City) -> None:
    _, till, reward = _open_shop(city)
    voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
    alias = city.ask("citizen", "POST", f"/v1/me/vouchers/{voucher}/alias")
    assert (alias.status_code, alias.headers["Cache-Control"]) == (201, "no-store")
    digits = alias.json["digits"]
    assert city.ask(till, "POST", "/v1/terminal/redemptions", {"code": digits}).status_code == 201


def test_refused_scans_are_kept_and_a_refusal_is_not_remembered_under_its_key(city: City) -> None:
    _, till, reward = _open_shop(city)
    voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
    code = city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}/codes").json["items"][0]["text"]
    city.clock.advance(timedelta(seconds=90))
    late = city.ask(till, "POST", "/v1/terminal/redemptions", {"code": code}, key="scan-0001")
    assert (late.status_code, late.json["code"]) == (410, "code_too_old")
    rows = city.database.rows("SELECT refusal FROM scan_refusal")
    assert [row.refusal for row in rows] == ["code_too_old"]
    city.clock.advance(timedelta(seconds=-90))
    assert (
        city.ask(till, "POST", "/v1/terminal/redemptions", {"code": code}, key="scan-0001").status_code == 201
    )


def test_cancelling_and_deactivating_give_the_coins_back(city: City) -> None:
    _, _, reward = _open_shop(city)
    first, second = (
        city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"] for _ in range(2)
    )
    gone = city.ask("citizen", "POST", f"/v1/me/vouchers/{first}/cancellation")
    assert gone.json == {
        "coin_milli": 3000,
        "ended_coin_milli": 0,
        "graced_coin_milli": 0,
        "closes_at": None,
    }
    off = city.ask("operator", "POST", f"/v1/vouchers/{second}/deactivation", {"reason": "shop closed"})
    assert (off.status_code, off.json["coin_milli"]) == (201, 3000)
    states = [item["state"] for item in city.ask("citizen", "GET", "/v1/me/vouchers").json["items"]]
    assert states == ["deactivated", "cancelled"]
    assert city.ask("citizen", "GET", f"/v1/me/vouchers/{first}").json["state"] == "cancelled"


def test_who_may_not_is_told_so_and_what_is_not_theirs_is_not_there(city: City) -> None:
    _, till, reward = _open_shop(city)
    voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
    other = public_id("red", new_id())
    nothing = public_id("vch", new_id())
    asks = (
        ("", "POST", "/v1/me/vouchers", {"reward_id": reward}, 401),
        ("nobody", "POST", "/v1/me/vouchers", {"reward_id": reward}, 403),
        ("stranger", "GET", f"/v1/me/vouchers/{voucher}/codes", None, 404),
        ("stranger", "GET", f"/v1/me/vouchers/{voucher}/qr.svg", None, 404),
        ("stranger", "POST", f"/v1/me/vouchers/{voucher}/cancellation", None, 404),
        ("citizen", "GET", f"/v1/me/vouchers/{reward}/codes", None, 422),
        (till, "POST", "/v1/me/vouchers", {"reward_id": reward}, 403),
        ("", "POST", "/v1/terminal/pairing", {"code": "AAAABBBBCCCC"}, 401),
        ("tpt_unknown", "POST", "/v1/terminal/redemptions", {"code": "CV1"}, 401),
        (
            till,
            "POST",
            f"/v1/terminal/redemptions/{other}/reversal",
            {"reason": "ok"},
            404,
        ),
        ("operator", "GET", "/v1/merchant/statements/2026-11-20", None, 403),
        (
            "operator",
            "POST",
            f"/v1/vouchers/{nothing}/deactivation",
            {"reason": "ok"},
            404,
        ),
    )
    for who, method, path, body, status in asks:
        answer = city.ask(who, method, path, body)
        assert answer.status_code == status, (path, answer.json)
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"code": 5},
        {"code": ""},
        {"code": "A" * 513},
        {"code": "\x00"},
        {"code": "\ud800"},
        {"code": "CV1", "extra": 1},
        {"code": "兑换券" * 49},
        {"code": "１" * 18},
        {"code": "88" + "9" * 16},
    ],
)
def test_bad_scans_are_refused_with_a_code_and_redeem_nothing(city: City, body: Any) -> None:
    _, till, _ = _open_shop(city)
    answer = city.ask(till, "POST", "/v1/terminal/redemptions", body)
    assert 400 <= answer.status_code < 500
    assert answer.json["code"]
    assert city.database.rows("SELECT count(*) AS n FROM redemption")[0].n == 0


def test_a_reward_is_honoured_only_by_a_merchant_and_store_that_are_there(city: City) -> None:
    merchant, _, _ = _open_shop(city)
    funder = city.ask("operator", "POST", "/v1/funders", {"name_zh": "甲", "name_en": "A"}).json["id"]
    offer = _offer(funder, 3000)
    for where in (
        {"merchant_id": public_id("mer", new_id())},
        {"merchant_id": merchant, "scope_no": 999},
        {"scope_no": 1},
    ):
        assert city.ask("operator", "POST", "/v1/rewards", {**offer, **where}).status_code == 404
    kept = city.ask("operator", "POST", "/v1/rewards", {**offer, "merchant_id": merchant, "scope_no": 1})
    assert kept.status_code == 201


def _offer(funder: str, price: Any) -> dict[str, Any]:
    return {
        "title_zh": "券",
        "title_en": "V",
        "price_coin_milli": price,
        "cost_fen": 1,
        "funding": [{"funder_id": funder, "parts": 1}],
        "valid_days": 1,
        "limit_per_person": 1,
        "stock": 1,
        "sells_from": "2026-11-01T00:00:00+08:00",
        "sells_until": "2027-11-01T00:00:00+08:00",
    }


@pytest.mark.parametrize("price", [-1, 0, True, 1.5, "3000", INT64_MAX, 2**63])
def test_a_reward_has_a_price_that_is_a_whole_positive_number(city: City, price: Any) -> None:
    funder = city.ask("operator", "POST", "/v1/funders", {"name_zh": "甲", "name_en": "A"}).json["id"]
    answer = city.ask("operator", "POST", "/v1/rewards", _offer(funder, price))
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/body/price_coin_milli"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"sells_until": "2026-11-01T00:00:00+08:00"}, "/body/sells_until"),
        ({"title_zh": " \u3000"}, "/body/title_zh"),
    ],
)
def test_a_reward_is_sold_for_a_while_and_has_a_name(city: City, change: Any, pointer: str) -> None:
    funder = city.ask("operator", "POST", "/v1/funders", {"name_zh": "甲", "name_en": "A"}).json["id"]
    answer = city.ask("operator", "POST", "/v1/rewards", {**_offer(funder, 1), **change})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
