"""Whose card it is, and whether they agreed. Numbers are hashed with a key before anything is stored.

Whether somebody else has a number is itself worth knowing, so each try counts: what was bound and what
was refused, before anybody looks whether the number is free.
"""

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, select, text, update

from carbon.activities.errors import ConsentMissing
from carbon.partners.consent_texts import CONSENT_TEXTS
from carbon.partners.errors import AlreadyBound, TextOutdated, TooManyBindings
from carbon.partners.registry import PREFIX as PARTNER
from carbon.partners.registry import consentable_partner
from carbon.partners.tables import Binding, BindingRefusal, Consent, Partner
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import Busy, NotFound, require
from kernel.identifiers import new_id, parse_public_id, public_id
from kernel.outgoing import announce

CONSENT, BINDING = "con", "bnd"


def hash_subject(secret: bytes, *, partner_id: UUID, subject: str) -> bytes:
    """HMAC-SHA256 (32 bytes) of a card or account number of a partner under CARD_HASH_SECRET."""
    return next(hash_subjects(secret, partner_id=partner_id, subjects=[subject]))


def hash_subjects(secret: bytes, *, partner_id: UUID, subjects: Iterable[str]) -> Iterator[bytes]:
    """The same of many numbers, in half the time: what they have in common is hashed once."""
    begun = hmac.new(secret, partner_id.bytes, "sha256")
    for subject in subjects:
        one = begun.copy()
        one.update(subject.encode())
        yield one.digest()


def give_consent(call: Call, partner_id: UUID, *, text_version: str) -> Consent:
    """The caller consents to a partner's records; giving it again keeps the first.

    Agreeing to a newer text ends the consent to the former one and begins another at the same instant.
    Refuses, in this order: `NotFound` (no active partner of the caller's region), `TextOutdated`.
    """
    citizen_id, partner = call.actor.known_id, consentable_partner(call, partner_id)
    current = CONSENT_TEXTS[partner.data_source].version
    require(text_version == current, TextOutdated(pointer="/body/text_version", current=current))
    whose = {"citizen": citizen_id, "partner": partner.id, "version": text_version, "now": call.now}
    # Of two at once the second waits here, and then finds what the first has given.
    former = call.db.execute(_END_FORMER, whose).one_or_none()
    since = call.now if former is None else former.withdrawn_at
    given = call.db.scalar(_GIVE, {**whose, "now": since, "id": new_id(), "region": partner.region_id})
    if given is not None:
        replaced = {} if former is None else {"in_place_of": former.text_version}
        audit(
            call,
            "consent.give",
            subject=public_id(PARTNER, partner.id),
            text_version=text_version,
            **replaced,
        )
    standing = open_consent(call, citizen_id, partner.id)
    require(standing is not None, Busy("the consent was withdrawn at the same moment", retry_after_s=1))
    return standing  # type: ignore[return-value]  # required above


def withdraw_consent(call: Call, citizen_id: UUID, partner_id: UUID) -> bool:
    """Withdraw the open consent; later records are refused. Returns whether one was open."""
    ending = (
        update(Consent)
        .where(
            Consent.citizen_id == citizen_id,
            Consent.partner_id == partner_id,
            Consent.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=call.now)
        .returning(Consent.id, Consent.region_id)
    )
    done = call.db.execute(ending).one_or_none()
    if done is None:  # a newer text may have been agreed to while this waited for the former one
        done = call.db.execute(ending).one_or_none()
    if done is None:
        return False
    audit(call, "consent.withdraw", subject=public_id(PARTNER, partner_id))
    announce(call, "consent.withdrawn", region_id=done.region_id, subject=public_id(CONSENT, done.id))
    return True


def find_consent(call: Call, named: str) -> Consent:
    """The caller's own consent by its id, or the newest one to a partner by the partner's id.

    Refuses `WrongIdentifier`, `NotFound`; another citizen's is not found.
    """
    if named.startswith(f"{PARTNER}_"):
        wanted = Consent.partner_id == parse_public_id(PARTNER, named)
    else:
        wanted = Consent.id == parse_public_id(CONSENT, named)
    mine = select(Consent).where(Consent.citizen_id == call.actor.known_id, wanted)
    found = call.db.scalars(mine.order_by(Consent.id.desc()).limit(1)).one_or_none()
    if found is None:
        raise NotFound("no such consent")
    return found


def is_in_force(call: Call, consent: Consent) -> bool:
    """Whether a consent is open, or ended only because newer texts were agreed to and the last of them is."""
    following = select(Consent).where(
        Consent.citizen_id == consent.citizen_id, Consent.partner_id == consent.partner_id
    )
    seen = {consent.id}
    while consent.withdrawn_at is not None:
        at_once = following.where(Consent.given_at == consent.withdrawn_at, Consent.id.not_in(seen))
        successor = call.db.scalars(at_once.order_by(Consent.id).limit(1)).one_or_none()
        if successor is None:
            return False
        consent = successor
        seen.add(consent.id)
    return True


def open_consent(call: Call, citizen_id: UUID, partner_id: UUID) -> Consent | None:
    """The open consent, or None where there is none."""
    return call.db.scalar(_open(citizen_id, partner_id))


def bind(call: Call, partner_id: UUID, *, card_secret: bytes, subject_number: str) -> Binding | AlreadyBound:
    """Bind a card or account to the caller; binding it again is the same binding.

    The open consent is locked first, so that one citizen's tries at a partner are counted one after
    another, and none is made beside a withdrawal. Refuses, in this order: `NotFound` (partner),
    `ConsentMissing`, `TooManyBindings`; gives back `AlreadyBound`, because raising it would roll back that
    it was tried.
    """
    citizen_id, partner = call.actor.known_id, consentable_partner(call, partner_id)
    locked = _open(citizen_id, partner.id).with_for_update(key_share=True)
    # Looked for again: a newer text may have been agreed to while this waited for the former one.
    consent = call.db.scalar(locked) or call.db.scalar(locked)
    require(consent is not None, ConsentMissing())
    hashed = hash_subject(card_secret, partner_id=partner.id, subject=subject_number)
    standing = _active(call, partner, hashed)
    if standing is not None and standing.citizen_id == citizen_id:
        return standing
    _refuse_too_many(call, citizen_id, partner)
    row = {"ids": [new_id()], "hashes": [hashed], "citizens": [citizen_id]}
    call.db.execute(_BIND, {**row, "partner": partner.id, "region": partner.region_id, "now": call.now})
    standing = _active(call, partner, hashed)
    if standing is None or standing.citizen_id != citizen_id:
        return _refused(call, citizen_id, partner)
    audit(call, "card.bind", subject=public_id(BINDING, standing.id))
    return standing


def _refused(call: Call, citizen_id: UUID, partner: Partner) -> AlreadyBound:
    call.db.add(
        BindingRefusal(
            citizen_id=citizen_id,
            id=new_id(),
            partner_id=partner.id,
            region_id=partner.region_id,
            recorded_at=call.now,
        )
    )
    return AlreadyBound()


def _active(call: Call, partner: Partner, subject_hash: bytes) -> Binding | None:
    return call.db.scalars(
        select(Binding).where(
            Binding.partner_id == partner.id,
            Binding.subject_hash == subject_hash,
            Binding.ended_at.is_(None),
        )
    ).one_or_none()


def _refuse_too_many(call: Call, citizen_id: UUID, partner: Partner) -> None:
    """A person has few cards; somebody who tries many numbers looks for other people's."""
    values = {"citizen": citizen_id, "partner": partner.id, "since": call.now - _DAY}
    counted = call.db.execute(_COUNT, values).one()
    if counted.standing >= MOST_CARDS:
        raise TooManyBindings(f"at most {MOST_CARDS} at a time", most=MOST_CARDS)
    if counted.tried >= MOST_A_DAY:
        raise TooManyBindings(f"at most {MOST_A_DAY} tries in 24 hours", most=MOST_A_DAY)


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


def unbind(call: Call, binding_id: UUID) -> None:
    """End the caller's own binding; ending it again changes nothing. Refuses `NotFound`."""
    binding = call.db.get(Binding, binding_id)
    if binding is None or binding.citizen_id != call.actor.known_id:
        raise NotFound("no such binding")
    done = call.db.execute(
        update(Binding).where(Binding.id == binding_id, Binding.ended_at.is_(None)).values(ended_at=call.now)
    )
    if done.rowcount:  # type: ignore[attr-defined]  # cursor results have it
        audit(call, "card.unbind", subject=public_id(BINDING, binding_id))


def _open(citizen_id: UUID, partner_id: UUID) -> Select[Consent]:
    return select(Consent).where(
        Consent.citizen_id == citizen_id,
        Consent.partner_id == partner_id,
        Consent.withdrawn_at.is_(None),
    )


MOST_CARDS, MOST_A_DAY = 5, 10
"""Of one citizen at one partner."""
_DAY = timedelta(hours=24)
_AT_ONCE = 2_000
"""Cards a statement, so that each stays far below the time limit of statements."""
_COUNT = text(
    "SELECT count(*) FILTER (WHERE ended_at IS NULL) AS standing, count(*) FILTER (WHERE bound_at > :since)"
    " + (SELECT count(*) FROM binding_refusal WHERE citizen_id = :citizen AND partner_id = :partner"
    " AND recorded_at > :since) AS tried FROM binding WHERE citizen_id = :citizen AND partner_id = :partner"
)
_OPEN = " ON CONFLICT (citizen_id, partner_id) WHERE withdrawn_at IS NULL DO NOTHING"
_END_FORMER = text(
    "UPDATE consent SET withdrawn_at = greatest(:now, given_at) WHERE citizen_id = :citizen"
    " AND partner_id = :partner AND withdrawn_at IS NULL AND text_version <> :version"
    " RETURNING withdrawn_at, text_version"
)
_GIVE = text(
    "INSERT INTO consent (citizen_id, id, partner_id, region_id, text_version, given_at)"  # noqa: S608 - our own text
    f" VALUES (:citizen, :id, :partner, :region, :version, :now){_OPEN} RETURNING id"
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
