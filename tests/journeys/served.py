"""A real granian with the product, a small city planted for the machine's own clock, and clients of it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy.orm import Session

from app.factory import Product, create_product
from app.identity.sign_in import SignedIn, WechatUser, sign_in_citizen
from app.identity.tokens import issue
from app.parts import IN_THE_HOUSE
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner
from kernel.actor import system_actor
from kernel.call import Call
from kernel.clock import SystemClock
from kernel.database import in_transaction
from kernel.identifiers import parse_public_id, public_id
from kernel.signing import Purpose
from merchants.onboarding import add_merchant, add_store
from merchants.terminals import new_terminal, pair
from rewards.catalogue.offering import Offer, Share, add_funder
from tests.carbon.city import SECRET, City, plant_city, publish_rule
from tests.conftest import REGION, ROOT, settings_for
from tests.rewards.world import RULES, on_sale

THREADS = ("--blocking-threads", str(IN_THE_HOUSE), "--backpressure", str(IN_THE_HOUSE))
FIRST_PORT, LAST_PORT = 24000, 31999
READY_SECONDS = 60
PRICE_COIN_MILLI = 100


@dataclass
class Served:
    """The product behind granian on one port: started, killed and started again."""

    database_url: str
    cache_url: str
    log: Path
    environment: str = "test"
    port: int = 0
    workers: int = 2
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def surroundings(self) -> dict[str, str]:
        """The environment of each of its processes."""
        given = settings_for(self.database_url, self.cache_url)
        names = ("database_url", "redis_url", "jwt_secret", "key_ring_secret", "card_hash_secret")
        return {
            **os.environ,
            **{name.upper(): str(getattr(given, name)) for name in names},
            "ENVIRONMENT": self.environment,
            "LOG_LEVEL": "error",
            "TANPUHUI_DATA": str(self.log.parent / "data"),
        }

    def start(self) -> None:
        """Start it, where it was before, and wait until it is ready."""
        self.port = self.port or free_port()
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"),
                    *("--port", str(self.port), "--workers", str(self.workers), *THREADS),
                    *("--no-ws", "--log-level", "warning", "wsgi:app"),
                ],
                cwd=ROOT,
                env=self.surroundings,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Until it says that it may serve."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text(errors="replace")[-3000:])

    def kill(self) -> None:
        """End every process of it with SIGKILL, in the middle of whatever it does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def free_port() -> int:
    """A port that nothing listens on, below those the system hands out."""
    for port in range(FIRST_PORT + os.getpid() % 4000, LAST_PORT):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@dataclass(frozen=True)
class Resident:
    """A citizen with a session and a card of the transit partner."""

    id: UUID
    token: str
    card: str


@dataclass(frozen=True)
class Town:
    """Ids and secrets of what stands in the database."""

    city: City
    residents: tuple[Resident, ...]
    tills: tuple[str, ...]
    reward: str

    def ride(self, resident: Resident, event: str, occurred_at: datetime) -> dict[str, Any]:
        """A record of ten kilometres, as the partner pushes it."""
        return {
            "record": {
                "source_event_id": event,
                "subject": resident.card,
                "scenario": "metro_ride",
                "occurred_at": occurred_at.isoformat(timespec="seconds"),
                "quantity": 10_000,
                "unit": "m",
            }
        }


def plant_town(*, database_url: str, cache_url: str, residents: int, tills: int) -> Town:
    """Rules, factors, a partner, a merchant with paired tills, a cheap reward, and citizens with cards."""
    product = create_product(settings_for(database_url, cache_url))
    try:
        with product.flask.app_context():
            return in_transaction(
                product.door.sessions, lambda session: _plant(_call(product, session), residents, tills)
            )
    finally:
        product.close()


def _call(product: Product, session: Session) -> Call:
    return Call(
        db=session,
        actor=system_actor(REGION),
        now=SystemClock().now(),
        request_id="planting",
        keys=product.door.keys,
    )


def _plant(call: Call, residents: int, tills: int) -> Town:
    for purpose in Purpose:  # the region's own keys sign from the tests' day, which may be to come
        call.keys.add_key(call.db, purpose, now=call.now, signs_from=call.now - timedelta(days=1))
    city = plant_city(call)
    for kind, content in RULES.items():
        publish_rule(call, kind, "standard", content)
    merchant = add_merchant(call, name_zh="示例面包店", name_en="Example bakery")
    store = add_store(call, merchant, name_zh="一店", name_en="First")
    paired = [
        pair(call, new_terminal(call, store.id, label=f"till {number}").code) for number in range(tills)
    ]
    funder = add_funder(call, name_zh="公共资金", name_en="Public fund")
    offer = Offer(
        title_zh="面包一份",
        title_en="A loaf of bread",
        price_coin_milli=PRICE_COIN_MILLI,
        cost_fen=500,
        funding=[Share(funder_id=funder, parts=1)],
        valid_days=30,
        limit_per_person=100_000,
        stock=100_000,
        sells_from=call.now - timedelta(days=1),
        sells_until=call.now + timedelta(days=30),
        merchant_id=None,
        scope_no=None,
    )
    reward = on_sale(call, offer)
    return Town(
        city,
        tuple(_resident(call, city, number) for number in range(residents)),
        tuple(till.token for till in paired),
        public_id("rwd", reward),
    )


def _resident(call: Call, city: City, number: int) -> Resident:
    name = f"demo-citizen-{number:03}"
    user = WechatUser(appid="wxstub0000000000", openid=name)
    signed_in: SignedIn = sign_in_citizen(call, user, region_id=REGION)
    tokens = issue(
        session_id=signed_in.session_id,
        refresh_id=signed_in.refresh_id,
        subject=signed_in.subject,
        now=call.now,
    )
    citizen = parse_public_id("ctz", signed_in.subject)
    hashed = hash_subject(SECRET, partner_id=city.partner_id, subject=name)
    bind_many(call, find_partner(call, city.partner_id), [CitizenCard(citizen, hashed)], text_version="v1")
    return Resident(citizen, tokens.access_token, name)


def bearer(token: str, **more: str) -> dict[str, str]:
    """The headers of somebody who holds `token`."""
    return {"Authorization": f"Bearer {token}", **more}
