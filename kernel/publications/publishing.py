"""Draft, publish by another person, look up by day. A published document is frozen and signed.

Where the region has published a procedure, review and notice lie between the two (review.py, notice.py).
`publish` closes the predecessor on the successor's first day in the same statement order every time;
an exclusion constraint stands behind it, so two publishers at once cannot both be in force.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.errors import require
from kernel.identifiers import new_id, public_id
from kernel.publications.errors import (
    AuthorCannotPublish,
    NoRuleInForce,
    NotADraft,
    NoticeMissing,
    NoticeNotOver,
    PublicationsOverlap,
    ReviewerCannotPublish,
    ReviewMissing,
)
from kernel.publications.notice import require_heard
from kernel.publications.procedure import procedure_of
from kernel.publications.shapes import check_content
from kernel.publications.steps import hold, move, write_step
from kernel.publications.tables import UNPUBLISHED, Publication
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
        review_round=0,
        author_id=call.actor.known_id,
        drafted_at=call.now,
    )
    call.db.add(publication)
    call.db.flush()  # the step's foreign key needs the row
    write_step(call, publication, "draft", reason=proposal.source)
    return publication


def publish(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Freeze, sign and put a proposal in force from its day on; its predecessor ends on that day.

    Refuses, in this order: `NotFound`, `AuthorCannotPublish`, `NotADraft`, `ReviewerCannotPublish`, what
    its procedure still asks (`ReviewMissing`, `NoticeMissing`, `NoticeNotOver`, `ObjectionsUnanswered`,
    `ObjectionUpheld`), `PublicationsOverlap`.
    """
    publication = hold(call, publication_id)
    require(publication.author_id != call.actor.known_id, AuthorCannotPublish())
    require(publication.state in UNPUBLISHED, NotADraft())
    require(publication.reviewer_id != call.actor.known_id, ReviewerCannotPublish())
    _require_procedure(call, publication)
    mark = digest(document(publication))
    signer = call.keys.signer(call.db, Purpose.PUBLICATION, now=call.now)
    signed = {
        "state": "published",
        "publisher_id": call.actor.known_id,
        "published_at": call.now,
        "digest": mark,
        "kid": signer.kid,
        "signature": signer.sign(mark),
    }
    if publication.corrects_id is not None:  # it has the days of the one that it takes the place of
        signed["ends_on"] = call.db.get_one(Publication, publication.corrects_id).ends_on
    try:
        call.db.execute(_CLOSE_PREDECESSOR, {"id": publication_id})
        done = move(call, publication, Publication.author_id != call.actor.known_id, to=signed)
    except IntegrityError as error:
        raise PublicationsOverlap from error
    require(done, NotADraft())
    write_step(call, publication, "published", reason=reason)
    audit(call, "publish", subject=public_id(PREFIX, publication_id), kind=publication.kind)
    return publication


def _require_procedure(call: Call, publication: Publication) -> None:
    """Refuses what the procedure of a held publication still asks for."""
    procedure = procedure_of(call, publication)
    if procedure is None:
        return
    require(not procedure.reviewed or publication.reviewer_id is not None, ReviewMissing())
    if procedure.notice_days and publication.notice_until is None:
        raise NoticeMissing(notice_days=procedure.notice_days)
    until = publication.notice_until
    require(until is None or call.today > until, NoticeNotOver(until=str(until)))
    require_heard(call, publication, procedure)


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


_CLOSE_PREDECESSOR = text(
    "UPDATE publication old SET ends_on = new.effective_from FROM publication new"
    " WHERE new.id = :id AND old.id <> new.id AND old.state = 'published'"
    " AND old.region_id = new.region_id AND old.kind = new.kind AND old.subject = new.subject"
    " AND old.effective_from < new.effective_from"
    " AND (old.ends_on IS NULL OR old.ends_on > new.effective_from)"
)
