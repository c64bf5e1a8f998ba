"""A record over HTTP, and its explanation."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from carbon.activities import routes as face
from carbon.partners.registry import partner_of_key
from kernel.actor import ANONYMOUS, Actor, ActorKind
from kernel.clock import FixedClock
from kernel.http.endpoint import Door, install_door
from kernel.http.openapi import ProblemApi
from kernel.http.problems import answer_all_errors
from kernel.permission import Permission
from tests.carbon.city import SECRET, plant_city
from tests.conftest import KEYS, NOW, REGION, Database

RECORD = {
    "source_event_id": "e1",
    "subject": "card-017",
    "scenario": "metro_ride",
    "occurred_at": "2026-11-20T11:00:00+08:00",
    "quantity": 10_000,
    "unit": "m",
}


@pytest.fixture
def callers() -> dict[str, Actor]:
    return {"now": ANONYMOUS}


@pytest.fixture
def app(database: Database, callers: dict[str, Actor]) -> Flask:
    made = Flask("carbon-test")
    made.config.update(
        API_TITLE="t", API_VERSION="v1", OPENAPI_VERSION="3.1.0", CARD_HASH_SECRET=SECRET.decode()
    )
    door = Door(sessions=database.sessions, clock=FixedClock(NOW), keys=KEYS, identify=lambda: callers["now"])
    install_door(made, door)
    ProblemApi(made).register_blueprint(face.routes)
    answer_all_errors(made)
    return made


def test_a_record_is_pushed_once_and_explained(
    app: Flask, callers: dict[str, Actor], database: Database
) -> None:
    city = database.run(plant_city)
    owner = database.run(lambda call: city.bind(call, ["card-017"]))["card-017"]
    callers["now"] = database.run(lambda call: partner_of_key(call.db, city.api_key))
    client = app.test_client()

    def push(**change: Any) -> Any:
        return client.post("/v1/partner/activities", json={"record": {**RECORD, **change}})

    first, again = push(), push()
    assert (first.status_code, first.json["outcome"], again.json["outcome"]) == (201, "credited", "duplicate")
    for change, status, code in (
        ({"quantity": 9}, 409, "record_differs"),
        ({"source_event_id": "e2", "subject": "card-x"}, 422, "unbound_card"),
        ({"source_event_id": "e2", "scenario": "teleport"}, 422, "scenario_unknown"),
        ({"source_event_id": "e2", "quantity": -1}, 422, "line_refused"),
        ({"source_event_id": "e2", "occurred_at": "1970-01-01T00:00:00Z"}, 422, "occurred_too_long_ago"),
    ):
        answer = push(**change)
        assert (answer.status_code, answer.json["code"]) == (status, code)
    posted = database.rows("SELECT coin_transfer_id FROM activity")
    assert len(posted) == 1
    url = f"/v1/me/transfers/{posted[0][0]}/explanation"
    assert client.get(url).status_code == 403
    citizen = Actor(
        kind=ActorKind.CITIZEN, id=owner, region_id=REGION, permissions=frozenset({Permission.ME_READ})
    )
    callers["now"] = citizen
    tree: Any = client.get(url).json
    assert tree["replays_equal"] is True
    callers["now"] = replace(citizen, id=city.partner_id)
    assert client.get(url).status_code == 404
    callers["now"] = ANONYMOUS
    assert client.get(url).status_code == 401


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [1, 20, 300])
@pytest.mark.parametrize(
    "name", [*RECORD, "inputs", "inputs/distance_m", "started_at", "other", "inputs/other"]
)
def test_a_nested_cell_is_refused_with_its_place(
    app: Flask, callers: dict[str, Actor], database: Database, name: str, levels: int
) -> None:
    city = database.run(plant_city)
    callers["now"] = database.run(lambda call: partner_of_key(call.db, city.api_key))
    value = nested(levels)
    around, _, inner = name.partition("/")
    record = {**RECORD, around: {inner: value} if inner else value}
    answer = app.test_client().post("/v1/partner/activities", json={"record": record})
    assert answer.status_code == 422
    problem = answer.get_json()
    errors = problem.get("errors") or [problem]
    assert errors[0]["pointer"].startswith(f"/body/record/{name}")
