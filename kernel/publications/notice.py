"""Public notice (公示): for some working days anybody may object, and an objection bars publication.

Whoever objects holds the publication's row against being published, and publishing holds it against
objections, so none slips in between the look at them and the signature.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.publications.errors import (
    AlreadyAnswered,
    AlreadyObjected,
    AuthorCannotPublish,
    AuthorCannotReview,
    NoProcedure,
    NoticeOver,
    NotUnderReview,
    ObjectionsUnanswered,
    ObjectionUpheld,
    ReviewerCannotPublish,
    ReviewMissing,
)
from kernel.publications.procedure import Procedure, procedure_of
from kernel.publications.steps import hold, move, write_step
from kernel.publications.tables import ObjectionAnswer, Publication, PublicationObjection
from kernel.publications.working_days import nth_working_day_after

OBJECTION, PUBLICATION = "obj", "pub"


class Heard(NamedTuple):
    """An objection, and what it came to, if it was answered."""

    objection: PublicationObjection
    answer: ObjectionAnswer | None


def give_notice(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Put a proposal before the public, for the working days of its procedure after today.

    Refuses, in this order: `NotFound`, `AuthorCannotPublish`, `ReviewerCannotPublish`, `NotUnderReview`,
    `NoProcedure`, `ReviewMissing`, `CalendarMissing`.
    """
    proposal = hold(call, publication_id)
    require(proposal.author_id != call.actor.known_id, AuthorCannotPublish())
    require(proposal.reviewer_id != call.actor.known_id, ReviewerCannotPublish())
    require(proposal.state in {"draft", "in_review"}, NotUnderReview())
    procedure = procedure_of(call, proposal)
    if procedure is None or not procedure.notice_days:
        raise NoProcedure(kind=proposal.kind)
    require(not procedure.reviewed or proposal.reviewer_id is not None, ReviewMissing())
    until = nth_working_day_after(call, proposal.region_id, call.today, days=procedure.notice_days)
    begun = {
        "state": "public_notice",
        "procedure_id": procedure.rule_id,
        "review_round": proposal.review_round + (proposal.state == "draft"),
        "notice_from": call.today,
        "notice_until": until,
    }
    require(move(call, proposal, to=begun), NotUnderReview())
    write_step(call, proposal, "public_notice", reason=reason)
    audit(call, "notify", subject=public_id(PUBLICATION, proposal.id), until=until.isoformat())
    return proposal


def raise_objection(call: Call, publication_id: UUID, *, body: str) -> PublicationObjection:
    """Object to what is on notice: once a notice, as a person or as the enterprise one speaks for.

    Refuses, in this order: `NotFound` (not on notice), `NoticeOver`, `AlreadyObjected`.
    """
    noticed = call.db.scalars(
        select(Publication)
        .where(Publication.id == publication_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if noticed is None or noticed.state != "public_notice" or noticed.notice_until is None:
        raise NotFound("nothing by this id is on notice")
    require(call.today <= noticed.notice_until, NoticeOver(until=noticed.notice_until.isoformat()))
    made = call.db.scalar(
        insert(PublicationObjection)
        .values(
            id=new_id(),
            publication_id=noticed.id,
            region_id=noticed.region_id,
            review_round=noticed.review_round,
            objector_kind=call.actor.kind.value,
            objector_id=call.actor.organisation_id or call.actor.known_id,
            body=body,
            recorded_at=call.now,
        )
        .on_conflict_do_nothing(index_elements=["publication_id", "review_round", "objector_id"])
        .returning(PublicationObjection.id)
    )
    if made is None:
        raise AlreadyObjected
    audit(call, "object", subject=public_id(OBJECTION, made))
    return call.db.get_one(PublicationObjection, made)


def answer(call: Call, objection_id: UUID, *, ruling: str, body: str) -> PublicationObjection:
    """Answer an objection, once. One that is upheld bars publication until the proposal was returned.

    Refuses, in this order: `NotFound`, `AuthorCannotReview`, `AlreadyAnswered`.
    """
    objection = call.db.get(PublicationObjection, objection_id)
    if objection is None:
        raise NotFound("no such objection")
    proposal = call.db.get_one(Publication, objection.publication_id)
    require(proposal.author_id != call.actor.known_id, AuthorCannotReview())
    done = call.db.scalar(
        insert(ObjectionAnswer)
        .values(
            objection_id=objection.id,
            region_id=objection.region_id,
            ruling=ruling,
            principal=call.actor.principal,
            body=body,
            recorded_at=call.now,
        )
        .on_conflict_do_nothing(index_elements=["objection_id"])
        .returning(ObjectionAnswer.objection_id)
    )
    require(done is not None, AlreadyAnswered())
    audit(call, "answer", subject=public_id(OBJECTION, objection.id), ruling=ruling)
    return objection


def require_heard(call: Call, publication: Publication, procedure: Procedure) -> None:
    """Refuses `ObjectionsUnanswered`, `ObjectionUpheld`; the caller holds the publication's row."""
    rows = call.db.execute(
        select(ObjectionAnswer.ruling, func.count())
        .select_from(PublicationObjection)
        .outerjoin(ObjectionAnswer, ObjectionAnswer.objection_id == PublicationObjection.id)
        .where(
            PublicationObjection.publication_id == publication.id,
            PublicationObjection.review_round == publication.review_round,
        )
        .group_by(ObjectionAnswer.ruling)
    )
    rulings: dict[str | None, int] = {row[0]: row[1] for row in rows}
    unanswered = rulings.get(None, 0)
    require(not (procedure.answered and unanswered), ObjectionsUnanswered(unanswered=unanswered))
    require(not rulings.get("upheld"), ObjectionUpheld(upheld=rulings.get("upheld", 0)))


def heard(call: Call, publications: Sequence[Publication]) -> dict[UUID, list[Heard]]:
    """The objections of each publication's present round with their answers, in order."""
    rounds = {each.id: each.review_round for each in publications}
    found: dict[UUID, list[Heard]] = {each.id: [] for each in publications}
    query = (
        select(PublicationObjection, ObjectionAnswer)
        .outerjoin(ObjectionAnswer, ObjectionAnswer.objection_id == PublicationObjection.id)
        .where(PublicationObjection.publication_id.in_(rounds))
        .order_by(PublicationObjection.id)
    )
    for objection, answered in call.db.execute(query):
        if objection.review_round == rounds[objection.publication_id]:
            found[objection.publication_id].append(Heard(objection, answered))
    return found
