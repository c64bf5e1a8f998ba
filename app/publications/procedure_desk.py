"""Publications on their way through a region's procedure: factor tables and rules go the same way.

Nobody sees another region's proposals before they are on notice; from then on everybody does.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from app.publications import rule_desk
from app.publications.errors import StartsDuringNotice
from carbon.factors import submission
from carbon.factors.catalogue import standing, whole_table
from carbon.factors.table_changes import table_changes
from carbon.listing import newest_first
from kernel.call import Call
from kernel.clock import business_day
from kernel.errors import NotFound, require
from kernel.paging import Page, PageRequest
from kernel.publications.notice import Heard, answer, give_notice, heard, raise_objection
from kernel.publications.procedure import Procedure, procedure_of
from kernel.publications.review import approve, comment, comments_of, send_back, steps_of, submit
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.tables import UNPUBLISHED, Publication, PublicationObjection
from kernel.publications.withdrawal import withdraw

APPROVE, RETURN = "approve", "return"


class Wish(NamedTuple):
    """How a publication is put in force: why, and why its nominal first days are taken, if it has any."""

    reason: str
    nominal_start: str | None


def own(call: Call, publication_id: UUID) -> Publication:
    """A publication of the caller's region, of any kind and state; refuses NotFound."""
    found = call.db.get(Publication, publication_id)
    if found is None or found.region_id != call.region:
        raise NotFound("no such publication")
    return found


def own_publications(
    call: Call, page: PageRequest, *, kind: str | None, state: str | None
) -> Page[dict[str, Any]]:
    """Publications of the caller's region, factor tables and rules, newest first."""
    query = select(Publication).where(Publication.region_id == call.region)
    if kind is not None:
        query = query.where(Publication.kind == kind)
    if state is not None:
        query = query.where(Publication.state == state)
    binding = f"publications/{call.region}/{kind}/{state}"
    found = newest_first(call, query, Publication.id, page, binding=binding)
    return Page([_shown(call, each) for each in found.items], found.next)


def submit_own(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Put a draft before a reviewer; refuses what `own` and `submit` refuse."""
    return submit(call, own(call, publication_id).id, reason=reason)


def comment_own(call: Call, publication_id: UUID, *, body: str, about: str | None) -> Publication:
    """Say something of a proposal; refuses what `own` and `comment` refuse."""
    return comment(call, own(call, publication_id).id, body=body, about=about)


def decide(call: Call, publication_id: UUID, *, verdict: str, reason: str) -> Publication:
    """Approve or return a proposal; refuses what `own`, `approve` and `send_back` refuse."""
    step = {APPROVE: approve, RETURN: send_back}[verdict]
    return step(call, own(call, publication_id).id, reason=reason)


def give_notice_of(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Put a proposal before the public.

    Refuses, in this order: what `own` and `give_notice` refuse, `StartsDuringNotice`.
    """
    noticed = give_notice(call, own(call, publication_id).id, reason=reason)
    until = noticed.notice_until
    # A rule rules from a day that has not passed, so one that starts earlier could never be published.
    late = noticed.kind == FACTOR_TABLE or until is None or noticed.effective_from > until
    require(late, StartsDuringNotice(until=str(until), effective_from=noticed.effective_from.isoformat()))
    return noticed


def answer_own(
    call: Call, publication_id: UUID, objection_id: UUID, *, ruling: str, body: str
) -> Publication:
    """Answer an objection; refuses what `own` and `answer` refuse."""
    publication = own(call, publication_id)
    found = call.db.get(PublicationObjection, objection_id)
    if found is None or found.publication_id != publication.id:
        raise NotFound("no such objection")
    answer(call, found.id, ruling=ruling, body=body)
    return publication


def publish_own(call: Call, publication_id: UUID, wish: Wish) -> Publication:
    """Put it in force; refuses what `own` and `put_in_force` of its kind refuse."""
    publication = own(call, publication_id)
    if publication.kind == FACTOR_TABLE:
        return submission.put_in_force(
            call, publication.id, reason=wish.reason, nominal_start=wish.nominal_start
        )
    return rule_desk.put_in_force(call, publication.id, reason=wish.reason)


def withdraw_own(call: Call, publication_id: UUID, *, from_day: date, reason: str) -> Publication:
    """End a published document; refuses what `own` and `withdraw` refuse."""
    return withdraw(call, own(call, publication_id).id, from_day=from_day, reason=reason)


def whole(call: Call, publication: Publication) -> dict[str, Any]:
    """A publication on its way: what is asked of it, what was said, what became of objections."""
    procedure = procedure_of(call, publication) if publication.state in UNPUBLISHED else None
    return {
        **_shown(call, publication),
        "procedure": None if procedure is None else _procedure(procedure),
        "comments": comments_of(call, publication),
        "objections": [_heard(each) for each in heard(call, [publication])[publication.id]],
        "steps": steps_of(call, publication),
    }


def notices(call: Call, page: PageRequest, *, region_id: str | None) -> Page[dict[str, Any]]:
    """What is on notice, of one region or of all, newest first."""
    query = select(Publication).where(Publication.state == "public_notice")
    if region_id is not None:
        query = query.where(Publication.region_id == region_id)
    found = newest_first(call, query, Publication.id, page, binding=f"notices/{region_id}")
    said = heard(call, found.items)
    return Page([_notice(call, each, said[each.id]) for each in found.items], found.next)


def on_notice(call: Call, publication_id: UUID) -> Publication:
    """A proposal that is on notice, of any region; refuses NotFound."""
    found = call.db.get(Publication, publication_id)
    if found is None or found.state != "public_notice":
        raise NotFound("nothing by this id is on notice")
    return found


def whole_notice(call: Call, noticed: Publication) -> dict[str, Any]:
    """A proposal on notice with all that it says; the words of an objection stand beside its answer."""
    is_table = noticed.kind == FACTOR_TABLE
    return {
        **_notice(call, noticed, heard(call, [noticed])[noticed.id]),
        "content": None if is_table else noticed.content,
        "table": whole_table(call, noticed) if is_table else None,
        "changes": table_changes(call, noticed) if is_table else None,
    }


def object_to(call: Call, publication_id: UUID, *, body: str) -> dict[str, Any]:
    """Object to what is on notice; refuses what `raise_objection` refuses."""
    return _heard(Heard(raise_objection(call, publication_id, body=body), None))


def _shown(call: Call, publication: Publication) -> dict[str, Any]:
    columns = {column.key: getattr(publication, column.key) for column in Publication.__table__.columns}
    return {
        **columns,
        "standing": standing(publication, today=call.today),
        "approved": publication.reviewer_id is not None,
    }


def _notice(call: Call, noticed: Publication, said: Sequence[Heard]) -> dict[str, Any]:
    answered = [each for each in said if each.answer is not None]
    until = noticed.notice_until
    return {
        **_shown(call, noticed),
        "open": until is not None and call.today <= until,
        "objections_raised": len(said),
        "objections_unanswered": len(said) - len(answered),
        "objections": [_heard(each) for each in answered],
    }


def _heard(each: Heard) -> dict[str, Any]:
    objection, answered = each
    return {
        "id": objection.id,
        "by": objection.objector_kind,
        "text": objection.body,
        "raised_on": business_day(objection.recorded_at),
        "ruling": None if answered is None else answered.ruling,
        "answer": None if answered is None else answered.body,
        "answered_on": None if answered is None else business_day(answered.recorded_at),
    }


def _procedure(procedure: Procedure) -> dict[str, Any]:
    return {
        "rule": procedure.rule_id,
        "reviewed": procedure.reviewed,
        "notice_days": procedure.notice_days,
        "answered": procedure.answered,
    }
