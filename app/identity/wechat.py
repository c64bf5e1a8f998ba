"""The product's side of WeChat: exchange a login code, keep one access token for all processes.

Answers are read by content: WeChat says `text/plain`, leaves out `errcode` on success, and answers
200 to everything. The secret travels in a query, so neither httpx's log nor its exceptions leave here.
"""

import hashlib
import hmac
import json
import logging
import random
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import redis

from app.identity.errors import (
    WechatBusy,
    WechatCodeInvalid,
    WechatCodeUsed,
    WechatUnavailable,
    WechatUserBlocked,
)
from app.identity.sign_in import WechatUser
from kernel.errors import Kind, Refusal

TRIES = 3
SYSTEM_ERROR = -1
TIMEOUT_S = 5
EARLY_S = 300
"""WeChat renews a token this long before its end, and both work meanwhile."""
JITTER_S = 60
LOCK_S = 10
LONGEST_ANSWER = 64 * 1024
_OPENID_MOST = 128


class WechatSessionLapsed(Refusal):
    """WeChat has begun another session of this user since; sign in again."""

    kind = Kind.CONFLICT
    title_zh = "微信登录状态已失效,请重新登录"


_CODE = "/body/js_code"
_REFUSALS: dict[int, tuple[type[Refusal], str | None]] = {
    40029: (WechatCodeInvalid, _CODE),
    40163: (WechatCodeUsed, _CODE),
    40226: (WechatUserBlocked, _CODE),
    87009: (WechatSessionLapsed, None),
}
STALE_TOKEN = frozenset({40001, 40014, 42001})
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


@dataclass(frozen=True)
class WechatSession:
    """A user and the key that opens what WeChat encrypts for them; the key is never shown."""

    user: WechatUser
    session_key: str = field(repr=False)


class WechatClient:
    """One mini program. Safe to share between threads; `pause` sleeps that many seconds."""

    def __init__(
        self,
        *,
        base_url: str,
        appid: str,
        secret: str,
        cache: redis.Redis,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        # httpx writes whole addresses to its log, and ours carry the secret.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.appid = appid
        self._secret = secret
        self._cache = cache
        self._pause = pause
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT_S, follow_redirects=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def exchange(self, js_code: str) -> WechatUser:
        """Who a login code belongs to; refuses as `open_session`. Signing in needs no key and keeps none."""
        return self.open_session(js_code).user

    def open_session(self, js_code: str) -> WechatSession:
        """Use up a login code.

        Refuses WechatCodeInvalid, WechatCodeUsed, WechatUserBlocked, WechatBusy, WechatUnavailable.
        """
        answer = self._ask(
            "GET",
            "/sns/jscode2session",
            params={
                "appid": self.appid,
                "secret": self._secret,
                "js_code": js_code,
                "grant_type": "authorization_code",
            },
        )
        openid, unionid, key = (answer.get(name) for name in ("openid", "unionid", "session_key"))
        if not isinstance(openid, str) or not 0 < len(openid) <= _OPENID_MOST or not openid.isascii():
            raise WechatUnavailable("the answer names no user", retry_after_s=5)
        if not isinstance(key, str) or not key.isascii():
            raise WechatUnavailable("the answer holds no session key", retry_after_s=5)
        user = WechatUser(
            appid=self.appid, openid=openid, unionid=unionid if isinstance(unionid, str) else None
        )
        return WechatSession(user, key)

    def check_session(self, session: WechatSession) -> None:
        """Make sure that the key is still the user's; a later sign-in may have replaced it.

        Refuses WechatSessionLapsed, WechatBusy, WechatUnavailable.
        """
        # The HMAC's key is the base64 text as it came; decoding it first is the field's favourite mistake.
        signature = hmac.new(session.session_key.encode(), b"", hashlib.sha256).hexdigest()
        query = {"openid": session.user.openid, "signature": signature, "sig_method": "hmac_sha256"}
        self.call_with_token("GET", "/wxa/checksession", query=query)

    def access_token(self) -> str:
        """The token all processes share; of many that miss it one asks. Refuses WechatUnavailable."""
        mark = secrets.token_hex(8)
        try:
            for _ in range(LOCK_S * 20):
                kept = self._cache.get(self._key("token"))
                if isinstance(kept, bytes):
                    return kept.decode()
                if self._cache.set(self._key("token-lock"), mark, nx=True, ex=LOCK_S):
                    return self._renew(mark)
                self._pause(0.05)
        except redis.RedisError:
            # Without the cache nothing is lost: the stable token is the same for everybody who asks.
            return self._ask_token()[0]
        raise WechatUnavailable("another process is still asking for the token", retry_after_s=5)

    def call_with_token(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Call an interface that needs the token; a stale token is asked for anew, once."""
        for last in (False, True):
            token = self.access_token()
            answer = self._ask(
                method,
                path,
                params={**(query or {}), "access_token": token},
                body=body,
                tolerated=frozenset() if last else STALE_TOKEN,
            )
            if answer.get("errcode", 0) not in STALE_TOKEN:
                return answer
            self._forget(token)
        raise WechatUnavailable(retry_after_s=5)

    def _renew(self, mark: str) -> str:
        try:
            kept = self._cache.get(self._key("token"))  # whoever held the lock before may have renewed it
            if isinstance(kept, bytes):
                return kept.decode()
            token, life_s = self._ask_token()
            jitter = random.randrange(JITTER_S)  # noqa: S311 - spreads renewals, hides nothing
            self._cache.set(self._key("token"), token, ex=max(1, life_s - EARLY_S - jitter))
            return token
        finally:
            self._cache.eval(_UNLOCK, 1, self._key("token-lock"), mark)

    def _forget(self, token: str) -> None:
        try:
            self._cache.eval(_UNLOCK, 1, self._key("token"), token)
        except redis.RedisError:
            return  # nothing was kept, so nothing is to be forgotten

    def _ask_token(self) -> tuple[str, int]:
        answer = self._ask(
            "POST",
            "/cgi-bin/stable_token",
            body={
                "grant_type": "client_credential",
                "appid": self.appid,
                "secret": self._secret,
                "force_refresh": False,
            },
        )
        token, life_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or type(life_s) is not int:
            raise WechatUnavailable("the answer holds no token", retry_after_s=5)
        return token, life_s

    def _key(self, name: str) -> str:
        return f"wechat:{self.appid}:{name}"

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        tolerated: frozenset[int] = frozenset(),
    ) -> dict[str, Any]:
        """One interface, asked again only while WeChat says -1; any other error is a refusal."""
        for attempt in range(1, TRIES + 1):
            answer = self._send(method, path, params=params, body=body)
            code = answer.get("errcode", 0)
            if code == 0 or code in tolerated:
                return answer
            if code != SYSTEM_ERROR:
                raise _refusal(code)
            if attempt < TRIES:
                self._pause(0.1 * 2**attempt)
        raise WechatUnavailable(errcode=SYSTEM_ERROR, retry_after_s=5)

    def _send(
        self, method: str, path: str, *, params: dict[str, str] | None, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        # Chinese text must arrive unescaped: the content check passes everything that is escaped.
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        status, answer = 0, None
        # These are dropped, not chained: their texts carry the address, and the address the secret.
        with (
            suppress(httpx.HTTPError, ValueError, RecursionError),
            self._http.stream(method, path, params=params, content=content, headers=headers) as response,
        ):
            status, answer = response.status_code, json.loads(_bounded(response))
        if status != httpx.codes.OK or not isinstance(answer, dict):
            raise WechatUnavailable(retry_after_s=5)
        if type(answer.get("errcode", 0)) is not int:
            raise WechatUnavailable(retry_after_s=5)
        return answer


def _bounded(response: httpx.Response) -> bytes:
    """The body, read no further than the longest answer; raises ValueError beyond."""
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise ValueError("longer than any answer")
    return body


def _refusal(code: int) -> Refusal:
    if code == 45011:
        return WechatBusy(errcode=code, retry_after_s=60)
    if code not in _REFUSALS:
        return WechatUnavailable(errcode=code, retry_after_s=60)
    known, pointer = _REFUSALS[code]
    return known(errcode=code, pointer=pointer)
