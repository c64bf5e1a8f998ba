"""The door: one transaction, one effect a key, one error format."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from kernel.actor import ANONYMOUS, Actor, ActorKind
from kernel.call import Call
from kernel.errors import Kind, Refusal
from kernel.http.endpoint import Door, Routes, endpoint, install_door
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, Takes, Text, Whole
from kernel.http.openapi import ProblemApi
from kernel.http.problems import answer_all_errors
from kernel.identifiers import new_id
from kernel.permission import PUBLIC, Permission
from tests.conftest import KEYS, NOW, Database


class TooDear(Refusal):
    """This costs more than you have (a refusal of the test)."""

    kind = Kind.CONFLICT
    title_zh = "测试用的拒绝"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the test orders."""

    amount: int
    note: str = "-"


class TakesOrder(Takes):
    into = Order
    amount = Whole(required=True, most=10**12)
    note = Text(most=20)


class GivesOrder(Gives):
    amount = Whole()


class TakesAll(Takes):
    id = PublicId("tst")
    at = Instant()
    day = Day()


class Clock:
    """Stands still."""

    def now(self) -> Any:
        return NOW


@dataclass
class World:
    """An application of three endpoints and the caller it believes to see."""

    client: FlaskClient
    app: Flask
    callers: dict[str, Actor]
    database: Database

    def order(
        self, *, key: str | None = "key-0001", body: Any = None, who: str = "citizen", **rest: Any
    ) -> Any:
        headers = {"X-Who": who, **({"Idempotency-Key": key} if key is not None else {})}
        return self.app.test_client().post(
            "/orders", json={"amount": 5} if body is None else body, headers=headers, **rest
        )

    def effects(self) -> int:
        return int(self.database.rows("SELECT count(*) AS n FROM outgoing")[0].n)


@pytest.fixture
def world(database: Database) -> World:
    from flask import request  # noqa: PLC0415 - only the test's own identification reads it

    callers = {
        "citizen": Actor(
            kind=ActorKind.CITIZEN,
            id=new_id(),
            region_id="CN-GD-SZ",
            permissions=frozenset({Permission.ME_READ}),
        ),
        "stranger": Actor(kind=ActorKind.CITIZEN, id=new_id(), region_id="CN-GD-SZ"),
    }
    app = Flask("test")
    app.testing = True
    app.config.update(API_TITLE="t", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    door = Door(
        sessions=database.sessions,
        clock=Clock(),
        keys=KEYS,
        identify=lambda: callers.get(request.headers.get("X-Who", ""), ANONYMOUS),
    )
    install_door(app, door)
    app_routes = Routes("test", __name__)
    _open(app_routes)
    ProblemApi(app).register_blueprint(app_routes)
    answer_all_errors(app)
    return World(app.test_client(), app, callers, database)


def _effect(call: Call) -> None:
    call.db.execute(
        text(
            "INSERT INTO outgoing (id, region_id, event, subject, facts, recorded_at)"
            " VALUES (:id, 'CN-GD-SZ', 'test', '-', '{}', :now)"
        ),
        {"id": new_id(), "now": call.now},
    )


def _open(routes: Routes) -> None:
    @endpoint(
        routes,
        "POST",
        "/orders",
        needs=Permission.ME_READ,
        takes=TakesOrder,
        gives=GivesOrder,
        status=201,
        idempotent=True,
        summary="Order",
    )
    def order(call: Call, wanted: Order) -> Order:
        _effect(call)
        if wanted.amount == 13:
            call.after_refusal(_effect)
            raise TooDear("thirteen", short=1)
        if wanted.amount == 99:
            raise RuntimeError("secret text of a bug")
        return wanted

    @endpoint(routes, "GET", "/open", needs=PUBLIC, query=PageQuery, summary="Open to all")
    def open_(_call: Call, query: dict[str, Any]) -> dict[str, Any]:
        return query

    @endpoint(routes, "POST", "/fields", needs=PUBLIC, takes=TakesAll, summary="Fields")
    def fields(_call: Call, body: dict[str, Any]) -> list[str]:
        return sorted(body)


def test_the_same_key_has_one_effect_and_the_replay_says_so(world: World) -> None:
    first, second = world.order(), world.order()
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_data() == second.get_data() == b'{"amount":5}'
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert world.effects() == 1


def test_sixty_four_equal_requests_have_one_effect_and_sixty_three_replays(world: World) -> None:
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: world.order(), range(64)))
    assert Counter(answer.status_code for answer in answers) == {201: 64}
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 63
    assert world.effects() == 1


def test_a_key_with_other_content_is_refused_and_has_no_effect(world: World) -> None:
    world.order()
    answer = world.order(body={"amount": 6})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_reused")
    assert world.effects() == 1


def test_a_key_belongs_to_its_caller(world: World) -> None:
    world.order()
    world.callers["other"] = replace(world.callers["citizen"], id=new_id())
    assert world.order(who="other").status_code == 201
    assert world.effects() == 2


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("short", "idempotency_key_malformed"),
        ("has space in it", "idempotency_key_malformed"),
    ],
)
def test_money_needs_a_proper_key(world: World, key: str | None, code: str) -> None:
    answer = world.order(key=key)
    assert (answer.status_code, answer.get_json()["code"]) == (400, code)
    assert world.effects() == 0


def test_a_refusal_rolls_back_but_what_is_recorded_about_it_stays(world: World) -> None:
    answer = world.order(body={"amount": 13})
    body = answer.get_json()
    assert answer.status_code == 409
    assert answer.content_type == "application/problem+json"
    assert (body["code"], body["facts"], body["detail"]) == ("too_dear", {"short": 1}, "thirteen")
    assert world.effects() == 1


def test_a_refusal_is_not_remembered_under_its_key(world: World) -> None:
    world.order(body={"amount": 13})
    assert world.order().status_code == 201


def test_a_bug_says_nothing_but_its_request_id(world: World) -> None:
    answer = world.order(body={"amount": 99})
    body = answer.get_json()
    assert answer.status_code == 500
    assert body["request_id"]
    assert "secret" not in answer.get_data(as_text=True)
    assert world.effects() == 0
    assert len(world.app.extensions["bugs"]) == 1


def test_strangers_are_told_to_sign_in_and_others_that_they_may_not(world: World) -> None:
    nobody, stranger = world.order(who="nobody"), world.order(who="stranger")
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (stranger.status_code, stranger.get_json()["code"]) == (403, "not_permitted")


def test_titles_come_in_the_callers_language(world: World) -> None:
    answer = world.client.post("/orders", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert answer.get_json()["title"] == "请先登录"
    assert answer.headers["Content-Language"] == "zh"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/body/amount"),
        ({"amount": "5"}, "/body/amount"),
        ({"amount": 1.0}, "/body/amount"),
        ({"amount": True}, "/body/amount"),
        ({"amount": None}, "/body/amount"),
        ({"amount": -1}, "/body/amount"),
        ({"amount": 2**63}, "/body/amount"),
        ({"amount": 2**70}, "/body/amount"),
        ({"amount": "１２"}, "/body/amount"),
        ({"amount": [5]}, "/body/amount"),
        ({"amount": 5, "note": "a\x00b"}, "/body/note"),
        ({"amount": 5, "note": "x" * 21}, "/body/note"),
        ({"amount": 5, "note": 7}, "/body/note"),
        ({"amount": 5, "extra": 1}, "/body/extra"),
        ([], "/body"),
        (7, "/body"),
    ],
)
def test_a_field_that_is_not_acceptable_is_pointed_at(world: World, body: Any, pointer: str) -> None:
    answer = world.order(body=body)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == pointer
    assert world.effects() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 5, "note": "\\ud800"}',
        b"\xff\xfe{",
        '{"amount": 5}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"amount": 5,}',
    ],
)
def test_what_is_not_json_is_refused_promptly(world: World, data: bytes) -> None:
    answer = world.client.post(
        "/orders",
        data=data,
        content_type="application/json",
        headers={"X-Who": "citizen", "Idempotency-Key": "key-0001"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (400, "body_malformed")


@pytest.mark.parametrize("key", [None, "one-key-for-all"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"amount": %s}', "/body/amount" + "/0" * 31),
        ('{"amount": 1, "note": {"a/b~c": %s}}', "/body/note/a~1b~0c" + "/0" * 30),
        ("%s", "/body" + "/0" * 32),
    ],
)
def test_a_body_that_is_nested_too_deeply_is_pointed_at(
    world: World, body: str, pointer: str, key: str | None
) -> None:
    data = (body % ("[" * 300 + "]" * 300)).encode()
    headers = {"X-Who": "citizen"} | ({} if key is None else {"Idempotency-Key": key})
    answer = world.client.post("/orders", data=data, content_type="application/json", headers=headers)
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"pointer": pointer, "detail": "is nested too deeply"}]


def test_what_is_broad_and_not_deep_is_read(world: World) -> None:
    data = b'{"amount": [' + b",".join([b"[[]]"] * 500) + b"]}"
    headers = {"X-Who": "citizen"}
    answer = world.client.post("/orders", data=data, content_type="application/json", headers=headers)
    assert [error["detail"] for error in answer.get_json()["errors"]] == ["must be a whole number"]


def test_another_media_type_is_refused(world: World) -> None:
    answer = world.client.post(
        "/orders", data=b"amount=5", headers={"X-Who": "citizen", "Idempotency-Key": "key-0001"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"id": "vch_" + "0" * 26}, "/body/id"),
        ({"id": 5}, "/body/id"),
        ({"at": "2026-11-20T00:00:00"}, "/body/at"),
        ({"at": 5}, "/body/at"),
        ({"day": "2026-02-30"}, "/body/day"),
        ({"day": None}, "/body/day"),
    ],
)
def test_ids_times_and_days_are_strict(world: World, body: Any, pointer: str) -> None:
    answer = world.client.post("/fields", json=body)
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, pointer)


def test_query_numbers_are_read_and_bounded(world: World) -> None:
    assert world.client.get("/open?limit=200").get_json() == {"after": None, "limit": 200}
    for query in ("limit=201", "limit=0", "limit=x", "limit=１", "other=1", "limit=1.0"):
        assert world.client.get(f"/open?{query}").status_code == 422, query


def test_a_bug_in_an_unknown_place_and_an_unknown_path_share_one_format(world: World) -> None:
    for answer in (world.client.get("/nowhere"), world.client.delete("/open")):
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["request_id"]
    assert "GET" in world.client.delete("/open").headers["Allow"]


def test_an_idempotent_endpoint_for_anybody_does_not_import() -> None:
    from kernel.errors import BrokenInvariant  # noqa: PLC0415 - this test alone

    with pytest.raises(BrokenInvariant):
        endpoint(Routes("x", __name__), "POST", "/x", needs=PUBLIC, summary="x", idempotent=True)
