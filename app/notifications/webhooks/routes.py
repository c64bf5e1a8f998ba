"""URLs of endpoints and what was sent to them; no logic."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from app.notifications.webhooks.deliveries import ping
from app.notifications.webhooks.endpoints import (
    Registered,
    Rotated,
    Wanted,
    delete,
    endpoints,
    find_endpoint,
    pause,
    register,
    resume,
    rotate,
)
from app.notifications.webhooks.events import ENDPOINT, EVENTS
from app.notifications.webhooks.history import (
    DELIVERY,
    Followed,
    PageLink,
    Replayed,
    deliveries,
    follow,
    make_page_link,
    redeliver,
    replay,
)
from app.notifications.webhooks.reach import lets_loopback_in
from app.notifications.webhooks.schemas import (
    DeliveriesQuery,
    GivesDeliveries,
    GivesDelivery,
    GivesEventTypes,
    GivesFollowed,
    GivesPageLink,
    GivesRegistered,
    GivesReplayed,
    GivesSecret,
    GivesWebhook,
    GivesWebhooks,
    TakesReplay,
    TakesWebhook,
)
from app.notifications.webhooks.tables import WebhookDelivery, WebhookEndpoint
from app.notifications.webhooks.urls import normalised_url
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission

routes = Routes("webhooks", __name__, description="News to merchants' and partners' own servers.")
_MANAGE = Permission.WEBHOOK_MANAGE


@endpoint(
    routes,
    "GET",
    "/v1/public/webhook-events",
    needs=PUBLIC,
    gives=GivesEventTypes,
    summary="Every event that an endpoint may want, with an example of its data",
)
def event_types(_call: Call) -> dict[str, Any]:
    """List the events."""
    return {"items": [{**vars(each), "audience": sorted(each.audience)} for each in EVENTS]}


@endpoint(
    routes,
    "POST",
    "/v1/webhooks",
    needs=_MANAGE,
    takes=TakesWebhook,
    gives=GivesRegistered,
    status=201,
    no_store=True,
    summary="Take in an endpoint; its secret is shown once",
)
def add_webhook(call: Call, wanted: Wanted) -> Registered:
    """Take in an endpoint; sent again it makes another, so it is not idempotent."""
    url = normalised_url(wanted.url, loopback=lets_loopback_in())
    return register(call, replace(wanted, url=url))


@endpoint(
    routes,
    "GET",
    "/v1/webhooks",
    needs=_MANAGE,
    query=PageQuery,
    gives=GivesWebhooks,
    summary="The caller's endpoints; an operator's are those of the region",
)
def list_webhooks(call: Call, page: dict[str, Any]) -> Page[WebhookEndpoint]:
    """List endpoints."""
    return endpoints(call, PageRequest(**page))


@endpoint(routes, "GET", "/v1/webhooks/<webhook>", needs=_MANAGE, gives=GivesWebhook, summary="One endpoint")
def one_webhook(call: Call, *, webhook: str) -> WebhookEndpoint:
    """Give an endpoint."""
    return find_endpoint(call, _endpoint(webhook))


@endpoint(routes, "DELETE", "/v1/webhooks/<webhook>", needs=_MANAGE, status=204, summary="Delete an endpoint")
def delete_webhook(call: Call, *, webhook: str) -> None:
    """Delete an endpoint."""
    delete(call, _endpoint(webhook))


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/ping",
    needs=_MANAGE,
    gives=GivesDelivery,
    status=201,
    summary="Send a signed ping; the first that is answered switches the endpoint on",
)
def ping_webhook(call: Call, *, webhook: str) -> WebhookDelivery:
    """Send a ping."""
    return ping(call, find_endpoint(call, _endpoint(webhook)))


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/secret",
    needs=_MANAGE,
    gives=GivesSecret,
    status=201,
    no_store=True,
    summary="Make a new secret, shown once; the one before signs beside it for a day",
)
def rotate_webhook_secret(call: Call, *, webhook: str) -> Rotated:
    """Rotate the secret; each request makes another, so it is not idempotent."""
    return rotate(call, _endpoint(webhook))


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/pause",
    needs=_MANAGE,
    gives=GivesWebhook,
    summary="Send nothing until it is resumed; what comes meanwhile waits",
)
def pause_webhook(call: Call, *, webhook: str) -> WebhookEndpoint:
    """Pause an endpoint."""
    return pause(call, _endpoint(webhook))


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/resumption",
    needs=_MANAGE,
    gives=GivesWebhook,
    summary="Send again, first what waited",
)
def resume_webhook(call: Call, *, webhook: str) -> WebhookEndpoint:
    """Resume an endpoint."""
    return resume(call, _endpoint(webhook))


@endpoint(
    routes,
    "GET",
    "/v1/webhooks/<webhook>/deliveries",
    needs=_MANAGE,
    query=DeliveriesQuery,
    gives=GivesDeliveries,
    summary="What was sent to an endpoint, newest first",
)
def list_deliveries(call: Call, asked: dict[str, Any], *, webhook: str) -> Page[WebhookDelivery]:
    """List deliveries."""
    found = find_endpoint(call, _endpoint(webhook))
    page = PageRequest(limit=asked["limit"], after=asked["after"])
    return deliveries(call, found, page, state=asked["state"])


@endpoint(
    routes,
    "GET",
    "/v1/webhooks/<webhook>/deliveries/<delivery>",
    needs=_MANAGE,
    gives=GivesFollowed,
    summary="One delivery with its body and every attempt",
)
def one_delivery(call: Call, *, webhook: str, delivery: str) -> Followed:
    """Give a delivery."""
    return follow(call, find_endpoint(call, _endpoint(webhook)), parse_public_id(DELIVERY, delivery))


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/deliveries/<delivery>/redelivery",
    needs=_MANAGE,
    gives=GivesDelivery,
    status=201,
    idempotent=True,
    summary="Send one delivery again, under the same id",
)
def redeliver_one(call: Call, *, webhook: str, delivery: str) -> WebhookDelivery:
    """Send again."""
    found = find_endpoint(call, _endpoint(webhook))
    return redeliver(call, found, parse_public_id(DELIVERY, delivery))


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/replays",
    needs=_MANAGE,
    takes=TakesReplay,
    gives=GivesReplayed,
    status=201,
    idempotent=True,
    summary="Send again what happened since an instant, at most a thousand at a time",
)
def replay_since(call: Call, asked: dict[str, Any], *, webhook: str) -> Replayed:
    """Replay."""
    return replay(call, find_endpoint(call, _endpoint(webhook)), **asked)


@endpoint(
    routes,
    "POST",
    "/v1/webhooks/<webhook>/page",
    needs=_MANAGE,
    gives=GivesPageLink,
    status=201,
    no_store=True,
    summary="Open the page of an endpoint for an hour, to whoever has the link",
)
def open_page(call: Call, *, webhook: str) -> PageLink:
    """Make a link; each request ends the one before, so it is not idempotent."""
    return make_page_link(call, _endpoint(webhook))


def _endpoint(webhook: str) -> UUID:
    return parse_public_id(ENDPOINT, webhook)
