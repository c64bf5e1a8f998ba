"""Who plays: staff, partners and tills of the demo city, and a citizen of this telling's own."""

import json
import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from app.settings import DEMO_FILE
from app.story.teller import Teller
from app.story.visitor import Unexpected, Visitor
from kernel.clock import business_day


@dataclass
class Cast:
    """Everybody in the story; `run` marks what belongs to this telling of it."""

    data: Path
    demo: dict[str, Any]
    run: str = field(default_factory=lambda: secrets.token_hex(3).upper())
    _visitors: list[Visitor] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the product is."""
        return str(self.demo["urls"]["product"])

    @property
    def card(self) -> str:
        """The transit card of this run's citizen."""
        return f"STORY{self.run}"

    @property
    def account(self) -> str:
        """The utility account of this run's citizen."""
        return f"S{self.run}"

    def anybody(self) -> Visitor:
        """Somebody who has not signed in."""
        return self._kept(Visitor(self.url))

    def staff(self, login: dict[str, str]) -> Visitor:
        """A member of staff, signed in with a password."""
        told = self.anybody().post("/v1/sessions/password", login)
        return self._kept(Visitor(self.url, told["access_token"]))

    def partner(self, name: str) -> Visitor:
        """A data partner with its key."""
        return self._kept(Visitor(self.url, self.demo["partners"][name]["key"]))

    def tills(self, merchant: str) -> list[Visitor]:
        """The tills of a merchant with their secrets."""
        tokens = [till["token"] for till in self.demo["merchants"][merchant]["tills"].values()]
        return [self._kept(Visitor(self.url, token)) for token in tokens]

    def citizen(self) -> Visitor:
        """A citizen who signs in with WeChat: the phone gets a code, the product exchanges it."""
        wechat = self._kept(Visitor(self.demo["urls"]["wechat_stub"]))
        code = wechat.post("/__stub/login", {"persona": f"story-{self.run.lower()}"})["js_code"]
        told = self.anybody().post("/v1/sessions/wechat", {"js_code": code})
        return self._kept(Visitor(self.url, told["access_token"]))

    def leave(self) -> None:
        """Close every connection."""
        for visitor in self._visitors:
            visitor.close()

    def _kept(self, visitor: Visitor) -> Visitor:
        self._visitors.append(visitor)
        return visitor


@dataclass(frozen=True)
class Story:
    """What the acts hand on to each other."""

    cast: Cast
    tell: Teller
    now: datetime

    @property
    def today(self) -> date:
        """The business day of the telling."""
        return business_day(self.now)

    @property
    def yesterday(self) -> date:
        """The day of the rides."""
        return self.today - timedelta(days=1)


def gather(data: Path) -> Cast:
    """The cast of the demo city under `data`; raises Unexpected when nothing runs there."""
    file = data / DEMO_FILE
    if not file.exists() or not (data / "run.json").exists():
        raise Unexpected(
            f"nothing runs on {data}: start it with `make run` in another shell, then tell again"
        )
    return Cast(data, json.loads(file.read_text(encoding="utf-8")))
