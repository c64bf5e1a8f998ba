"""What the WeChat stub remembers: people, codes, session keys, tokens, and how often who asked.

Everything random comes from one seed and the persona's name, so that a story told twice is the same.
"""

import base64
import hashlib
import hmac
import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.identity.wechat_stub_messages import wrong_value
from app.identity.wechat_stub_open_data import Features, encrypted, phone_info, steps
from kernel.clock import Clock, SystemClock

CODE_LIFE = timedelta(minutes=5)
TOKEN_LIFE = timedelta(hours=2)
BOTH_WORK = timedelta(minutes=5)
FORCE_GAP = timedelta(seconds=30)
FORCES_A_DAY = 20
EXCHANGES_A_MINUTE = 100
ROTATION_PERCENT = 50
MOST_REMEMBERED = 10_000


class WechatSays(Exception):  # noqa: N818 - it is an answer
    """One of WeChat's errors."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        """As WeChat writes them, without the rid."""
        super().__init__(errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


@dataclass
class Persona:
    """A made-up WeChat user."""

    openid: str
    session_key: str
    features: Features = field(default_factory=Features)
    exchanges: deque[datetime] = field(default_factory=deque)


@dataclass
class Code:
    """A code of wx.login or of the phone button, and whose it is."""

    persona: str
    appid: str
    ends_at: datetime
    used: bool = False


class StubState:
    """The stub's memory, behind one lock."""

    def __init__(
        self,
        *,
        appid: str,
        secret: str,
        seed: int = 1,
        clock: Clock | None = None,
        personas: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.appid, self.secret = appid, secret
        self._clock = clock or SystemClock()
        self._offset = timedelta()
        self._random = random.Random(seed)  # noqa: S311 - a repeatable stub, nothing secret
        self._lock = threading.RLock()
        self._personas: dict[str, Persona] = {}
        self._codes: dict[str, Code] = {}
        self._phone_codes: dict[str, Code] = {}
        self._tokens: dict[str, datetime] = {}
        self._current: tuple[str, datetime] | None = None
        self._plain: str | None = None
        self._forced: list[datetime] = []
        self._faults: dict[str, deque[dict[str, Any]]] = {}
        self._calls: deque[dict[str, str]] = deque(maxlen=MOST_REMEMBERED)
        for name, features in (personas or {}).items():
            self.describe(name, features)

    def now(self) -> datetime:
        """The stub's own time."""
        return self._clock.now() + self._offset

    def advance(self, seconds: int) -> None:
        """Move the stub's time."""
        with self._lock:
            self._offset += timedelta(seconds=seconds)

    def describe(self, name: str, features: dict[str, Any]) -> None:
        """Set features of a persona; raises ValueError for one that does not exist."""
        with self._lock:
            self._persona(name).features.change(features)

    def login(self, name: str, *, appid: str) -> str:
        """What wx.login would give; may rotate the session key and so end the old one."""
        with self._lock:
            persona = self._persona(name)
            if self._random.randrange(100) < ROTATION_PERCENT:
                persona.session_key = self._key()
            return self._new_code(self._codes, name, appid)

    def exchange(self, js_code: str) -> dict[str, Any]:
        """Give who the code belongs to; raises WechatSays."""
        with self._lock:
            code = self._codes.get(js_code)
            if code is None or code.appid != self.appid or code.ends_at <= self.now():
                raise WechatSays(40029, "invalid code")
            if code.used:
                raise WechatSays(40163, "code been used")
            persona = self._persona(code.persona)
            self._count(persona)
            code.used = True
            if persona.features.blocked:
                raise WechatSays(40226, "code blocked")
            answer = {"session_key": persona.session_key, "openid": persona.openid}
            unionid = persona.features.unionid
            return {**answer, "unionid": unionid} if unionid else answer

    def token(self, *, forced: bool) -> dict[str, Any]:
        """Give the stable token; forced, the old one dies. Raises WechatSays."""
        with self._lock:
            now = self.now()
            if forced:
                self._check_force(now)
                self._tokens.clear()
                self._current = None
            if self._current is None or self._current[1] - now <= BOTH_WORK:
                token = self._letters(512)
                # The old one keeps its own end, so both work until then.
                self._current = (token, now + TOKEN_LIFE)
                self._tokens[token] = now + TOKEN_LIFE
            text, ends_at = self._current
            return {"access_token": text, "expires_in": int((ends_at - now).total_seconds())}

    def plain_token(self) -> dict[str, Any]:
        """Give a token of the older kind: each one ends the one before within five minutes."""
        with self._lock:
            now = self.now()
            if self._plain is not None:
                self._tokens[self._plain] = min(self._tokens[self._plain], now + BOTH_WORK)
            self._plain = self._letters(512)
            self._tokens[self._plain] = now + TOKEN_LIFE
            return {"access_token": self._plain, "expires_in": int(TOKEN_LIFE.total_seconds())}

    def end_tokens(self) -> None:
        """Let no token work any more, as after somebody else's forced refresh."""
        with self._lock:
            self._tokens.clear()
            self._current = self._plain = None

    def check_token(self, token: str | None) -> None:
        """Raise WechatSays unless the token works now."""
        with self._lock:
            if not token:
                raise WechatSays(41001, "access_token missing")
            ends_at = self._tokens.get(token)
            if ends_at is None:
                raise WechatSays(40001, "invalid credential, access_token is invalid or not latest")
            if ends_at <= self.now():
                raise WechatSays(42001, "access_token expired")

    def check_signature(self, *, openid: str, signature: str) -> None:
        """Raise WechatSays unless `signature` is the HMAC of nothing under the user's current key."""
        with self._lock:
            self._signed(openid, signature)

    def reset_session_key(self, *, openid: str, signature: str) -> dict[str, Any]:
        """Give the user another session key; raises WechatSays as `check_signature`."""
        with self._lock:
            persona = self._signed(openid, signature)
            persona.session_key = self._key()
            return {"errcode": 0, "errmsg": "ok", "openid": openid, "session_key": persona.session_key}

    def phone_code(self, name: str, *, appid: str) -> str:
        """What the button's event would give; it is no login code."""
        with self._lock:
            return self._new_code(self._phone_codes, name, appid)

    def phone(self, code: str, *, openid: str | None) -> dict[str, Any]:
        """Give the phone behind a button's code, once; raises WechatSays."""
        with self._lock:
            found = self._phone_codes.get(code)
            if found is None or found.used or found.appid != self.appid or found.ends_at <= self.now():
                raise WechatSays(40029, "invalid code")
            persona = self._persona(found.persona)
            if openid is not None and openid != persona.openid:
                raise WechatSays(40029, "invalid code")
            found.used = True
            info = phone_info(found.persona, persona.features, appid=self.appid, now=self.now())
            return {"errcode": 0, "errmsg": "ok", "phone_info": info}

    def werun(self, name: str) -> dict[str, str]:
        """What wx.getWeRunData would give, encrypted under the session key of this moment."""
        with self._lock:
            persona = self._persona(name)
            payload = steps(name, persona.features, appid=self.appid, now=self.now())
            return encrypted(payload, session_key=persona.session_key, iv=self._random.randbytes(16))

    def accept(self, name: str, *, template: str, times: int) -> int:
        """Let a persona accept `times` more messages of a template; gives how many that makes."""
        with self._lock:
            quota = self._persona(name).features.quota
            quota[template] = quota.get(template, 0) + times
            return quota[template]

    def send(self, *, openid: str, template: str, data: Any) -> dict[str, Any]:
        """Take one subscription message off the user's quota; raises WechatSays."""
        with self._lock:
            persona = self._by_openid(openid)
            if persona is None:
                raise WechatSays(40003, "invalid openid")
            if not any(template in known.features.quota for known in self._personas.values()):
                raise WechatSays(40037, "invalid template_id")
            wrong = wrong_value(data)
            if wrong is not None:
                raise WechatSays(47003, f"argument invalid! {wrong} invalid")
            if persona.features.quota.get(template, 0) <= 0:
                raise WechatSays(43101, "user refuse to accept the msg")
            persona.features.quota[template] -= 1
            return {"errcode": 0, "errmsg": "ok", "msgid": self._random.getrandbits(53)}

    def order_fault(self, interface: str, *, times: int, fault: dict[str, Any]) -> None:
        """Let the next `times` calls of an interface go wrong in one way."""
        with self._lock:
            self._faults.setdefault(interface, deque()).extend([fault] * min(times, MOST_REMEMBERED))

    def arrive(self, interface: str, *, body: bytes) -> dict[str, Any]:
        """Note a call and give the fault that was ordered for it, if any.

        Of the body only its spelling is kept: WeChat's checks look past text that is escaped.
        """
        with self._lock:
            spelling = "escaped" if b"\\u" in body else "plain"
            self._calls.append({"interface": interface, "at": self.now().isoformat(), "body": spelling})
            ordered = self._faults.get(interface)
            return ordered.popleft() if ordered else {}

    def calls(self) -> list[dict[str, str]]:
        """Every call so far, oldest first, without what it carried."""
        with self._lock:
            return list(self._calls)

    def request_mark(self) -> str:
        """A rid: three groups of eight hexadecimal digits."""
        with self._lock:
            return "-".join(f"{self._random.getrandbits(32):08x}" for _ in range(3))

    def _persona(self, name: str) -> Persona:
        if name not in self._personas:
            mark = base64.urlsafe_b64encode(hashlib.sha256(f"{self.appid}/{name}".encode()).digest())
            self._personas[name] = Persona(f"o{mark.decode()[:27]}", self._key())
        return self._personas[name]

    def _by_openid(self, openid: str) -> Persona | None:
        return next((known for known in self._personas.values() if known.openid == openid), None)

    def _signed(self, openid: str, signature: str) -> Persona:
        persona = self._by_openid(openid)
        # The key is the base64 text itself, not what it encodes.
        key = persona.session_key.encode() if persona is not None else b""
        right = hmac.new(key, b"", hashlib.sha256).hexdigest()
        if persona is None or not hmac.compare_digest(right.encode(), signature.encode()):
            raise WechatSays(87009, "invalid signature")
        return persona

    def _new_code(self, codes: dict[str, Code], name: str, appid: str) -> str:
        self._persona(name)
        code = "0" + self._letters(31)
        codes[code] = Code(name, appid, self.now() + CODE_LIFE)
        while len(codes) > MOST_REMEMBERED:
            del codes[next(iter(codes))]
        return code

    def _count(self, persona: Persona) -> None:
        since = self.now() - timedelta(minutes=1)
        while persona.exchanges and persona.exchanges[0] <= since:
            persona.exchanges.popleft()
        if len(persona.exchanges) >= EXCHANGES_A_MINUTE:
            raise WechatSays(45011, "api minute-quota reach limit")
        persona.exchanges.append(self.now())

    def _check_force(self, now: datetime) -> None:
        self._forced = [at for at in self._forced if at > now - timedelta(days=1)]
        if len(self._forced) >= FORCES_A_DAY:
            raise WechatSays(45009, "reach max api daily quota limit")
        if self._forced and now - self._forced[-1] < FORCE_GAP:
            raise WechatSays(45011, "api minute-quota reach limit")
        self._forced.append(now)

    def _key(self) -> str:
        return base64.b64encode(self._random.randbytes(16)).decode()

    def _letters(self, count: int) -> str:
        return base64.urlsafe_b64encode(self._random.randbytes(count)).decode()[:count].replace("=", "A")
