"""The bakery's own system is told of what its tills honour: some of it came through, then it went away.

It is a real receiver on this machine, up while the city is made: what it took, it took, and what was sent
after it ended found nobody. The worker goes on trying; `flask webhooks listen` on its port takes the rest.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select

from app.demo.market import Shop
from app.demo.stage import Stage
from app.notifications.webhooks.deliveries import ping, prepare_deliveries
from app.notifications.webhooks.dispatch import send_due
from app.notifications.webhooks.endpoints import Registered, Wanted, register
from app.notifications.webhooks.events import ENDPOINT, EVENTS, MERCHANT_OWNER
from app.notifications.webhooks.reach import YES, reach_of
from app.notifications.webhooks.tables import WebhookEndpoint
from app.webhook_command import listener
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.outgoing import News, Outgoing

Result = TypeVar("Result")
TAKEN, LOST = 3, 2
"""Events that found the receiver, and events that did not."""


@dataclass(frozen=True)
class ToldShop:
    """The endpoint, where it stands, and its secret."""

    id: UUID
    url: str
    secret: str

    @property
    def outline(self) -> dict[str, str]:
        """What the demo file says."""
        return {"id": public_id(ENDPOINT, self.id), "url": self.url, "secret": self.secret}


def tell_shop(stage: Stage, shop: Shop, *, since: datetime) -> ToldShop:
    """Register the shop's receiver as its manager, and send it what its tills honoured `since`."""
    settings = replace(stage.settings, webhook_allow_loopback=YES)
    secrets: list[str] = []
    data, clock = settings.tanpuhui_data, stage.product.door.clock

    def run(work: Callable[[Call], Result]) -> Result:
        return stage.play(work, at=clock.now())

    with listener(data, port=0, secrets=secrets, say=lambda _: None, clock=clock) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        wanted = Wanted(
            url=f"https://localhost:{server.server_port}/tanpuhui",
            events=[each.name for each in EVENTS if MERCHANT_OWNER in each.audience],
            description="收银系统 / the bakery's own system",
        )
        made: Registered = stage.play(lambda call: register(call, wanted), at=since, actor=shop.manager.actor)
        secrets.append(made.secret)
        endpoint_id = made.endpoint.id
        run(lambda call: ping(call, call.db.get_one(WebhookEndpoint, endpoint_id)).id)
        send_due(run, reach_of(settings))
        run(partial(_news_since, since=since))
        send_due(run, reach_of(settings), most=TAKEN)
        server.shutdown()
        thread.join()
    send_due(run, reach_of(settings), most=LOST)
    return ToldShop(endpoint_id, wanted.url, made.secret)


def _news_since(call: Call, *, since: datetime) -> int:
    """What the task that hands news on does; it finds these written when its turn comes."""
    rows = call.db.scalars(select(Outgoing).where(Outgoing.recorded_at >= since).order_by(Outgoing.id))
    names = ("id", "region_id", "event", "subject", "facts", "recorded_at")
    return prepare_deliveries(call, [News(**{name: getattr(row, name) for name in names}) for row in rows])
