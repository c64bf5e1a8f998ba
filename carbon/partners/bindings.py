"""Whose card it is, and whether they agreed. Numbers are hashed with a key before anything is stored."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text, update

from carbon.partners.errors import AlreadyBound
from carbon.partners.tables import Binding, Consent, Partner
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import new_id, public_id


def hash_subject(secret: bytes, *, partner_id: UUID, subject: str) -> bytes:
    """HMAC-SHA256 (32 bytes) of a card or account number of a partner under CARD_HASH_SECRET."""
    return hmac.new(secret, partner_id.bytes + subject.encode(), hashlib.sha256).digest()


def give_consent(call: Call, citizen_id: UUID, partner: Partner, *, text_version: str) -> Consent:
    """Consent to a partner's records; giving it again keeps the first."""
    standing = open_consent(call, citizen_id, partner.id)
    if standing is not None:
        return standing
    call.db.execute(
        _GIVE,
        {
            "citizen": citizen_id,
            "id": new_id(),
            "partner": partner.id,
            "region": partner.region_id,
            "version": text_version,
            "now": call.now,
        },
    )
    audit(call, "consent.give", subject=public_id("ptn", partner.id), text_version=text_version)
    given = open_consent(call, citizen_id, partner.id)
    require(given is not None, AlreadyBound("the consent was withdrawn at the same moment"))
    return given  # type: ignore[return-value]  # required above


def withdraw_consent(call: Call, citizen_id: UUID, partner_id: UUID) -> bool:
    """Withdraw the open consent; later records are refused. Returns whether one was open."""
    done = call.db.execute(
        update(Consent)
        .where(
            Consent.citizen_id == citizen_id,
            Consent.partner_id == partner_id,
            Consent.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=call.now)
    )
    audit(call, "consent.withdraw", subject=public_id("ptn", partner_id))
    return bool(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


def open_consent(call: Call, citizen_id: UUID, partner_id: UUID) -> Consent | None:
    """The open consent, or None where there is none."""
    return call.db.scalar(
        select(Consent).where(
            Consent.citizen_id == citizen_id,
            Consent.partner_id == partner_id,
            Consent.withdrawn_at.is_(None),
        )
    )


def bind(call: Call, citizen_id: UUID, partner: Partner, *, subject_hash: bytes) -> Binding:
    """Bind a card or account; binding it again is the same binding. Refuses AlreadyBound."""
    call.db.execute(
        _BIND,
        {
            "ids": [new_id()],
            "partner": partner.id,
            "hashes": [subject_hash],
            "citizens": [citizen_id],
            "region": partner.region_id,
            "now": call.now,
        },
    )
    standing = call.db.scalars(
        select(Binding).where(
            Binding.partner_id == partner.id,
            Binding.subject_hash == subject_hash,
            Binding.ended_at.is_(None),
        )
    ).one_or_none()
    if standing is None or standing.citizen_id != citizen_id:
        raise AlreadyBound
    audit(call, "card.bind", subject=public_id("bnd", standing.id))
    return standing


@dataclass(frozen=True)
class CitizenCard:
    """One card of one citizen, for binding many at once."""

    citizen_id: UUID
    subject_hash: bytes


def bind_many(call: Call, partner: Partner, cards: Sequence[CitizenCard], *, text_version: str) -> int:
    """Bind cards with consent, as a demo or an enrolment file does; cards bound already stay as they are.

    Returns how many were bound now.
    """
    ordered = sorted(cards, key=lambda card: card.subject_hash)
    parts = [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]
    return sum(_bind_part(call, partner, part, text_version) for part in parts)


def _bind_part(call: Call, partner: Partner, cards: Sequence[CitizenCard], text_version: str) -> int:
    shared = {"partner": partner.id, "region": partner.region_id, "now": call.now}
    citizens = sorted({card.citizen_id for card in cards})
    call.db.execute(
        _GIVE_MANY,
        {**shared, "citizens": citizens, "ids": [new_id() for _ in citizens], "version": text_version},
    )
    bound = call.db.execute(
        _BIND,
        {
            **shared,
            "ids": [new_id() for _ in cards],
            "hashes": [card.subject_hash for card in cards],
            "citizens": [card.citizen_id for card in cards],
        },
    )
    return int(bound.rowcount)  # type: ignore[attr-defined]  # cursor results have it


def unbind(call: Call, citizen_id: UUID, binding_id: UUID) -> bool:
    """End a citizen's own binding; returns whether it was active."""
    done = call.db.execute(
        update(Binding)
        .where(Binding.id == binding_id, Binding.citizen_id == citizen_id, Binding.ended_at.is_(None))
        .values(ended_at=call.now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


_AT_ONCE = 2_000
"""Cards a statement, so that each stays far below the time limit of statements."""
_OPEN = " ON CONFLICT (citizen_id, partner_id) WHERE withdrawn_at IS NULL DO NOTHING"
_GIVE = text(
    "INSERT INTO consent (citizen_id, id, partner_id, region_id, text_version, given_at)"  # noqa: S608 - our own text
    f" VALUES (:citizen, :id, :partner, :region, :version, :now){_OPEN}"
)
_GIVE_MANY = text(
    "INSERT INTO consent (citizen_id, id, partner_id, region_id, text_version, given_at)"  # noqa: S608 - our own text
    " SELECT c, i, :partner, :region, :version, :now"
    f" FROM unnest(CAST(:citizens AS uuid[]), CAST(:ids AS uuid[])) AS k (c, i){_OPEN}"
)
_BIND = text(
    "INSERT INTO binding (id, partner_id, subject_hash, citizen_id, region_id, bound_at)"
    " SELECT i, :partner, h, c, :region, :now FROM"
    " unnest(CAST(:ids AS uuid[]), CAST(:hashes AS bytea[]), CAST(:citizens AS uuid[])) AS k (i, h, c)"
    " ON CONFLICT (partner_id, subject_hash) WHERE ended_at IS NULL DO NOTHING"
)
