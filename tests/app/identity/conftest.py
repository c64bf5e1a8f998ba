"""A WeChat stub over loopback, and the product's door with identity behind it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import redis
from flask import Flask

from app.identity.bearer import actor_from_request
from app.identity.routes import install_identity, routes
from app.identity.wechat import WechatClient
from app.identity.wechat_stub import STUB_APPID, STUB_SECRET, create_stub, stub_server
from app.identity.wechat_stub_state import StubState
from kernel.clock import FixedClock
from kernel.http.endpoint import Door, install_door
from kernel.http.openapi import ProblemApi
from kernel.http.problems import answer_all_errors
from tests.conftest import KEYS, Database, settings_for


@dataclass(frozen=True)
class Stub:
    """A running stub: its address, its memory, its controls."""

    url: str
    state: StubState

    def login(self, persona: str, **more: str) -> str:
        answer = httpx.post(f"{self.url}/__stub/login", json={"persona": persona, **more})
        return str(answer.json()["js_code"])

    def order(self, control: str, **given: Any) -> None:
        httpx.post(f"{self.url}/__stub/{control}", json=given).raise_for_status()

    def calls(self, interface: str) -> int:
        calls = httpx.get(f"{self.url}/__stub/calls").json()["calls"]
        return sum(call["interface"] == interface for call in calls)


@pytest.fixture
def stub() -> Iterator[Stub]:
    state = StubState(appid=STUB_APPID, secret=STUB_SECRET)
    server = stub_server(create_stub(state), port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Stub(f"http://127.0.0.1:{server.server_port}", state)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(cache_url: str) -> Iterator[redis.Redis]:
    opened = redis.Redis.from_url(cache_url)
    opened.flushall()
    yield opened
    opened.close()


@pytest.fixture
def wechat(stub: Stub, cache: redis.Redis) -> Iterator[WechatClient]:
    client = WechatClient(base_url=stub.url, appid=STUB_APPID, secret=STUB_SECRET, cache=cache)
    yield client
    client.close()


@pytest.fixture
def app(database: Database, cache_url: str, wechat: WechatClient, clock: FixedClock) -> Iterator[Flask]:
    made = Flask("identity-test", static_folder=None)
    made.testing = True
    made.config.update(API_TITLE="t", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    install_door(made, Door(sessions=database.sessions, clock=clock, keys=KEYS, identify=actor_from_request))
    settings = replace(settings_for(database.url, cache_url), wechat_appid=STUB_APPID)
    install_identity(made, settings, wechat)
    ProblemApi(made).register_blueprint(routes)
    answer_all_errors(made)
    yield made
    assert not made.extensions.get("bugs")
