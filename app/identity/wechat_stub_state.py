"""What the WeChat stub remembers: people, codes, session keys, tokens, and how often who asked.

Everything random comes from one seed and the persona's name, so that a story told twice is the same.
"""

import base64
import hashlib
import hmac
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

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
    """A made-up WeChat user; `blocked` is what WeChat calls high-risk."""

    openid: str
    unionid: str | None = None
    blocked: bool = False
    session_key: str = ""
    exchanges: deque[datetime] = field(default_factory=deque)


@dataclass
class Code:
    """A login code and whose it is."""

    persona: str
    appid: str
    ends_at: datetime
    used: bool = False


class StubState:
    """The stub's memory, behind one lock."""

    def __init__(self, *, appid: str, secret: str, seed: int = 1, clock: Clock | None = None) -> None:
        self.appid, self.secret = appid, secret
        self._clock = clock or SystemClock()
        self._offset = timedelta()
        self._random = random.Random(seed)  # noqa: S311 - a repeatable stub, nothing secret
        self._lock = threading.RLock()
        self._personas: dict[str, Persona] = {}
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, datetime] = {}
        self._current: tuple[str, datetime] | None = None
        self._forced: list[datetime] = []
        self._faults: dict[str, deque[dict[str, Any]]] = {}
        self._calls: deque[dict[str, str]] = deque(maxlen=MOST_REMEMBERED)

    def now(self) -> datetime:
        """The stub's own time."""
        return self._clock.now() + self._offset

    def advance(self, seconds: int) -> None:
        """Move the stub's time."""
        with self._lock:
            self._offset += timedelta(seconds=seconds)

    def describe(self, name: str, features: dict[str, Any]) -> None:
        """Set a persona's `blocked` or `unionid`."""
        with self._lock:
            persona = self._persona(name)
            persona.blocked = bool(features.get("blocked", persona.blocked))
            persona.unionid = features.get("unionid", persona.unionid)

    def login(self, name: str, *, appid: str) -> str:
        """What wx.login would give; may rotate the session key and so end the old one."""
        with self._lock:
            persona = self._persona(name)
            if self._random.randrange(100) < ROTATION_PERCENT:
                persona.session_key = self._key()
            code = "0" + self._letters(31)
            self._codes[code] = Code(name, appid, self.now() + CODE_LIFE)
            while len(self._codes) > MOST_REMEMBERED:
                del self._codes[next(iter(self._codes))]
            return code

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
            if persona.blocked:
                raise WechatSays(40226, "code blocked")
            answer = {"session_key": persona.session_key, "openid": persona.openid}
            return answer if persona.unionid is None else {**answer, "unionid": persona.unionid}

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

    def check_signature(self, openid: str, signature: str) -> None:
        """Raise WechatSays unless `signature` is the HMAC of nothing under the user's current key."""
        with self._lock:
            for persona in self._personas.values():
                if persona.openid == openid:
                    # The key is the base64 text itself, not what it encodes.
                    right = hmac.new(persona.session_key.encode(), b"", hashlib.sha256).hexdigest()
                    if hmac.compare_digest(right, signature):
                        return
            raise WechatSays(87009, "invalid signature")

    def order_fault(self, interface: str, *, times: int, fault: dict[str, Any]) -> None:
        """Let the next `times` calls of an interface go wrong in one way."""
        with self._lock:
            self._faults.setdefault(interface, deque()).extend([fault] * min(times, MOST_REMEMBERED))

    def arrive(self, interface: str) -> dict[str, Any]:
        """Note a call and give the fault that was ordered for it, if any."""
        with self._lock:
            self._calls.append({"interface": interface, "at": self.now().isoformat()})
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
            persona = Persona(openid=f"o{mark.decode()[:27]}")
            persona.session_key = self._key()
            self._personas[name] = persona
        return self._personas[name]

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
