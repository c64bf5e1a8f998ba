"""The catalogue over HTTP: drafting, publishing, pricing, picturing, queueing; and who may not."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from kernel.identifiers import new_id, public_id
from tests.conftest import REGION
from tests.merchants.test_round_trips import statements
from tests.merchants.test_voucher_routes import City, _offer, city
from tests.rewards.test_pictures import BOMBS, drawn

__all__ = ["city"]
NAMES = {"name_zh": "示例", "name_en": "Example"}
BECAUSE = {"reason": "checked"}
SEEN = {**BECAUSE, "picture_sha256": None}


def drafted(city: City, **change: Any) -> str:
    funder = city.ask("operator", "POST", "/v1/funders", NAMES).json["id"]
    made = city.ask("operator", "POST", "/v1/rewards", {**_offer(funder, 3000), **change})
    assert made.status_code == 201, made.json
    return str(made.json["id"])


def published(city: City, **change: Any) -> str:
    reward = drafted(city, **change)
    done = city.ask("publisher", "POST", f"/v1/rewards/{reward}/publication", SEEN)
    assert (done.status_code, done.json["state"]) == (201, "published")
    return reward


def on_shelf(city: City, who: str = "", **query: str) -> list[dict[str, Any]]:
    asked = "&".join(f"{name}={value}" for name, value in {"region": REGION, **query}.items())
    items: list[dict[str, Any]] = city.ask(who, "GET", f"/v1/rewards?{asked}").json["items"]
    return items


def test_a_reward_is_drafted_by_one_and_published_by_another(city: City) -> None:
    reward = drafted(city)
    own = city.ask("operator", "POST", f"/v1/rewards/{reward}/publication", SEEN)
    assert (own.status_code, own.json["code"]) == (409, "reward_needs_another")
    assert city.ask("", "GET", f"/v1/rewards/{reward}").status_code == 404
    assert on_shelf(city) == []
    seen = city.ask("publisher", "GET", f"/v1/operator/rewards/{reward}").json
    assert (seen["state"], [step["state"] for step in seen["steps"]]) == ("draft", ["draft"])
    city.ask("publisher", "POST", f"/v1/rewards/{reward}/publication", SEEN)
    assert [item["id"] for item in on_shelf(city)] == [reward]
    gone = city.ask("publisher", "POST", f"/v1/rewards/{reward}/withdrawal", {"reason": "the season is over"})
    assert [step["reason"] for step in gone.json["steps"]] == ["drafted", "checked", "the season is over"]
    assert on_shelf(city) == []
    states = {
        state: len(city.ask("publisher", "GET", f"/v1/operator/rewards?state={state}").json["items"])
        for state in ("draft", "published", "withdrawn")
    }
    assert states == {"draft": 0, "published": 0, "withdrawn": 1}


def test_the_price_that_was_shown_is_paid_or_refused(city: City) -> None:
    reward = published(city, limit_per_person=5, stock=5)
    shown = on_shelf(city)[0]["price_coin_milli"]
    order = {"reward_id": reward, "price_coin_milli": shown}
    assert city.ask("citizen", "POST", "/v1/me/vouchers", order).json["price_coin_milli"] == 3000
    new = {"price_coin_milli": 4000, "reason": "flour is dearer"}
    changed = city.ask("publisher", "POST", f"/v1/rewards/{reward}/prices", new)
    assert (changed.status_code, changed.json["no"]) == (201, 2)
    late = city.ask("citizen", "POST", "/v1/me/vouchers", order)
    assert (late.status_code, late.json["code"], late.json["facts"]) == (
        409,
        "price_changed",
        {"price_coin_milli": 4000},
    )
    told = city.ask("", "GET", f"/v1/rewards/{reward}").json
    assert [(each["no"], each["price_coin_milli"]) for each in told["prices"]] == [(2, 4000), (1, 3000)]
    back = {**new, "applies_from": "2026-11-01T00:00:00Z"}
    early = city.ask("publisher", "POST", f"/v1/rewards/{reward}/prices", back)
    assert (early.status_code, early.json["code"]) == (422, "price_backdated")


def _upload(city: City, who: str, reward: str, content: bytes) -> TestResponse:
    return city.client.put(f"/v1/rewards/{reward}/picture", data=content, headers={"X-Who": who})


def test_a_picture_is_uploaded_shown_and_kept_by_caches_under_its_digest(city: City) -> None:
    reward = drafted(city)
    sent = _upload(city, "operator", reward, drawn("JPEG"))
    assert sent.status_code == 200, sent.json
    address = sent.json["picture"]  # type: ignore[index]  # it is JSON
    seen = city.ask("publisher", "GET", f"/v1/operator/rewards/{reward}").json
    assert seen["picture"].endswith(seen["picture_sha256"])
    named = {**BECAUSE, "picture_sha256": seen["picture_sha256"]}
    done = city.ask("publisher", "POST", f"/v1/rewards/{reward}/publication", named)
    assert (done.status_code, done.json["picture_sha256"]) == (201, seen["picture_sha256"])
    assert on_shelf(city)[0]["picture"] == address
    shown = city.client.get(address)
    assert (shown.status_code, shown.content_type) == (200, "image/webp")
    assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert Image.open(BytesIO(shown.data)).size == (320, 200)
    again = city.client.get(address, headers={"If-None-Match": shown.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    late = _upload(city, "operator", reward, drawn())
    assert (late.status_code, (late.json or {})["code"]) == (409, "reward_not_draft")


def test_a_picture_that_was_replaced_after_the_look_is_not_published(city: City) -> None:
    reward = drafted(city)
    publication = f"/v1/rewards/{reward}/publication"
    first = (_upload(city, "operator", reward, drawn()).json or {})["sha256"]
    seen = city.ask("publisher", "GET", f"/v1/operator/rewards/{reward}").json["picture_sha256"]
    assert seen == first
    other = (_upload(city, "operator", reward, drawn(size=(100, 100))).json or {})["sha256"]
    for old in (seen, None, "0" * 64):
        told = city.ask("publisher", "POST", publication, {**BECAUSE, "picture_sha256": old})
        assert (told.status_code, told.json["code"], told.json["facts"]) == (
            409,
            "reward_picture_other",
            {"picture_sha256": other},
        )
    now = city.ask("publisher", "GET", f"/v1/operator/rewards/{reward}").json
    assert (now["state"], now["picture_sha256"], len(now["steps"])) == ("draft", other, 1)
    done = city.ask("publisher", "POST", publication, {**BECAUSE, "picture_sha256": other})
    assert (done.status_code, done.json["state"], done.json["picture_sha256"]) == (201, "published", other)
    assert on_shelf(city)[0]["picture"].endswith(other)


@pytest.mark.parametrize("wrong", ["", "0" * 63, "A" * 64, "g" * 64, 1, [], "missing"])
def test_a_publication_says_which_picture_was_looked_at(city: City, wrong: object) -> None:
    reward = drafted(city)
    body = BECAUSE if wrong == "missing" else {**BECAUSE, "picture_sha256": wrong}
    told = city.ask("publisher", "POST", f"/v1/rewards/{reward}/publication", body)
    assert (told.status_code, told.json["errors"][0]["pointer"]) == (422, "/body/picture_sha256")


def test_what_is_no_picture_or_a_bomb_is_refused_and_changes_nothing(city: City) -> None:
    reward = drafted(city)
    for bomb in BOMBS.values():
        told = _upload(city, "operator", reward, bomb)
        assert (told.status_code, (told.json or {})["code"]) == (413, "picture_too_large")
    for wrong in (b"a", b"<svg/>", drawn()[:90]):
        told = _upload(city, "operator", reward, wrong)
        assert (told.status_code, (told.json or {})["code"]) == (415, "picture_unreadable")
    zipped = city.client.put(
        f"/v1/rewards/{reward}/picture",
        data=drawn(),
        headers={"X-Who": "operator", "Content-Encoding": "gzip"},
    )
    assert zipped.status_code == 415
    assert _upload(city, "operator", public_id("rwd", new_id()), drawn()).status_code == 404
    assert city.database.rows("SELECT count(*) AS n FROM reward_picture")[0].n == 0


def test_a_queue_is_joined_read_and_left(city: City) -> None:
    reward = published(city, stock=0, waits=True)
    joined = city.ask("citizen", "POST", f"/v1/rewards/{reward}/places", key="join-0001")
    again = city.ask("citizen", "POST", f"/v1/rewards/{reward}/places", key="join-0001")
    twice = city.ask("citizen", "POST", f"/v1/rewards/{reward}/places")
    assert (joined.status_code, again.json, twice.json["code"]) == (201, joined.json, "already_queued")
    place = joined.json["id"]
    assert [each["id"] for each in city.ask("citizen", "GET", "/v1/me/places").json["items"]] == [place]
    assert city.ask("stranger", "POST", f"/v1/me/places/{place}/departure").status_code == 404
    left = city.ask("citizen", "POST", f"/v1/me/places/{place}/departure")
    assert (left.status_code, left.json["state"]) == (201, "left")


def test_a_citizen_reads_why_not_and_nobody_else_does(city: City) -> None:
    published(city, price_coin_milli=900_000)
    assert [item["cannot"] for item in on_shelf(city)] == [None]
    assert [item["cannot"] for item in on_shelf(city, "citizen")] == ["balance_insufficient"]
    assert on_shelf(city, "citizen", show="obtainable") == []
    assert on_shelf(city, kind="service") == []
    assert len(on_shelf(city, kind="goods", show="in_stock")) == 1
    assert city.ask("", "GET", f"/v1/rewards?region={REGION}&kind=house").status_code == 422


def test_who_may_not_is_told_so(city: City) -> None:
    reward = published(city, stock=0, waits=True)
    nobody = public_id("rwd", new_id())
    asks = (
        ("", "POST", f"/v1/rewards/{reward}/places", None, 401),
        ("citizen", "POST", f"/v1/rewards/{nobody}/places", None, 404),
        ("", "GET", f"/v1/rewards/{nobody}", None, 404),
        ("", "GET", "/v1/rewards/rwd_1", None, 422),
        ("nobody", "POST", f"/v1/rewards/{reward}/publication", SEEN, 403),
        ("publisher", "POST", f"/v1/rewards/{nobody}/publication", SEEN, 404),
        ("publisher", "POST", f"/v1/rewards/{nobody}/withdrawal", BECAUSE, 404),
        ("publisher", "GET", f"/v1/operator/rewards/{nobody}", None, 404),
        ("", "GET", "/v1/operator/groups", None, 401),
        ("", "GET", f"/v1/public/pictures/{'0' * 64}", None, 404),
    )
    for who, method, path, body, status in asks:
        answer = city.ask(who, method, path, body)
        assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), path


def test_a_group_is_entered_and_says_how_many_not_who(city: City) -> None:
    terms = {**NAMES, "terms_zh": "在读证明", "terms_en": "A school says so"}
    group = city.ask("operator", "POST", "/v1/operator/groups", terms).json["id"]
    mine = [public_id("ctz", city.citizen.id)]
    told = city.ask("operator", "POST", f"/v1/operator/groups/{group}/members", {"citizen_ids": mine})
    assert (told.status_code, told.json["code"]) == (422, "member_unknown")  # a holder without a person
    gone = city.ask("operator", "POST", f"/v1/operator/groups/{group}/departures", {"citizen_ids": mine})
    assert gone.json == {"changed": 0}
    listed = city.ask("operator", "GET", "/v1/operator/groups").json["items"]
    assert [(each["id"], each["members"]) for each in listed] == [(group, 0)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "house"}, "/body/kind"),
        ({"kind": "unique_item"}, "/body/units"),
        ({"units": [NAMES]}, "/body/units"),
        ({"kind": "unique_item", "units": [NAMES], "stock": 2}, "/body/stock"),
        ({"limit_period": "week"}, "/body/limit_in_period"),
        ({"limit_in_period": 1}, "/body/limit_in_period"),
        ({"limit_period": "year", "limit_in_period": 1}, "/body/limit_period"),
        ({"stores": [{"scope_no": 1, "stock": 1}]}, "/body/stores"),
        ({"stores": [{"scope_no": 1, "stock": 1}] * 2}, "/body/stores"),
        ({"waits": True, "stock_per_day": 1}, "/body/waits"),
        ({"waits": "yes"}, "/body/waits"),
        ({"stock_per_day": 0}, "/body/stock_per_day"),
        ({"regions": ["cn"]}, "/body/regions/0"),
        ({"exchange_hours": [{"weekday": 8, "from_minute": 0, "until_minute": 1}]}, "/body/exchange_hours/0"),
        ({"redeem_hours": [{"weekday": 1, "from_minute": 9, "until_minute": 9}]}, "/body/redeem_hours/0"),
        ({"label": {"scheme": "a", "certificate": "b"}}, "/body/label/verify_url"),
    ],
)
def test_a_draft_that_contradicts_itself_is_refused_with_its_place(
    city: City, change: dict[str, Any], pointer: str
) -> None:
    funder = city.ask("operator", "POST", "/v1/funders", NAMES).json["id"]
    answer = city.ask("operator", "POST", "/v1/rewards", {**_offer(funder, 1), **change})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize(
    "address",
    [
        "http://label.example.org/1",
        "https://",
        "https://localhost/1",
        "https://user@label.example.org/1",
        "https://label.example.org:8443/1",
        "https://label.example.org\\@evil.example/1",
        "https://label.example.org/1 2",
        "javascript:alert(1)//https://label.example.org",
        "https://label.example.org/\u202e1",
        "HTTPS://LABEL.EXAMPLE.ORG/1",
    ],
)
def test_a_label_leads_to_a_domain_by_https_and_nowhere_else(city: City, address: str) -> None:
    funder = city.ask("operator", "POST", "/v1/funders", NAMES).json["id"]
    label = {"scheme": "a", "certificate": "b", "verify_url": address}
    answer = city.ask("operator", "POST", "/v1/rewards", {**_offer(funder, 1), "label": label})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/body/label/verify_url"


def test_an_exchange_with_every_counter_asks_the_database_no_more_often(city: City) -> None:
    counted = {"stock": 5, "limit_per_person": 5, "stock_per_day": 5}
    every = published(city, **counted, limit_period="week", limit_in_period=5)
    plain = published(city, stock=5, limit_per_person=5)
    for reward in (every, plain):
        city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward})
    asked = []
    for reward in (every, plain):
        with statements(city.database.engine) as sent:
            assert city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).status_code == 201
        asked.append(len(sent))
    assert asked[0] == asked[1]
