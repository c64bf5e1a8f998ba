"""Review: a proposal is submitted, commented on, and approved or returned by another person than its author.

What was drafted is never edited, so whoever wants it otherwise returns it, and a better draft is a new one.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import new_id, public_id
from kernel.publications.errors import (
    AlreadyApproved,
    AuthorCannotReview,
    NoProcedure,
    NotADraft,
    NotUnderReview,
    TooManyComments,
)
from kernel.publications.procedure import procedure_in_force
from kernel.publications.publishing import PREFIX
from kernel.publications.steps import hold, move, write_step
from kernel.publications.tables import Publication, PublicationComment, PublicationStep

MOST_COMMENTS = 200
"""Of a round."""


def submit(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Put a draft before a reviewer, under the procedure of today.

    Refuses, in this order: `NotFound`, `NotADraft`, `NoProcedure`.
    """
    draft = hold(call, publication_id)
    require(draft.state == "draft", NotADraft())
    procedure = procedure_in_force(call, draft.region_id, draft.kind)
    if procedure is None or not procedure.reviewed:
        raise NoProcedure(kind=draft.kind)
    put = {
        "state": "in_review",
        "procedure_id": procedure.rule_id,
        "review_round": draft.review_round + 1,
    }
    require(move(call, draft, to=put), NotADraft())
    return _told(call, draft, "in_review", verb="submit", reason=reason)


def approve(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Approve what is under review.

    Refuses, in this order: `NotFound`, `AuthorCannotReview`, `NotUnderReview`, `AlreadyApproved`.
    """
    proposal = hold(call, publication_id)
    require(proposal.author_id != call.actor.known_id, AuthorCannotReview())
    require(proposal.state == "in_review", NotUnderReview())
    approved = move(
        call,
        proposal,
        Publication.reviewer_id.is_(None),
        Publication.author_id != call.actor.known_id,
        to={"reviewer_id": call.actor.known_id},
    )
    require(approved, AlreadyApproved())
    return _told(call, proposal, "approved", verb="approve", reason=reason)


def send_back(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Make a draft again of what is under review, approved or on notice; it may be submitted again.

    Refuses, in this order: `NotFound`, `AuthorCannotReview`, `NotUnderReview`.
    """
    proposal = hold(call, publication_id)
    require(proposal.author_id != call.actor.known_id, AuthorCannotReview())
    require(proposal.state in {"in_review", "public_notice"}, NotUnderReview())
    cleared = dict.fromkeys(("procedure_id", "reviewer_id", "notice_from", "notice_until"))
    require(move(call, proposal, to={"state": "draft", **cleared}), NotUnderReview())
    return _told(call, proposal, "returned", verb="return", reason=reason)


def comment(call: Call, publication_id: UUID, *, body: str, about: str | None) -> Publication:
    """Say something of a proposal under review; refuses `NotFound`, `NotUnderReview`, `TooManyComments`."""
    proposal = hold(call, publication_id)
    require(proposal.state == "in_review", NotUnderReview())
    there = select(func.count()).where(
        PublicationComment.publication_id == proposal.id,
        PublicationComment.review_round == proposal.review_round,
    )
    require((call.db.scalar(there) or 0) < MOST_COMMENTS, TooManyComments(most=MOST_COMMENTS))
    call.db.add(
        PublicationComment(
            id=new_id(),
            publication_id=proposal.id,
            region_id=proposal.region_id,
            review_round=proposal.review_round,
            principal=call.actor.principal,
            about=about,
            body=body,
            recorded_at=call.now,
        )
    )
    call.db.flush()  # the answer shows it
    return proposal


def comments_of(call: Call, publication: Publication) -> Sequence[PublicationComment]:
    """What was said, in all rounds, in order."""
    said = select(PublicationComment).where(PublicationComment.publication_id == publication.id)
    return call.db.scalars(said.order_by(PublicationComment.id)).all()


def steps_of(call: Call, publication: Publication) -> list[PublicationStep]:
    """What happened to a publication, in order."""
    steps = select(PublicationStep).where(PublicationStep.publication_id == publication.id)
    return list(call.db.scalars(steps.order_by(PublicationStep.id)))


def _told(call: Call, publication: Publication, state: str, *, verb: str, reason: str) -> Publication:
    write_step(call, publication, state, reason=reason)
    audit(call, verb, subject=public_id(PREFIX, publication.id), kind=publication.kind)
    return publication
