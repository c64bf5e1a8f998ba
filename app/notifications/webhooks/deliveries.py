"""Deliveries: written when news is handed on, claimed by one sender at a time, tried again by a schedule.

A claim is a lease taken by a conditional UPDATE: whoever sends may die, and the delivery is claimed again
when the lease is over. So it comes at least once, always under the same id, and in no promised order. Each
attempt is counted when it is claimed, and noted when it has ended.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.notifications.webhooks.endpoints import BY_410, BY_FAILURES, PAUSED_AFTER
from app.notifications.webhooks.events import ENDPOINT, Told, events_in, instant_text
from app.notifications.webhooks.sending import Result
from app.notifications.webhooks.signing import signing_keys
from app.notifications.webhooks.tables import PING, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from kernel.actor import system_actor
from kernel.audit import audit
from kernel.call import Call
from kernel.identifiers import new_id, public_id
from kernel.outgoing import News, announce

WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between one attempt and the next, three days in all; published in `docs/webhooks.md`."""
MOST_TRIES = len(WAITS) + 1
JITTER_PERCENT = 10
LEASE = timedelta(minutes=2)
"""Longer than any attempt lasts."""
AT_ONCE_EACH = 2
"""Attempts to one endpoint at the same time."""
MOST_DOUBTED = 4
"""Attempts of one sender at the same time to endpoints that fail or never answered; half of what it has."""
KEPT = timedelta(days=30)
GONE = 410


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A delivery in the hands of one sender, with all that sending takes."""

    delivery_id: UUID
    endpoint_id: UUID
    region_id: str
    news_id: UUID
    event: str
    number: int
    tries_left: int
    lease: UUID
    doubted: bool
    claimed_at: datetime
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)


def prepare_deliveries(call: Call, news: Sequence[News]) -> int:
    """Write a delivery for each endpoint that wants a piece of this news; twice is the same as once."""
    told = events_in(call, news)
    owners = {each.owner_id for each in told}
    if not owners:
        return 0
    listening = call.db.scalars(
        select(WebhookEndpoint).where(
            WebhookEndpoint.owner_id.in_(owners), WebhookEndpoint.state.in_(("on", "paused"))
        )
    ).all()
    rows = [
        _row(call, endpoint, each)
        for each in told
        for endpoint in listening
        if (endpoint.owner_kind, endpoint.owner_id) == (each.owner_kind, each.owner_id)
        and each.type.name in endpoint.events
        and each.about != endpoint.id
        and each.news.recorded_at >= endpoint.created_at
    ]
    if not rows:
        return 0
    written = insert(WebhookDelivery).values(rows).on_conflict_do_nothing().returning(WebhookDelivery.id)
    return len(call.db.scalars(written).all())


def ping(call: Call, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send a ping soon, once; while one waits it is that one."""
    news_id = new_id()
    facts = {"endpoint_id": public_id(ENDPOINT, endpoint.id)}
    row = {
        **_new(call, endpoint),
        "news_id": news_id,
        "event": PING,
        "body": _body(PING, call.now, facts),
        "tries_left": 1,
        "happened_at": call.now,
    }
    call.db.execute(insert(WebhookDelivery).values(row).on_conflict_do_nothing())
    return call.db.scalars(
        select(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint.id,
            WebhookDelivery.event == PING,
            WebhookDelivery.state == "waiting",
        )
        .order_by(WebhookDelivery.id.desc())
        .limit(1)
    ).one()


def claim(call: Call, *, most: int, sound: int = 0, doubted: int = 0) -> list[Claimed]:
    """Take up to `most` due deliveries for this sender, the longest due first; at most two an endpoint.

    Endpoints that fail, or are not switched on, are doubted: they may hang, and their backlog is always the
    longest due. Of both kinds the one goes first of which this sender has less under way (`sound`,
    `doubted`), a sound one where it is equal; the doubted never have more than half.
    """
    lease = new_id()
    asked = {
        "now": call.now,
        "until": call.now + LEASE,
        "lease": lease,
        "most": most,
        "each": AT_ONCE_EACH,
        "ping": PING,
        "sound": sound,
        "doubted": doubted,
        "most_doubted": MOST_DOUBTED,
    }
    rows = call.db.execute(_CLAIM, asked).all()
    keys = signing_keys(call, [row.endpoint_id for row in rows]) if rows else {}
    return [
        Claimed(
            delivery_id=row.id,
            endpoint_id=row.endpoint_id,
            region_id=row.region_id,
            news_id=row.news_id,
            event=row.event,
            number=row.tries,
            tries_left=row.tries_left,
            lease=lease,
            doubted=row.doubted,
            claimed_at=call.now,
            url=row.url,
            body=row.body.encode(),
            keys=keys[row.endpoint_id],
        )
        for row in rows
    ]


def note(call: Call, claimed: Claimed, result: Result) -> None:
    """Keep how an attempt ended, and what follows from it.

    A delivery whose lease another took meanwhile, or that its owner asked to be sent anew, only gets the row
    of the attempt.
    """
    call.db.add(
        WebhookAttempt(
            delivery_id=claimed.delivery_id,
            number=claimed.number,
            began_at=claimed.claimed_at,
            took_ms=result.took_ms,
            result=result.outcome,
            status=result.status,
            answer=result.answer,
        )
    )
    delivered = result.outcome == "delivered"
    state, next_at = _next(call, claimed, result)
    held = call.db.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == claimed.delivery_id,
            WebhookDelivery.lease == claimed.lease,
            WebhookDelivery.state == "waiting",
        )
        .values(
            state=state,
            next_at=next_at,
            lease=None,
            leased_until=None,
            ended_at=None if next_at is not None else call.now,
        )
    )
    if not held.rowcount:  # type: ignore[attr-defined]  # cursor results have it
        return
    if delivered:
        _note_success(call, claimed)
    elif claimed.event != PING:
        _note_failure(call, claimed, gone=result.status == GONE)


def wait_before(claimed: Claimed, wait_s: int | None) -> timedelta:
    """How long until the next attempt: by the schedule, with a jitter of the delivery's own, or as asked."""
    planned = WAITS[len(WAITS) - claimed.tries_left]
    mark = hashlib.sha256(f"{claimed.delivery_id}/{claimed.number}".encode()).digest()
    jitter = planned * JITTER_PERCENT * int.from_bytes(mark[:2], "big") / (100 * 0xFFFF)
    return max(planned + jitter, timedelta(seconds=wait_s or 0))


def forget_deliveries(call: Call, *, most: int = 1_000) -> int:
    """Delete deliveries recorded more than 30 days ago with their attempts, at most `most` a run."""
    done = call.db.execute(_FORGET, {"before": call.now - KEPT, "most": most})
    return int(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


def _next(call: Call, claimed: Claimed, result: Result) -> tuple[str, datetime | None]:
    if result.outcome == "delivered":
        return "delivered", None
    if claimed.tries_left == 0 or result.status == GONE:
        return "dead", None
    return "waiting", call.now + wait_before(claimed, result.wait_s)


def _note_success(call: Call, claimed: Claimed) -> None:
    mine = update(WebhookEndpoint).where(WebhookEndpoint.id == claimed.endpoint_id)
    call.db.execute(mine.where(WebhookEndpoint.failing_since.is_not(None)).values(failing_since=None))
    if claimed.event == PING:
        waits = mine.where(WebhookEndpoint.state == "waiting")
        switched = call.db.execute(waits.values(state="on", verified_at=call.now))
        if switched.rowcount:  # type: ignore[attr-defined]  # cursor results have it
            _audited(call, claimed, "webhook.verified")


def _note_failure(call: Call, claimed: Claimed, *, gone: bool) -> None:
    mine = update(WebhookEndpoint).where(WebhookEndpoint.id == claimed.endpoint_id)
    call.db.execute(mine.where(WebhookEndpoint.failing_since.is_(None)).values(failing_since=call.now))
    paused = mine.where(WebhookEndpoint.state == "on").values(
        state="paused", paused_because=BY_410 if gone else BY_FAILURES
    )
    if not gone:
        paused = paused.where(WebhookEndpoint.failing_since <= call.now - PAUSED_AFTER)
    if call.db.execute(paused).rowcount:  # type: ignore[attr-defined]  # cursor results have it
        _audited(call, claimed, "webhook.paused", because=BY_410 if gone else BY_FAILURES)
        subject = public_id(ENDPOINT, claimed.endpoint_id)
        announce(call, "webhook.paused", region_id=claimed.region_id, subject=subject)


def _audited(call: Call, claimed: Claimed, action: str, **facts: str) -> None:
    there = replace(call, actor=system_actor(claimed.region_id))
    audit(there, action, subject=public_id(ENDPOINT, claimed.endpoint_id), **facts)


def _row(call: Call, endpoint: WebhookEndpoint, told: Told) -> dict[str, Any]:
    return {
        **_new(call, endpoint),
        "news_id": told.news.id,
        "event": told.type.name,
        "body": _body(told.type.name, told.news.recorded_at, told.data),
        "tries_left": MOST_TRIES,
        "happened_at": told.news.recorded_at,
    }


def _new(call: Call, endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": new_id(),
        "endpoint_id": endpoint.id,
        "region_id": endpoint.region_id,
        "state": "waiting",
        "tries": 0,
        "next_at": call.now,
        "recorded_at": call.now,
    }


def _body(event: str, happened_at: datetime, data: dict[str, Any]) -> str:
    return orjson.dumps({"type": event, "timestamp": instant_text(happened_at), "data": data}).decode()


# By endpoint first: what waits for one that is paused, or its long queue, is not gone through for the others.
# `turn` is how many of its kind would be under way with it. The lock looks again at rows that changed
# meanwhile, so a delivery is in one sender's hands.
_CLAIM = text(
    """
    WITH due AS (
        SELECT w.id, w.next_at, e.failing_since IS NOT NULL AS doubted
        FROM webhook_endpoint e CROSS JOIN LATERAL (
            SELECT d.id, d.next_at FROM webhook_delivery d
            WHERE d.endpoint_id = e.id AND d.state = 'waiting' AND d.next_at <= :now AND d.event <> :ping
                AND (d.leased_until IS NULL OR d.leased_until <= :now)
            ORDER BY d.next_at, d.id
            LIMIT greatest(0, :each - (SELECT count(*) FROM webhook_delivery f
                WHERE f.endpoint_id = e.id AND f.lease IS NOT NULL AND f.leased_until > :now))) w
        WHERE e.state = 'on'
        UNION ALL
        SELECT p.id, p.next_at, e.failing_since IS NOT NULL OR e.state <> 'on'
        FROM webhook_delivery p JOIN webhook_endpoint e ON e.id = p.endpoint_id
        WHERE p.event = :ping AND p.state = 'waiting' AND p.next_at <= :now AND e.state <> 'deleted'
            AND (p.leased_until IS NULL OR p.leased_until <= :now)),
    placed AS (
        SELECT id, next_at, doubted, CASE WHEN doubted THEN :doubted ELSE :sound END
            + row_number() OVER (PARTITION BY doubted ORDER BY next_at, id) AS turn FROM due),
    taken AS (
        SELECT d.id, placed.doubted, placed.turn FROM webhook_delivery d JOIN placed ON placed.id = d.id
        WHERE d.state = 'waiting' AND (d.leased_until IS NULL OR d.leased_until <= :now)
            AND (NOT placed.doubted OR placed.turn <= :most_doubted)
        ORDER BY placed.turn, placed.doubted, placed.next_at, d.id LIMIT :most FOR UPDATE OF d SKIP LOCKED),
    leased AS (
        UPDATE webhook_delivery d SET lease = :lease, leased_until = :until, tries = d.tries + 1,
            tries_left = greatest(0, d.tries_left - 1)
        FROM taken, webhook_endpoint e
        WHERE d.id = taken.id AND e.id = d.endpoint_id
        RETURNING d.id, d.endpoint_id, d.region_id, d.news_id, d.event, d.tries, d.tries_left, d.body, e.url,
            taken.doubted, taken.turn)
    SELECT * FROM leased ORDER BY turn, doubted
    """
)
_FORGET = text(
    "DELETE FROM webhook_delivery WHERE id IN"
    " (SELECT id FROM webhook_delivery WHERE recorded_at < :before ORDER BY recorded_at LIMIT :most)"
)
