"""Endpoints: taken in by their owner or by an operator for it, pinged, paused, resumed, deleted.

An endpoint is told nothing but pings until it has answered one. What comes while it is paused waits, and is
sent when it is resumed. Every step stands in the audit trail; of an address only the host does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import urlsplit
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import ColumnElement, Select, and_, select, text, update

from app.notifications.webhooks.errors import (
    TooManyWebhooks,
    WebhookEventNotYours,
    WebhookNotOn,
    WebhookNotPaused,
    WebhookNotVerified,
    WebhookOwnerMissing,
)
from app.notifications.webhooks.events import BY_NAME, ENDPOINT, MERCHANT_OWNER, PARTNER_OWNER
from app.notifications.webhooks.signing import BOTH_SIGN, new_secret
from app.notifications.webhooks.tables import MOST_ENDPOINTS, WebhookEndpoint
from carbon.partners.registry import own_partner
from kernel.actor import ActorKind, NotPermitted
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest
from merchants.onboarding import known_merchant

PAUSED_AFTER = timedelta(days=5)
"""An endpoint that failed so long without a success is paused; published in `docs/webhooks.md`."""
BY_OWNER, BY_FAILURES, BY_410 = "owner", "failures", "gone"
TRANSITIONS = MappingProxyType(
    {
        "waiting": frozenset({"on", "deleted"}),
        "on": frozenset({"paused", "deleted"}),
        "paused": frozenset({"on", "deleted"}),
        "deleted": frozenset(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An endpoint to take in, its address normalised; an operator names the owner."""

    url: str
    events: Sequence[str]
    description: str
    merchant_id: UUID | None = None
    partner_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Registered:
    """An endpoint and its secret, which is not shown again."""

    endpoint: WebhookEndpoint
    secret: str


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """A new secret, and until when the one before signs beside it."""

    secret: str
    former_signs_until: str


def register(call: Call, wanted: Wanted) -> Registered:
    """Take in an endpoint; it waits for its ping.

    Refuses, in this order: `WebhookOwnerMissing`, `NotFound` (merchant or partner), `WebhookEventNotYours`,
    `TooManyWebhooks`.
    """
    kind, owner_id = _owner(call, wanted)
    for place, name in enumerate(wanted.events):
        if kind not in BY_NAME[name].audience:
            raise WebhookEventNotYours(f"{name} is not told to a {kind}", pointer=f"/body/events/{place}")
    endpoint_id = new_id()
    values = {
        "id": endpoint_id,
        "region": call.region,
        "kind": kind,
        "owner": owner_id,
        "url": wanted.url,
        "events": Jsonb(sorted(set(wanted.events))),
        "description": wanted.description,
        "now": call.now,
        "most": MOST_ENDPOINTS,
    }
    # Two at once may want one slot; the later finds it taken and looks for the next.
    taken = any(call.db.execute(_INSERT, values).rowcount for _ in range(MOST_ENDPOINTS))  # type: ignore[attr-defined]  # cursor results have it
    require(taken, TooManyWebhooks(f"at most {MOST_ENDPOINTS}", most=MOST_ENDPOINTS))
    secret = new_secret(call, endpoint_id)
    _noted(call, "webhook.register", endpoint_id, host=urlsplit(wanted.url).hostname, owner_kind=kind)
    return Registered(endpoint=call.db.get_one(WebhookEndpoint, endpoint_id), secret=secret)


def endpoints(call: Call, page: PageRequest) -> Page[WebhookEndpoint]:
    """The caller's endpoints, newest first; an operator's are those of the region."""
    binding = f"webhooks|{call.actor.principal}"
    after = page.position(binding, UUID)
    query = select(WebhookEndpoint).where(_seen_by(call), WebhookEndpoint.state != "deleted")
    if after is not None:
        query = query.where(WebhookEndpoint.id < after[0])
    rows = call.db.scalars(query.order_by(WebhookEndpoint.id.desc()).limit(page.limit + 1)).all()
    return page.page(rows, binding, lambda endpoint: [str(endpoint.id)])


def find_endpoint(call: Call, endpoint_id: UUID) -> WebhookEndpoint:
    """An endpoint that the caller may see and that is not deleted, or `NotFound`."""
    found = call.db.scalar(_mine(call, endpoint_id))
    if found is None:
        raise NotFound("no such webhook")
    return found


def rotate(call: Call, endpoint_id: UUID) -> Rotated:
    """Make a new secret; the one before signs beside it for another day. Refuses `NotFound`."""
    # The row is locked: two rotations at once are two, one after the other.
    endpoint = _locked(call, endpoint_id)
    secret = new_secret(call, endpoint.id)
    _noted(call, "webhook.rotate_secret", endpoint.id)
    return Rotated(
        secret=secret, former_signs_until=(call.now + BOTH_SIGN).isoformat().replace("+00:00", "Z")
    )


def pause(call: Call, endpoint_id: UUID) -> WebhookEndpoint:
    """Send nothing until it is resumed. Refuses `NotFound`, `WebhookNotOn`."""
    endpoint = find_endpoint(call, endpoint_id)
    moved = _moved(call, endpoint.id, "on", "paused", paused_because=BY_OWNER)
    require(moved, WebhookNotOn(state=endpoint.state))
    _noted(call, "webhook.pause", endpoint.id)
    call.db.refresh(endpoint)
    return endpoint


def resume(call: Call, endpoint_id: UUID) -> WebhookEndpoint:
    """Send again, first what waited. Refuses `NotFound`, `WebhookNotVerified`, `WebhookNotPaused`."""
    endpoint = find_endpoint(call, endpoint_id)
    require(endpoint.verified_at is not None, WebhookNotVerified())
    moved = _moved(call, endpoint.id, "paused", "on", paused_because=None, failing_since=None)
    require(moved, WebhookNotPaused(state=endpoint.state))
    _noted(call, "webhook.resume", endpoint.id)
    call.db.refresh(endpoint)
    return endpoint


def delete(call: Call, endpoint_id: UUID) -> None:
    """Send nothing more and free its slot; what was sent stays for its days. Refuses `NotFound`."""
    endpoint = find_endpoint(call, endpoint_id)
    done = call.db.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint.id, WebhookEndpoint.state != "deleted")
        .values(state="deleted", paused_because=None, page_digest=None, page_ends_at=None)
    )
    require(done.rowcount, NotFound("no such webhook"))  # type: ignore[attr-defined]  # cursor results have it
    _noted(call, "webhook.delete", endpoint.id)


def _moved(call: Call, endpoint_id: UUID, before: str, after: str, **values: object) -> bool:
    done = call.db.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.state == before)
        .values(state=after, **values)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


def _owner(call: Call, wanted: Wanted) -> tuple[str, UUID]:
    """Whose endpoint it becomes; an operator's of the own region only."""
    named = (wanted.merchant_id, wanted.partner_id)
    if call.actor.kind in {ActorKind.OPERATOR, ActorKind.SYSTEM}:
        require((named[0] is None) != (named[1] is None), WebhookOwnerMissing(pointer="/body/merchant_id"))
        if wanted.merchant_id is not None:
            return MERCHANT_OWNER, known_merchant(call, wanted.merchant_id).id
        return PARTNER_OWNER, own_partner(call, wanted.partner_id or UUID(int=0)).id
    require(named == (None, None), WebhookOwnerMissing(pointer="/body"))
    if call.actor.kind is ActorKind.PARTNER:
        return PARTNER_OWNER, call.actor.known_id
    return MERCHANT_OWNER, _own_merchant(call)


def _own_merchant(call: Call) -> UUID:
    if call.actor.kind is not ActorKind.MERCHANT or call.actor.organisation_id is None:
        raise NotPermitted("this caller belongs to no merchant")
    return call.actor.organisation_id


def _seen_by(call: Call) -> ColumnElement[bool]:
    if call.actor.kind in {ActorKind.OPERATOR, ActorKind.SYSTEM}:
        return WebhookEndpoint.region_id == call.region
    if call.actor.kind is ActorKind.PARTNER:
        return and_(
            WebhookEndpoint.owner_kind == PARTNER_OWNER, WebhookEndpoint.owner_id == call.actor.known_id
        )
    return and_(WebhookEndpoint.owner_kind == MERCHANT_OWNER, WebhookEndpoint.owner_id == _own_merchant(call))


def _mine(call: Call, endpoint_id: UUID) -> Select[WebhookEndpoint]:
    return select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, _seen_by(call), WebhookEndpoint.state != "deleted"
    )


def _locked(call: Call, endpoint_id: UUID) -> WebhookEndpoint:
    found = call.db.scalar(_mine(call, endpoint_id).with_for_update(key_share=True))
    if found is None:
        raise NotFound("no such webhook")
    return found


def _noted(call: Call, action: str, endpoint_id: UUID, **facts: object) -> None:
    audit(call, action, subject=public_id(ENDPOINT, endpoint_id), **facts)


_INSERT = text(
    """
    INSERT INTO webhook_endpoint (id, region_id, owner_kind, owner_id, slot, url, events, description, state,
        created_at)
    SELECT :id, :region, :kind, :owner, free.slot, :url, CAST(:events AS jsonb), :description, 'waiting', :now
    FROM (
        SELECT s AS slot FROM generate_series(1, :most) s
        WHERE NOT EXISTS (SELECT 1 FROM webhook_endpoint e WHERE e.owner_kind = :kind AND e.owner_id = :owner
            AND e.slot = s AND e.state <> 'deleted')
        ORDER BY s LIMIT 1) free
    ON CONFLICT DO NOTHING
    """
)
