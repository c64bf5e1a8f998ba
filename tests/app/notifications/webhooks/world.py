"""Endpoints of a merchant and a partner, and news about them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from app.identity.roles import PERMISSIONS, Role
from app.notifications.webhooks.endpoints import Wanted, register
from app.notifications.webhooks.tables import WebhookEndpoint
from carbon.activities.batch_records import BATCH, Content, Opening, move, open_batch
from carbon.activities.batch_states import State
from carbon.partners.registry import PERMISSIONS as PARTNER_PERMISSIONS
from carbon.partners.registry import register_partner
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id, public_id
from tests.conftest import REGION, Database

BATCHES = ("batch.done.v1", "batch.failed.v1", "consent.withdrawn.v1", "endpoint.paused.v1")


def as_partner(partner_id: UUID) -> Actor:
    return Actor(kind=ActorKind.PARTNER, id=partner_id, region_id=REGION, permissions=PARTNER_PERMISSIONS)


def as_manager(merchant_id: UUID) -> Actor:
    return Actor(
        kind=ActorKind.MERCHANT,
        id=new_id(),
        region_id=REGION,
        organisation_id=merchant_id,
        permissions=PERMISSIONS[Role.MERCHANT_MANAGER],
    )


def a_partner(call: Call) -> UUID:
    return register_partner(call, name="a partner", region_id=REGION).partner.id


def an_endpoint(
    call: Call,
    *,
    url: str = "https://hooks.example.com/",
    partner_id: UUID | None = None,
    events: Sequence[str] = BATCHES,
) -> tuple[WebhookEndpoint, str]:
    """An endpoint of a partner, waiting for its ping, and its secret."""
    theirs = replace(call, actor=as_partner(partner_id or a_partner(call)))
    made = register(theirs, Wanted(url=url, events=events, description="a test"))
    call.db.flush()
    return made.endpoint, made.secret


def switched_on(
    call: Call, *, url: str = "https://hooks.example.com/", partner_id: UUID | None = None
) -> tuple[WebhookEndpoint, str]:
    """The same, with its ping behind it."""
    endpoint, secret = an_endpoint(call, url=url, partner_id=partner_id)
    endpoint.state, endpoint.verified_at = "on", call.now
    call.db.flush()
    return endpoint, secret


def batches_done(call: Call, partner_id: UUID, count: int = 1, *, at: datetime | None = None) -> list[str]:
    """Batches of a partner that have ended, as imports end them; their ids."""
    then = replace(call, now=at or call.now)
    made = []
    for _ in range(count):
        opening = Opening(reference=str(new_id()), adapter="csv")
        batch = open_batch(then, partner_id, opening, begun=Content(digest=bytes(32), lines=12))
        move(then, batch, State.DONE, reason="every line was taken")
        made.append(public_id(BATCH, batch.id))
    return made


def states(database: Database) -> list[str]:
    return [row.state for row in database.rows("SELECT state FROM webhook_delivery ORDER BY id")]
