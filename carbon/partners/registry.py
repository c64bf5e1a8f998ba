"""Partners and their API keys: shown once, kept as SHA-256, recognised by one indexed look."""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from carbon.partners.errors import PartnerKeyUnknown
from carbon.partners.tables import Partner
from kernel.actor import Actor, ActorKind
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from kernel.permission import Permission

PREFIX = "ptn"
KEY_PREFIX = "tpk_"
PERMISSIONS = frozenset({Permission.ACTIVITY_PUSH, Permission.BATCH_READ})


@dataclass(frozen=True)
class Registered:
    """A new partner and its key, which is not shown again."""

    partner: Partner
    api_key: str


def register_partner(call: Call, *, name: str, region_id: str) -> Registered:
    """Register a partner of a region with a fresh key."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    partner = Partner(
        id=new_id(),
        region_id=region_id,
        name=name,
        key_hash=_hash(key),
        state="active",
        created_at=call.now,
    )
    call.db.add(partner)
    call.db.flush()  # the caller may name the partner in a row of its own
    audit(call, "partner.register", subject=public_id(PREFIX, partner.id))
    return Registered(partner, key)


def partner_of_key(session: Session, key: str) -> Actor:
    """Who calls with this key; refuses PartnerKeyUnknown."""
    partner = session.scalar(select(Partner).where(Partner.key_hash == _hash(key), Partner.state == "active"))
    if partner is None or not key.startswith(KEY_PREFIX):
        raise PartnerKeyUnknown
    return Actor(kind=ActorKind.PARTNER, id=partner.id, region_id=partner.region_id, permissions=PERMISSIONS)


def find_partner(call: Call, partner_id: UUID) -> Partner:
    """The partner, or NotFound."""
    partner = call.db.get(Partner, partner_id)
    if partner is None:
        raise NotFound("no such partner")
    return partner


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
