"""Draft, publish by another person, look up by day. A published document is frozen and signed.

`publish` closes the predecessor on the successor's first day in the same statement order every time;
an exclusion constraint stands behind it, so two publishers at once cannot both be in force.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from kernel.publications.errors import AuthorCannotPublish, NoRuleInForce, NotADraft, PublicationsOverlap
from kernel.publications.shapes import check_content
from kernel.publications.tables import Publication, PublicationStep
from kernel.signing import Purpose, verification_keys
from kernel.tenancy import known_region

PREFIX = "pub"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What somebody proposes. `content` is JSON without floats; `subject` is what it rules in its kind."""

    region_id: str
    kind: str
    subject: str
    title: str
    content: dict[str, Any]
    source: str
    effective_from: date
    assumption: str | None = None
    corrects_id: UUID | None = None


def draft(call: Call, proposal: Draft) -> Publication:
    """Keep a proposal; its author is the caller.

    Refuses `NotFound` (region); raises TypeError for content that cannot be signed.
    """
    known_region(call.db, proposal.region_id)
    check_content(proposal.kind, proposal.content)
    canonical_json(proposal.content)  # what cannot be signed later is refused now
    publication = Publication(
        id=new_id(),
        **vars(proposal),
        state="draft",
        author_id=call.actor.known_id,
        drafted_at=call.now,
    )
    call.db.add(publication)
    call.db.flush()  # the step's foreign key needs the row
    _step(call, publication, "draft", reason=proposal.source)
    return publication


def publish(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Freeze, sign and put a draft in force from its day on; its predecessor ends on that day.

    Refuses, in this order: `NotFound`, `AuthorCannotPublish`, `NotADraft`, `PublicationsOverlap`.
    """
    publication = call.db.get(Publication, publication_id)
    if publication is None:
        raise NotFound("no such publication")
    if publication.author_id == call.actor.known_id:
        raise AuthorCannotPublish
    mark = digest(document(publication))
    signer = call.keys.signer(call.db, Purpose.PUBLICATION, now=call.now)
    try:
        call.db.execute(_CLOSE_PREDECESSOR, {"id": publication_id})
        done = call.db.execute(
            update(Publication)
            .where(
                Publication.id == publication_id,
                Publication.state == "draft",
                Publication.author_id != call.actor.known_id,
            )
            .values(
                state="published",
                publisher_id=call.actor.known_id,
                published_at=call.now,
                digest=mark,
                kid=signer.kid,
                signature=signer.sign(mark),
            )
        )
    except IntegrityError as error:
        raise PublicationsOverlap from error
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise NotADraft
    call.db.refresh(publication)
    _step(call, publication, "published", reason=reason)
    audit(call, "publish", subject=public_id(PREFIX, publication_id), kind=publication.kind)
    return publication


def in_force(call: Call, *, region_id: str, kind: str, subject: str, day: date) -> Publication:
    """The one publication in force on a business day; refuses `NoRuleInForce`. Never a nearest one."""
    found = maybe_in_force(call, region_id=region_id, kind=kind, subject=subject, day=day)
    if found is None:
        raise NoRuleInForce(kind=kind, subject=subject, region=region_id, day=day.isoformat())
    return found


def maybe_in_force(call: Call, *, region_id: str, kind: str, subject: str, day: date) -> Publication | None:
    """The same where absence is a normal case, such as a scenario without a cap."""
    return call.db.scalars(
        select(Publication).where(
            Publication.region_id == region_id,
            Publication.kind == kind,
            Publication.subject == subject,
            Publication.state == "published",
            Publication.effective_from <= day,
            Publication.ends_on.is_(None) | (Publication.ends_on > day),
        )
    ).one_or_none()


def document(publication: Publication) -> bytes:
    """The canonical bytes that are hashed and signed: everything that is frozen."""
    return canonical_json(
        {
            "format": "tanpuhui-publication/1",
            "id": public_id(PREFIX, publication.id),
            "region": publication.region_id,
            "kind": publication.kind,
            "subject": publication.subject,
            "title": publication.title,
            "content": publication.content,
            "source": publication.source,
            "assumption": publication.assumption,
            "effective_from": publication.effective_from.isoformat(),
            "corrects": public_id(PREFIX, publication.corrects_id) if publication.corrects_id else None,
        }
    )


def signature_holds(call: Call, publication: Publication) -> bool:
    """Whether the published document is byte for byte what was signed."""
    if publication.digest is None or publication.signature is None or publication.kid is None:
        return False
    mark = digest(document(publication))
    keys = verification_keys(call.db, Purpose.PUBLICATION, now=call.now)
    return mark == bytes(publication.digest) and keys.verify(
        kid=publication.kid, data=mark, signature=bytes(publication.signature)
    )


def _step(call: Call, publication: Publication, state: str, *, reason: str) -> None:
    call.db.add(
        PublicationStep(
            id=new_id(),
            publication_id=publication.id,
            region_id=publication.region_id,
            state=state,
            principal=call.actor.principal,
            reason=reason,
            recorded_at=call.now,
        )
    )


_CLOSE_PREDECESSOR = text(
    "UPDATE publication old SET ends_on = new.effective_from FROM publication new"
    " WHERE new.id = :id AND new.state = 'draft' AND old.id <> new.id AND old.state = 'published'"
    " AND old.region_id = new.region_id AND old.kind = new.kind AND old.subject = new.subject"
    " AND old.effective_from < new.effective_from"
    " AND (old.ends_on IS NULL OR old.ends_on > new.effective_from)"
)
