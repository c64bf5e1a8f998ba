"""What was sent to an endpoint, attempt by attempt, and sending it again.

Sending again keeps the id and the body, so a receiver that has it knows it. Asking twice is asking once:
what waits already waits.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text, update

from app.notifications.webhooks.deliveries import MOST_TRIES
from app.notifications.webhooks.endpoints import find_endpoint
from app.notifications.webhooks.errors import PingNotSentAgain
from app.notifications.webhooks.events import ENDPOINT
from app.notifications.webhooks.tables import PING, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import NotFound, require
from kernel.identifiers import public_id
from kernel.paging import Page, PageRequest, WrongCursor

DELIVERY = "whd"
MOST_REPLAYED = 1_000
UNDELIVERED, ALL = "undelivered", "all"
PAGE_LIFE = timedelta(hours=1)
PAGE_BYTES = 24
LONGEST_LINK = 64
_STATES = {UNDELIVERED: ["dead"], ALL: ["dead", "delivered"]}


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A delivery and its attempts, first to last."""

    delivery: WebhookDelivery
    attempts: Sequence[WebhookAttempt]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How many are sent again, and the cursor of what follows; then ask with it, under another key."""

    count: int
    next: str | None

    @property
    def more(self) -> bool:
        """Whether something follows."""
        return self.next is not None


@dataclass(frozen=True, kw_only=True)
class PageLink:
    """A page's path, told once, and when it ends."""

    path: str
    ends_at: datetime


def deliveries(
    call: Call, endpoint: WebhookEndpoint, page: PageRequest, *, state: str | None = None
) -> Page[WebhookDelivery]:
    """An endpoint's deliveries, newest first. Refuses `WrongCursor`."""
    binding = f"webhook-deliveries|{endpoint.id}|{state}"
    after = page.position(binding, UUID)
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if after is not None:
        query = query.where(WebhookDelivery.id < after[0])
    rows = call.db.scalars(query.order_by(WebhookDelivery.id.desc()).limit(page.limit + 1)).all()
    return page.page(rows, binding, lambda delivery: [str(delivery.id)])


def follow(call: Call, endpoint: WebhookEndpoint, delivery_id: UUID) -> Followed:
    """One delivery with its attempts. Refuses `NotFound`."""
    delivery = _of(call, endpoint, delivery_id)
    return Followed(delivery=delivery, attempts=attempts(call, [delivery.id]))


def attempts(call: Call, delivery_ids: Sequence[UUID]) -> Sequence[WebhookAttempt]:
    """Attempts of some deliveries, first to last."""
    return call.db.scalars(
        select(WebhookAttempt)
        .where(WebhookAttempt.delivery_id.in_(delivery_ids))
        .order_by(WebhookAttempt.delivery_id, WebhookAttempt.number)
    ).all()


def redeliver(call: Call, endpoint: WebhookEndpoint, delivery_id: UUID) -> WebhookDelivery:
    """Send a delivery again from now on, by the whole schedule; one that is being sent just goes on.

    Refuses `NotFound`, `PingNotSentAgain`.
    """
    delivery = _of(call, endpoint, delivery_id)
    require(delivery.event != PING, PingNotSentAgain())
    call.db.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery.id, WebhookDelivery.lease.is_(None))
        .values(state="waiting", tries_left=MOST_TRIES, next_at=call.now, ended_at=None)
    )
    audit(call, "webhook.redeliver", subject=public_id(DELIVERY, delivery.id))
    call.db.refresh(delivery)
    return delivery


def replay(
    call: Call, endpoint: WebhookEndpoint, *, since: datetime, which: str, after: str | None = None
) -> Replayed:
    """Send again what happened since an instant, oldest first, at most a thousand; pings are left out.

    Nothing comes twice behind a cursor: it goes on behind what was sent, and ends at what had happened when
    the first part was asked for. Refuses `WrongCursor`.
    """
    binding = f"webhook-replay|{endpoint.id}|{which}|{since.astimezone(UTC).isoformat()}"
    page = PageRequest(limit=MOST_REPLAYED, after=after)
    until, happened, last = _replayed(page, binding) or (_micros(call.now), 0, UUID(int=0))
    asked = {
        "endpoint": endpoint.id,
        "since": since,
        "states": _STATES[which],
        "ping": PING,
        "until": until,
        "happened": happened,
        "last": last,
        "most": page.limit + 1,
    }
    chosen = call.db.execute(_CHOSEN, asked).all()
    part = page.page(chosen, binding, lambda row: [until, row.happened, str(row.id)])
    again = {**asked, "ids": [row.id for row in part.items], "now": call.now, "tries": MOST_TRIES}
    count = int(call.db.execute(_REPLAY, again).rowcount)  # type: ignore[attr-defined]  # cursor results have it
    audit(call, "webhook.replay", subject=public_id(ENDPOINT, endpoint.id), count=count, which=which)
    return Replayed(count=count, next=part.next)


def _replayed(page: PageRequest, binding: str) -> tuple[int, int, UUID] | None:
    """Until when a replay goes, and the instant and id of the last that it sent again."""
    try:
        found = page.position(binding, int, int, UUID)
    except WrongCursor as error:
        raise WrongCursor(pointer="/body/after") from error
    return None if found is None else (found[0], found[1], found[2])


def _micros(instant: datetime) -> int:
    return (instant - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def make_page_link(call: Call, endpoint_id: UUID) -> PageLink:
    """Open the page of an own endpoint for an hour to whoever has the link; an earlier link ends.

    Refuses `NotFound`.
    """
    endpoint = find_endpoint(call, endpoint_id)
    secret, ends_at = secrets.token_urlsafe(PAGE_BYTES), call.now + PAGE_LIFE
    call.db.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint.id)
        .values(page_digest=_digest(secret), page_ends_at=ends_at)
    )
    audit(call, "webhook.open_page", subject=public_id(ENDPOINT, endpoint.id))
    return PageLink(path=f"/webhooks/{secret}", ends_at=ends_at)


def linked_endpoint(call: Call, secret: str) -> WebhookEndpoint:
    """What a link opens. Refuses `NotFound`: unknown, ended, replaced and malformed look the same."""
    if len(secret) > LONGEST_LINK or not secret.isascii():
        raise NotFound("no such link")
    found = call.db.scalar(
        select(WebhookEndpoint).where(
            WebhookEndpoint.page_digest == _digest(secret),
            WebhookEndpoint.page_ends_at > call.now,
            WebhookEndpoint.state != "deleted",
        )
    )
    if found is None:
        raise NotFound("no such link")
    return found


def _of(call: Call, endpoint: WebhookEndpoint, delivery_id: UUID) -> WebhookDelivery:
    delivery = call.db.get(WebhookDelivery, delivery_id)
    if delivery is None or delivery.endpoint_id != endpoint.id:
        raise NotFound("no such delivery")
    return delivery


def _digest(secret: str) -> bytes:
    return digest(canonical_bytes("webhook-page/1", secret))


_HAPPENED = "CAST(extract(epoch FROM happened_at) * 1000000 AS bigint)"
_CHOSEN = text(
    f"SELECT id, {_HAPPENED} AS happened FROM webhook_delivery WHERE endpoint_id = :endpoint"  # noqa: S608 - our own text
    " AND happened_at >= :since AND state = ANY (:states) AND event <> :ping"
    f" AND {_HAPPENED} <= :until AND ({_HAPPENED}, id) > (:happened, :last)"
    " ORDER BY happened_at, id LIMIT :most"
)
_REPLAY = text(
    "UPDATE webhook_delivery SET state = 'waiting', tries_left = :tries, next_at = :now, ended_at = NULL"
    " WHERE state = ANY (:states) AND lease IS NULL AND id = ANY (CAST(:ids AS uuid[]))"
)
