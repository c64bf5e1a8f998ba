"""Beyond the sign-in: sessions that lapse, tokens that many share, and answers that are none."""

import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from app.identity.errors import WechatCodeUsed, WechatUnavailable
from app.identity.wechat import LONGEST_ANSWER, TIMEOUT_S, WechatClient, WechatSessionLapsed
from app.identity.wechat_stub import STUB_APPID, STUB_SECRET
from kernel.errors import Kind, Refusal
from tests.app.identity.conftest import Stub

PERSONA = "demo-citizen-017"
TOKEN = f"wechat:{STUB_APPID}:token"


def rotate(stub: Stub) -> None:
    """Sign in elsewhere until that has replaced the session key."""
    before = stub.state._personas[PERSONA].session_key
    while stub.state._personas[PERSONA].session_key == before:
        stub.login(PERSONA)


def refused(ask: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as raised:
        ask()
    return raised.value


def test_a_session_holds_until_a_later_sign_in_replaces_its_key(stub: Stub, wechat: WechatClient) -> None:
    session = wechat.open_session(stub.login(PERSONA))
    wechat.check_session(session)
    rotate(stub)
    lapsed = refused(lambda: wechat.check_session(session))
    assert isinstance(lapsed, WechatSessionLapsed)
    assert (lapsed.kind, lapsed.code) == (Kind.CONFLICT, "wechat_session_lapsed")
    assert "重新登录" in lapsed.title("zh")
    wechat.check_session(wechat.open_session(stub.login(PERSONA)))


def test_a_session_does_not_print_its_key(stub: Stub, wechat: WechatClient) -> None:
    session = wechat.open_session(stub.login(PERSONA))
    assert session.session_key == stub.state._personas[PERSONA].session_key
    assert session.session_key not in repr(session) + str(session)


def test_a_request_that_the_network_delivers_twice_is_a_used_code(stub: Stub, wechat: WechatClient) -> None:
    stub.order("faults", interface="code2session", duplicate=True)
    assert isinstance(refused(lambda: wechat.exchange(stub.login(PERSONA))), WechatCodeUsed)


def test_processes_that_start_together_share_one_token(
    stub: Stub, cache: redis.Redis, cache_url: str
) -> None:
    caches = [redis.Redis.from_url(cache_url) for _ in range(5)]
    clients = [
        WechatClient(base_url=stub.url, appid=STUB_APPID, secret=STUB_SECRET, cache=own) for own in caches
    ]
    stub.order("faults", interface="stable_token", latency_ms=300)
    with ThreadPoolExecutor(50) as pool:
        tokens = set(pool.map(lambda number: clients[number % 5].access_token(), range(50)))
    assert len(tokens) == stub.calls("stable_token") == 1
    # Kept at most until WeChat renews it, and not to the second: else all processes would renew at once.
    assert 7200 - 300 - 60 - 5 <= cache.ttl(TOKEN) <= 7200 - 300
    for client in clients:
        client.close()
    for own in caches:
        own.close()


def test_a_token_that_somebody_else_ended_is_renewed_once(stub: Stub, wechat: WechatClient) -> None:
    session = wechat.open_session(stub.login(PERSONA))
    wechat.check_session(session)
    stub.order("faults", interface="checksession", stale_token=True)
    wechat.check_session(session)
    assert (stub.calls("stable_token"), stub.calls("checksession")) == (2, 3)


def test_a_token_that_is_past_its_end_is_renewed_once(stub: Stub, wechat: WechatClient) -> None:
    session = wechat.open_session(stub.login(PERSONA))
    wechat.check_session(session)
    stub.order("clock", advance_s=7201)
    wechat.check_session(session)
    assert (stub.calls("stable_token"), stub.calls("checksession")) == (2, 3)


def test_a_token_that_never_works_is_given_up_after_one_renewal(stub: Stub, wechat: WechatClient) -> None:
    session = wechat.open_session(stub.login(PERSONA))
    stub.order("faults", interface="checksession", errcode=40001, times=9)
    assert isinstance(refused(lambda: wechat.check_session(session)), WechatUnavailable)
    assert (stub.calls("stable_token"), stub.calls("checksession")) == (2, 2)


def test_many_that_renew_a_dead_token_at_once_ask_once(stub: Stub, wechat: WechatClient) -> None:
    session = wechat.open_session(stub.login(PERSONA))
    wechat.check_session(session)
    stub.state.end_tokens()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: wechat.check_session(session), range(20)))
    assert stub.calls("stable_token") == 2


def test_the_lock_of_a_process_that_died_is_outlived(
    stub: Stub, wechat: WechatClient, cache: redis.Redis
) -> None:
    cache.set(f"{TOKEN}-lock", "a process that died", ex=1)
    assert wechat.access_token()
    assert cache.get(f"{TOKEN}-lock") is None


def test_a_token_that_is_refused_is_kept_by_nobody(
    stub: Stub, wechat: WechatClient, cache: redis.Redis
) -> None:
    stub.order("faults", interface="stable_token", errcode=45009)
    assert isinstance(refused(wechat.access_token), WechatUnavailable)
    assert cache.keys("*") == []
    assert wechat.access_token()


@pytest.mark.parametrize("fault", [{"html": True}, {"truncate": True}, {"drop": True}, {"errcode": 0}])
def test_an_answer_without_a_token_is_refused(
    stub: Stub, wechat: WechatClient, fault: dict[str, int]
) -> None:
    stub.order("faults", interface="stable_token", **fault)
    assert isinstance(refused(wechat.access_token), WechatUnavailable)


def test_an_answer_longer_than_any_is_not_read_to_its_end(stub: Stub, wechat: WechatClient) -> None:
    stub.order("faults", interface="code2session", errcode=0, errmsg="x" * LONGEST_ANSWER)
    assert isinstance(refused(lambda: wechat.exchange(stub.login(PERSONA))), WechatUnavailable)


def test_an_answer_that_does_not_come_is_waited_for_so_long_and_no_longer(
    stub: Stub, wechat: WechatClient
) -> None:
    stub.order("faults", interface="code2session", latency_ms=TIMEOUT_S * 1000 + 1500)
    code = stub.login(PERSONA)
    start = time.monotonic()
    assert isinstance(refused(lambda: wechat.exchange(code)), WechatUnavailable)
    assert TIMEOUT_S <= time.monotonic() - start < TIMEOUT_S + 1.5
    assert stub.calls("code2session") == 1


def test_a_wechat_that_is_not_there_is_unavailable(cache: redis.Redis) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port meanwhile
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = WechatClient(base_url=url, appid=STUB_APPID, secret=STUB_SECRET, cache=cache)
        assert isinstance(refused(lambda: client.exchange("0code")), WechatUnavailable)
        client.close()


def test_chinese_reaches_wechat_unescaped(stub: Stub, wechat: WechatClient) -> None:
    openid = wechat.exchange(stub.login(PERSONA)).openid
    stub.order("accept", persona=PERSONA, template="stub-template-voucher")
    body = {
        "touser": openid,
        "template_id": "stub-template-voucher",
        "data": {"thing1": {"value": "面包一份,还有三天到期"}},
    }
    wechat.call_with_token("POST", "/cgi-bin/message/subscribe/send", body=body)
    sent = httpx.get(f"{stub.url}/__stub/calls").json()["calls"][-1]
    assert (sent["interface"], sent["body"]) == ("subscribe_send", "plain")


@pytest.mark.parametrize(
    "fault",
    [
        {"html": True},
        {"truncate": True},
        {"drop": True},
        {"errcode": 40029},
        {"errcode": 45011},
        {"errcode": 1},
    ],
)
def test_no_refusal_carries_what_it_grew_from(
    stub: Stub, wechat: WechatClient, caplog: pytest.LogCaptureFixture, fault: dict[str, int]
) -> None:
    caplog.set_level(logging.DEBUG)
    session = wechat.open_session(stub.login(PERSONA))
    code = stub.login(PERSONA)
    stub.order("faults", interface="code2session", **fault)
    stub.order("faults", interface="checksession", **fault)
    for ask in (lambda: wechat.exchange(code), lambda: wechat.check_session(session)):
        refusal = refused(ask)
        assert refusal.__cause__ is None
        assert refusal.__context__ is None
        said = repr((refusal.args, refusal.facts, refusal.detail)) + caplog.text
        secrets = (STUB_SECRET, session.session_key, code, wechat.access_token())
        assert [secret for secret in secrets if secret in said] == []
