"""The client survives everything the stub can do, and the stub does what WeChat does."""

import hashlib
import hmac
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from app.identity.errors import (
    WechatBusy,
    WechatCodeInvalid,
    WechatCodeUsed,
    WechatUnavailable,
    WechatUserBlocked,
)
from app.identity.wechat import WechatClient
from app.identity.wechat_stub import STUB_APPID, STUB_SECRET, create_stub
from kernel.errors import Refusal
from tests.app.identity.conftest import Stub


def raw(stub: Stub, code: str) -> httpx.Response:
    query = {"appid": STUB_APPID, "secret": STUB_SECRET, "js_code": code, "grant_type": "authorization_code"}
    return httpx.get(f"{stub.url}/sns/jscode2session", params=query)


def test_a_code_names_its_user_and_the_same_persona_is_the_same_user(
    stub: Stub, wechat: WechatClient
) -> None:
    first = wechat.exchange(stub.login("demo-citizen-017"))
    assert first == wechat.exchange(stub.login("demo-citizen-017"))
    assert first.openid != wechat.exchange(stub.login("demo-citizen-018")).openid
    assert first.unionid is None
    stub.order("personas", persona="demo-citizen-017", unionid="u-017")
    assert wechat.exchange(stub.login("demo-citizen-017")).unionid == "u-017"


def test_a_code_works_once(stub: Stub, wechat: WechatClient) -> None:
    code = stub.login("demo-citizen-017")
    wechat.exchange(code)
    with pytest.raises(WechatCodeUsed):
        wechat.exchange(code)


def test_a_code_works_five_minutes(stub: Stub, wechat: WechatClient) -> None:
    code = stub.login("demo-citizen-017")
    stub.order("clock", advance_s=301)
    with pytest.raises(WechatCodeInvalid):
        wechat.exchange(code)


def test_an_unknown_code_and_one_of_another_mini_program_are_invalid(
    stub: Stub, wechat: WechatClient
) -> None:
    for code in ("0unknown", stub.login("demo-citizen-017", appid="wxstub0000000001")):
        with pytest.raises(WechatCodeInvalid):
            wechat.exchange(code)


def test_a_blocked_user_is_told_and_not_tried_again(stub: Stub, wechat: WechatClient) -> None:
    stub.order("personas", persona="demo-citizen-666", blocked=True)
    with pytest.raises(WechatUserBlocked):
        wechat.exchange(stub.login("demo-citizen-666"))
    assert stub.calls("code2session") == 1


def test_the_hundred_and_first_exchange_of_a_minute_is_too_many(stub: Stub, wechat: WechatClient) -> None:
    for _ in range(100):
        stub.state.exchange(stub.state.login("demo-citizen-017", appid=STUB_APPID))
    with pytest.raises(WechatBusy) as refused:
        wechat.exchange(stub.login("demo-citizen-017"))
    assert refused.value.facts["retry_after_s"] == 60


def test_a_system_error_is_asked_again_three_times_in_all(stub: Stub, wechat: WechatClient) -> None:
    stub.order("faults", interface="code2session", errcode=-1, times=2)
    assert wechat.exchange(stub.login("demo-citizen-017")).openid
    stub.order("faults", interface="code2session", errcode=-1, times=3)
    with pytest.raises(WechatUnavailable):
        wechat.exchange(stub.login("demo-citizen-017"))
    assert stub.calls("code2session") == 6


@pytest.mark.parametrize("fault", ["html", "truncate", "drop"])
def test_an_answer_that_is_none_is_refused_and_not_a_bug(
    stub: Stub, wechat: WechatClient, fault: str
) -> None:
    stub.order("faults", interface="code2session", **{fault: True})
    with pytest.raises(WechatUnavailable):
        wechat.exchange(stub.login("demo-citizen-017"))


def test_content_types_that_lie_are_not_believed(stub: Stub, wechat: WechatClient) -> None:
    stub.order("faults", interface="code2session", content_type="image/jpeg")
    assert wechat.exchange(stub.login("demo-citizen-017")).openid


def test_fifty_that_miss_the_token_ask_once(stub: Stub, wechat: WechatClient) -> None:
    with ThreadPoolExecutor(50) as pool:
        tokens = set(pool.map(lambda _: wechat.access_token(), range(50)))
    assert len(tokens) == 1
    assert stub.calls("stable_token") == 1


def test_a_stale_token_is_renewed_once(stub: Stub, wechat: WechatClient, cache: redis.Redis) -> None:
    cache.set(f"wechat:{STUB_APPID}:token", "stale")
    user = wechat.exchange(stub.login("demo-citizen-017"))
    key = stub.state._personas["demo-citizen-017"].session_key
    signature = hmac.new(key.encode(), b"", hashlib.sha256).hexdigest()
    answer = wechat.call_with_token(
        "GET", "/wxa/checksession", query={"openid": user.openid, "signature": signature}
    )
    assert answer["errcode"] == 0
    assert (stub.calls("stable_token"), stub.calls("checksession")) == (1, 2)


def test_without_the_cache_the_token_is_still_there(stub: Stub) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock")
    client = WechatClient(base_url=stub.url, appid=STUB_APPID, secret=STUB_SECRET, cache=nowhere)
    assert client.access_token() == client.access_token()
    client.close()
    nowhere.close()


def test_old_and_new_token_both_work_for_five_minutes(stub: Stub) -> None:
    old = stub.state.token(forced=False)["access_token"]
    stub.order("clock", advance_s=7200 - 240)
    new = stub.state.token(forced=False)
    assert new["access_token"] != old
    for token in (old, new["access_token"]):
        stub.state.check_token(token)
    stub.order("clock", advance_s=241)
    with pytest.raises(Exception, match="expired"):
        stub.state.check_token(old)


def test_force_needs_thirty_seconds_between_and_twenty_a_day(stub: Stub) -> None:
    body = {
        "grant_type": "client_credential",
        "appid": STUB_APPID,
        "secret": STUB_SECRET,
        "force_refresh": True,
    }
    codes = []
    for _ in range(20):
        codes.append(httpx.post(f"{stub.url}/cgi-bin/stable_token", json=body).json().get("errcode", 0))
        stub.order("clock", advance_s=30)
    assert codes == [0] * 20
    assert httpx.post(f"{stub.url}/cgi-bin/stable_token", json=body).json()["errcode"] == 45009


def test_the_bodies_are_as_wechat_writes_them(stub: Stub) -> None:
    good = raw(stub, stub.login("demo-citizen-017"))
    assert good.headers["Content-Type"].startswith("text/plain")
    assert list(good.json()) == ["session_key", "openid"]
    bad = raw(stub, "0unknown")
    assert bad.status_code == 200
    assert bad.text.startswith('{"errcode":40029,"errmsg":"invalid code, rid: ')
    assert len(bad.json()["errmsg"].split("rid: ")[1].split("-")) == 3


def test_session_keys_rotate_on_some_logins_only(stub: Stub) -> None:
    keys = [raw(stub, stub.login("demo-citizen-017")).json()["session_key"] for _ in range(20)]
    assert 1 < len(set(keys)) < 20


def test_secrets_reach_no_log_and_no_refusal(
    stub: Stub, wechat: WechatClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def refusal_of(ask: Callable[[], object]) -> str:
        with pytest.raises(Refusal) as refused:
            ask()
        assert refused.value.__cause__ is None
        return repr((refused.value.args, refused.value.facts, refused.value.detail))

    code = stub.login("demo-citizen-017")
    wechat.exchange(code)
    token = wechat.access_token()
    key = stub.state._personas["demo-citizen-017"].session_key
    said = refusal_of(lambda: wechat.exchange(code))
    stub.order("faults", interface="code2session", truncate=True)
    said += refusal_of(lambda: wechat.exchange(code))
    said += caplog.text
    assert [secret for secret in (STUB_SECRET, token, key) if secret in said] == []


def test_the_stub_refuses_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SystemExit):
        create_stub()
