"""Partners and their API keys: shown once, kept as SHA-256, recognised by one indexed look.

A partner is active or suspended, and its key is replaced at once: the old one stops in the same
statement. Every step stands in the audit trail.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from carbon.partners.consent_texts import GENERAL
from carbon.partners.errors import PartnerActive, PartnerKeyUnknown, PartnerSuspended
from carbon.partners.tables import DEVICE_VERIFIED, Partner
from kernel.actor import Actor, ActorKind
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from kernel.permission import Permission

PREFIX = "ptn"
KEY_PREFIX = "tpk_"
PERMISSIONS = frozenset(
    {Permission.ACTIVITY_PUSH, Permission.BATCH_READ, Permission.BATCH_CANCEL, Permission.WEBHOOK_MANAGE}
)
ACTIVE, SUSPENDED = "active", "suspended"
TRANSITIONS = MappingProxyType({ACTIVE: {SUSPENDED}, SUSPENDED: {ACTIVE}})


@dataclass(frozen=True)
class Registered:
    """A partner and its new key, which is not shown again."""

    partner: Partner
    api_key: str


def register_partner(
    call: Call,
    *,
    name: str,
    region_id: str,
    data_source: str = GENERAL,
    evidence_tiers: Sequence[str] = (DEVICE_VERIFIED,),
) -> Registered:
    """Register a partner of a region with a fresh key; `data_source` is one of CONSENT_TEXTS."""
    key = _new_key()
    partner = Partner(
        id=new_id(),
        region_id=region_id,
        name=name,
        data_source=data_source,
        evidence_tiers=list(evidence_tiers),
        key_hash=_hash(key),
        state=ACTIVE,
        created_at=call.now,
    )
    call.db.add(partner)
    call.db.flush()  # the caller may name the partner in a row of its own
    audit(
        call,
        "partner.register",
        subject=public_id(PREFIX, partner.id),
        data_source=data_source,
        evidence_tiers=list(evidence_tiers),
    )
    return Registered(partner, key)


def rotate_key(call: Call, partner_id: UUID) -> Registered:
    """Replace the key; the old one opens nothing from now on.

    Refuses, in this order: `NotFound`, `PartnerSuspended`.
    """
    partner, key = own_partner(call, partner_id), _new_key()
    done = call.db.execute(
        update(Partner).where(Partner.id == partner.id, Partner.state == ACTIVE).values(key_hash=_hash(key))
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise PartnerSuspended
    audit(call, "partner.rotate_key", subject=public_id(PREFIX, partner.id))
    return Registered(partner, key)


def suspend(call: Call, partner_id: UUID, *, reason: str) -> Partner:
    """Refuse the partner's key and records from now on. Refuses `NotFound`, `PartnerSuspended`."""
    partner = own_partner(call, partner_id)
    if not _step(call, partner, into=SUSPENDED, reason=reason):
        raise PartnerSuspended
    return partner


def resume(call: Call, partner_id: UUID, *, reason: str) -> Partner:
    """Let a suspended partner in again, with the key it had. Refuses `NotFound`, `PartnerActive`."""
    partner = own_partner(call, partner_id)
    if not _step(call, partner, into=ACTIVE, reason=reason):
        raise PartnerActive
    return partner


def grant_evidence(call: Call, partner_id: UUID, *, tiers: Sequence[str], reason: str) -> Partner:
    """Say which evidence tiers a partner may claim from now on; what it sent stays as it was. `NotFound`."""
    partner = own_partner(call, partner_id)
    call.db.execute(update(Partner).where(Partner.id == partner.id).values(evidence_tiers=list(tiers)))
    audit(
        call,
        "partner.evidence",
        subject=public_id(PREFIX, partner.id),
        evidence_tiers=list(tiers),
        reason=reason,
    )
    call.db.refresh(partner)
    return partner


def partner_of_key(session: Session, key: str) -> Actor:
    """Who calls with this key; refuses PartnerKeyUnknown."""
    partner = session.scalar(select(Partner).where(Partner.key_hash == _hash(key), Partner.state == ACTIVE))
    if partner is None or not key.startswith(KEY_PREFIX):
        raise PartnerKeyUnknown
    return Actor(kind=ActorKind.PARTNER, id=partner.id, region_id=partner.region_id, permissions=PERMISSIONS)


def find_partner(call: Call, partner_id: UUID) -> Partner:
    """The partner, or NotFound."""
    partner = call.db.get(Partner, partner_id)
    if partner is None:
        raise NotFound("no such partner")
    return partner


def own_partner(call: Call, partner_id: UUID) -> Partner:
    """A partner of the caller's region, or NotFound."""
    partner = find_partner(call, partner_id)
    if partner.region_id != call.region:
        raise NotFound("no such partner")
    return partner


def consentable_partner(call: Call, partner_id: UUID) -> Partner:
    """A partner that citizens of the caller's region may consent to, or NotFound."""
    partner = own_partner(call, partner_id)
    if partner.state != ACTIVE:
        raise NotFound("no such partner")
    return partner


def _step(call: Call, partner: Partner, *, into: str, reason: str) -> bool:
    """Move into a state from any that may go there; returns whether it did."""
    before = [state for state, after in TRANSITIONS.items() if into in after]
    done = call.db.execute(
        update(Partner).where(Partner.id == partner.id, Partner.state.in_(before)).values(state=into)
    )
    moved = bool(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it
    if moved:
        audit(call, f"partner.{into}", subject=public_id(PREFIX, partner.id), reason=reason)
        call.db.refresh(partner)
    return moved


def _new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
